"""Failures as data: how simulations failed, and a classifier of where in parameter space they do."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray, UInt8

from quincunx.errors import AllSimulationsFailed, UsageError
from quincunx.infer.posterior import flat_theta
from quincunx.infer.rows import check_parameters
from quincunx.infer.validity import learn_validity
from quincunx.learn import Surrogate
from quincunx.learn.fit import Progress
from quincunx.model import Prior
from quincunx.model.region import log_odds
from quincunx.notebook import from_repr
from quincunx.run import Simulations
from quincunx.run.status import NAMES, OK
from quincunx.values import as_key, pack, register, unpack

__all__ = ["Failures", "failures"]


@register("failures")
class Failures(eqx.Module):
    """How simulations under a prior failed, and the learned P(ok | theta).

    `theta` are the flat parameters of all simulations and `status` how each went.
    """

    kind: ClassVar[str]

    prior: Prior
    surrogate: Surrogate
    theta: Float[np.ndarray, "n d"]
    status: UInt8[np.ndarray, " n"]

    @property
    def failed(self) -> Bool[np.ndarray, " n"]:
        """Which simulations failed."""
        return self.status != OK

    @property
    def table(self) -> dict[str, dict[str, Any]]:
        """For each way of failing: how many did, their share, and the parameters' medians there; the first row is those that worked."""
        found = {}
        for code in sorted(set(self.status.tolist())):
            rows = self.status == code
            medians = np.median(self.theta[rows], axis=0)
            found[NAMES[code]] = {
                "count": int(rows.sum()),
                "share": float(rows.mean()),
                **{column: float(value) for column, value in zip(self.prior.columns, medians, strict=True)},
            }
        return found

    def p_ok(self, theta: dict[str, Any]) -> Float[Array, "..."]:
        """The chance that a simulation at theta, by name with any leading axes, gives a finite outcome.

        Raises:
            NameMismatch, ShapeMismatch: for parameters that are not the prior's.
        """
        return _p_ok(self.prior, self.surrogate, flat_theta(self.prior, theta))

    def plot(self, **options: Any) -> Any:
        """The share of failures along each parameter, with what the classifier makes of it: a Matplotlib figure."""
        from quincunx.plot import failures as picture

        learned = 1.0 - np.asarray(_p_ok(self.prior, self.surrogate, self.theta))
        return picture(
            self.theta, self.failed, list(self.prior.columns), units=self.prior.units, learned=learned, **options
        )

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a file holds of it."""
        prior, arrays = pack(self.prior, "prior")
        surrogate, more = pack(self.surrogate, "surrogate")
        return {"prior": prior, "surrogate": surrogate}, {**arrays, **more, "theta": self.theta, "status": self.status}

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Failures":
        """The inverse of `to_state`."""
        parts = {name: unpack(spec[name], arrays, name) for name in ("prior", "surrogate")}
        return cls(**parts, theta=arrays["theta"], status=arrays["status"])

    def __repr__(self) -> str:
        columns = ["count", "share", *self.prior.columns]
        rows = [["", *columns[:2], *(f"median {column}" for column in columns[2:])]]
        for name, row in self.table.items():
            rows.append(
                [name, str(row["count"]), f"{100 * row['share']:.3g} %", *(f"{row[c]:.3g}" for c in columns[2:])]
            )
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = ["  " + "  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
        return "\n".join([f"Failures: {int(self.failed.sum())} of {len(self.status)} simulations", *lines])

    _repr_html_ = from_repr


def failures(
    sims: Simulations, prior: Prior | None = None, *, key: PRNGKeyArray | int = 0, progress: Progress | None = None
) -> Failures:
    """How simulations failed and where: a table by status, and P(ok | theta) learned from those that worked and those that did not.

    Settings of the experiment that varied between simulations are averaged over. `prior` is that of the simulations unless given.

    Raises:
        UsageError: if none has failed, or there is no prior. AllSimulationsFailed: if none has worked.
        NameMismatch, ShapeMismatch: if prior and simulations disagree.

    >>> import numpyro.distributions as dist
    >>> theta = {"a": np.linspace(0.001, 0.999, 600)}
    >>> x = np.where(theta["a"] > 0.8, np.nan, 1.0)[:, None]
    >>> found = failures(Simulations.of(theta, x, prior=Prior(a=dist.Uniform(0.0, 1.0))))
    >>> found
    Failures: 120 of 600 simulations
                  count  share  median a
              ok    480   80 %       0.4
      not finite    120   20 %       0.9
    >>> [bool(p > 0.5) for p in found.p_ok({"a": np.array([0.3, 0.95])})]
    [True, False]
    """
    prior = sims.prior if prior is None else prior
    if prior is None:
        raise UsageError("got simulations without a prior; expected one; pass prior=")
    check_parameters(sims, prior)
    worked = ~sims.failed
    if worked.all():
        raise UsageError(
            f"got {len(sims)} simulations of which none has failed; expected some that have; there is nothing to learn"
        )
    if not worked.any():
        raise AllSimulationsFailed(
            f"all of {len(sims)} simulations failed; expected some that worked; call the simulator once at a known parameter"
        )
    theta = flat_theta(prior, {name: sims.theta[name] for name in prior.names})
    u = np.asarray(prior.to_unconstrained(theta), np.float32)
    surrogate = learn_validity(u, np.zeros((len(u), 0), np.float32), worked, key=as_key(key), progress=progress)
    return Failures(prior, surrogate, theta, np.asarray(sims.status))


def _p_ok(prior: Prior, surrogate: Surrogate, flat: Any) -> Array:
    return jax.nn.sigmoid(log_odds(surrogate, prior.to_unconstrained(flat)))
