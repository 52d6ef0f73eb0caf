"""The maximum of a likelihood: where it is, how sharp, and whether it lies on a bound."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import jax
import numpy as np
from jaxtyping import Bool, Float, PRNGKeyArray

from quincunx.errors import NameMismatch, UsageError
from quincunx.infer.ascent import EDGE, Box, Hold, Peak, climb_all, prior_draws
from quincunx.infer.events import Events
from quincunx.infer.likelihood import ROWS, Likelihood, finite_or_minus, named_double
from quincunx.infer.sets import padded_size
from quincunx.model import Prior
from quincunx.model.precision import double_scope
from quincunx.notebook import card
from quincunx.values import as_key, register, save

DRAWS = 256
"""How many prior draws are looked at before an ascent starts from the best of them."""


@register("maximum")
@dataclass(frozen=True, eq=False)
class Maximum:
    """theta_hat = argmax log L(theta) within the prior's support, the value there, and the inverse of the observed information.

    `covariance` (d, d) is (-grad grad log L)^-1 in the flat order of `columns`: zero for what was fixed, NaN for numbers at a bound
    (`at_bound`), where log L has a slope and no such approximation, and where log L is not curved. `notes` says in words what is amiss.
    """

    kind: ClassVar[str]

    theta: dict[str, np.ndarray]
    log_likelihood: float
    covariance: Float[np.ndarray, "d d"]
    columns: tuple[str, ...]
    fixed: tuple[str, ...]
    at_bound: tuple[str, ...]
    converged: bool

    @property
    def standard_errors(self) -> dict[str, float]:
        """The square roots of the covariance's diagonal, by column."""
        with np.errstate(invalid="ignore"):
            return dict(zip(self.columns, np.sqrt(np.diag(self.covariance)).tolist(), strict=True))

    @property
    def notes(self) -> tuple[str, ...]:
        """Everything to know before believing it, as sentences; empty if nothing is amiss."""
        said = []
        if not self.converged:
            said.append("the ascent did not converge: the point may not be the maximum")
        if self.at_bound:
            said.append(f"the maximum lies on a bound of the prior in {', '.join(self.at_bound)}: no covariance there")
        flat = [
            c
            for c, v in zip(self.columns, np.diag(self.covariance), strict=True)
            if not np.isfinite(v) and c not in self.at_bound
        ]
        if flat:
            said.append(f"the likelihood is not curved in {', '.join(flat)}: no covariance there")
        return tuple(said)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it to one file; `quincunx.load` reads it back."""
        return save(self, path)

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a file holds of it."""
        spec = {
            "log_likelihood": self.log_likelihood,
            "columns": list(self.columns),
            "fixed": list(self.fixed),
            "at_bound": list(self.at_bound),
            "converged": self.converged,
            "names": list(self.theta),
        }
        arrays = {f"theta/{name}": np.asarray(value) for name, value in self.theta.items()}
        return spec, {**arrays, "covariance": self.covariance}

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Maximum":
        """The inverse of `to_state`."""
        theta = {name: arrays[f"theta/{name}"] for name in spec["names"]}
        words = (tuple(spec[name]) for name in ("columns", "fixed", "at_bound"))
        return cls(theta, spec["log_likelihood"], arrays["covariance"], *words, spec["converged"])

    def __repr__(self) -> str:
        errors = np.sqrt(np.diag(self.covariance))
        flat = np.concatenate([np.ravel(value) for value in self.theta.values()])
        said = [
            f"{c} = {_rounded(v, e):.6g}"
            + (" (fixed)" if e == 0 else f" +- {e:.2g}" if np.isfinite(e) else " (no error)")
            for c, v, e in zip(self.columns, flat, errors, strict=True)
        ]
        notes = "".join(f"; {note}" for note in self.notes)
        return f"Maximum({', '.join(said)}; log L = {self.log_likelihood:.6g}{notes})"

    def _repr_html_(self) -> str:
        errors = np.sqrt(np.diag(self.covariance))
        flat = np.concatenate([np.ravel(value) for value in self.theta.values()])
        body = [
            [c, f"{_rounded(v, e):.6g}", "fixed" if e == 0 else f"{e:.2g}" if np.isfinite(e) else "none"]
            for c, v, e in zip(self.columns, flat, errors, strict=True)
        ]
        facts = [("log L", f"{self.log_likelihood:.6g}")]
        head = ["parameter", "value", "standard error"]
        return card("Maximum of the likelihood", facts=facts, head=head, body=body, warnings=self.notes)


def _rounded(value: float, error: float) -> float:
    """To a hundredth of the leading digit of the error: an ascent ends that close to the maximum and closer."""
    return round(float(value), 2 - int(np.floor(np.log10(error)))) if np.isfinite(error) and error > 0 else float(value)


def maximum_likelihood(
    likelihood: Likelihood,
    events: Any,
    *,
    key: PRNGKeyArray | int,
    fixed: Mapping[str, Any] | None = None,
    starts: int = 4,
    design: Mapping[str, Any] | None = None,
) -> Maximum:
    """The parameters that make the events most probable, by Newton ascents in the prior's unconstrained coordinates.

    `starts` ascents begin at the best of 256 prior draws, in as many groups; the highest is kept. `fixed` holds parameters at given
    values, by name, and the others are maximised over: profiling.

    Raises:
        NameMismatch, ShapeMismatch: for a fixed parameter that the prior does not have, or of another shape.
        UsageError: if everything is fixed.

    >>> import numpyro.distributions as dist
    >>> bell = Likelihood.of(lambda theta, x: -0.1 * (x - theta["mu"]) ** 2, Prior(mu=dist.Uniform(-5.0, 5.0)))
    >>> maximum_likelihood(bell, np.array([0.0, 2.0]), key=0)
    Maximum(mu = 1 +- 1.6; log L = -0.2)
    """
    sets = likelihood.events(events, design=design).alone()
    hold = hold_of(likelihood.prior, fixed)
    if hold.flat.all():
        raise UsageError(
            f"got fixed values of {', '.join(fixed or {})}, which is everything; expected something to maximise over"
        )
    peak = jax.tree.map(lambda a: a[0], maxima(likelihood, sets, key=key, hold=hold, starts=starts))
    return maximum_of(likelihood, sets[0], peak, hold, fixed)


def maximum_of(
    likelihood: Likelihood, events: Events, peak: Peak, hold: Hold, fixed: Mapping[str, Any] | None
) -> Maximum:
    """What an ascent has found, as a value; a point next to a bound is moved onto it where log L is defined there."""
    prior = likelihood.prior
    box = box_of(likelihood)
    theta, edges = np.array(peak.theta), at_bounds(prior, box, peak, hold)
    value = float(peak.value)
    if edges.any():
        onto = np.where(edges, np.where(theta - prior.low < prior.high - theta, prior.low, prior.high), theta)
        told = float(likelihood.rows(onto[None], events)[0, 0])
        theta, value = (onto, told) if np.isfinite(told) and told > value - 1.0 else (theta, value)
    return Maximum(
        named_double(prior, theta),
        value,
        covariance_of(peak, hold, edges),
        tuple(prior.columns),
        tuple(fixed or {}),
        tuple(c for c, edge in zip(prior.columns, edges, strict=True) if edge),
        bool(peak.converged),
    )


def maxima(
    likelihood: Likelihood, sets: Events, *, key: PRNGKeyArray | int, hold: Hold | None = None, starts: int = 4
) -> Peak:
    """The maxima for each set of a batch, as arrays with a leading axis; `hold.values` is (d,), the same for all."""
    hold = hold_of(likelihood.prior, None) if hold is None else hold
    with double_scope():
        flat, u = (np.asarray(a) for a in prior_draws(likelihood.prior, DRAWS, as_key(key)))
    flat = np.where(hold.flat, hold.values, flat)
    told = likelihood.table(flat, sets.thinned()).reshape(len(sets), starts, -1)
    best = np.argmax(told, axis=2) + np.arange(starts) * told.shape[2]
    return ascents(
        likelihood, sets, u[best], Hold(np.broadcast_to(hold.values, (len(sets), hold.values.size)), hold.flat, hold.u)
    )


def ascents(likelihood: Likelihood, sets: Events, starts: Float[np.ndarray, "b k du"], hold: Hold) -> Peak:
    """Ascents for each of b sets of events, or of b held values over the same set when the batch has one, compiled for few shapes."""
    b, k, _ = starts.shape
    shared = len(sets) == 1 and b > 1
    box = box_of(likelihood)
    rows = k * int(np.prod(sets.weight.shape[2:])) * (1 + starts.shape[2] ** 2)
    chunk = min(padded_size(b), max(1, 8 * ROWS // rows))
    count = -(-b // chunk)
    index = np.minimum(np.arange(count * chunk), b - 1)
    parts = []
    with double_scope():
        for i in range(count):
            own = index[i * chunk : (i + 1) * chunk]
            part = sets[0] if shared else sets[own]
            mine = Hold(hold.values[own], hold.flat, hold.u)
            found = climb_all(
                likelihood.terms, box, starts[own], mine, part.x, part.weight, likelihood.tolerance, shared
            )
            parts.append(jax.tree.map(np.asarray, found))
    peak = jax.tree.map(lambda *leaves: np.concatenate(leaves)[:b], *parts)
    return Peak(peak.u, peak.theta, finite_or_minus(peak.value), *(getattr(peak, n) for n in _REST))


_REST = ("gradient", "hessian", "jacobian", "converged")


def box_of(likelihood: Likelihood) -> Box:
    """The box of a likelihood's prior, the same at every call."""
    with double_scope():
        return Box.of(likelihood.prior, np.asarray(prior_draws(likelihood.prior, DRAWS, as_key(0))[1]))


def hold_of(prior: Prior, fixed: Mapping[str, Any] | None) -> Hold:
    """Masks and values of the parameters that are held.

    Raises:
        NameMismatch: for a name that the prior does not have. ShapeMismatch: for a value of another shape.
    """
    given = dict(fixed or {})
    unknown = [name for name in given if name not in prior.names]
    if unknown:
        raise NameMismatch(
            f"got fixed values of {unknown}; expected some of {list(prior.names)}; use the parameters' names"
        )
    flat, values, u = [], [], []
    for name, transform in zip(prior.names, prior.transforms, strict=True):
        shape = prior.shapes[name]
        value = np.broadcast_to(np.asarray(given[name], np.float64), shape) if name in given else np.zeros(shape)
        values.append(value.reshape(-1))
        flat.append(np.full(value.size, name in given))
        u.append(np.full(transform.unconstrained_size, name in given))
    return Hold(np.concatenate(values), np.concatenate(flat), np.concatenate(u))


def at_bounds(prior: Prior, box: Box, peak: Peak, hold: Hold) -> Bool[np.ndarray, " d"]:
    """Which flat numbers of a maximum lie on a bound of the prior: nearer to it than unconstrained space tells apart."""
    low, high = prior.low, prior.high
    width = np.where(np.isfinite(high - low), high - low, 1.0)
    # half-lines have no width: what a unit of the logarithm is worth one prior standard deviation above the lowest draws
    near = np.where(np.isfinite(high - low), 2e-6 * width, 1e-6 * _spread(peak, box))
    theta = np.asarray(peak.theta)
    return ~hold.flat & ((theta - low < near) | (high - theta < near))


def _spread(peak: Peak, box: Box) -> np.ndarray:
    return np.maximum(np.abs(np.asarray(peak.jacobian)) @ np.exp(np.minimum(np.abs(np.asarray(peak.u)), EDGE)), 1e-300)


def covariance_of(peak: Peak, hold: Hold, edges: Bool[np.ndarray, " d"]) -> Float[np.ndarray, "d d"]:
    """J (-H)^-1 J^T over what is neither held nor at a bound, with J = d theta / d u; NaN at bounds and where log L is not curved."""
    jacobian, bend = np.asarray(peak.jacobian), -np.asarray(peak.hessian)
    still = hold.u | np.any((jacobian != 0) & edges[:, None], axis=0)
    free = ~still
    covariance = np.zeros((len(edges), len(edges)))
    if free.any():
        inner = bend[np.ix_(free, free)]
        scale = np.sqrt(np.abs(np.diag(inner)))
        scale = np.where(scale > 0, scale, 1.0)
        # 1e-10: curvature below what rounding leaves of the largest is none
        if np.linalg.eigvalsh(inner / np.outer(scale, scale)).min() > 1e-10:
            spread = jacobian[:, free]
            covariance = spread @ np.linalg.inv(inner) @ spread.T
        else:
            curved = np.any(jacobian[:, free] != 0, axis=1)
            covariance[curved, :] = covariance[:, curved] = np.nan
    covariance[edges, :] = covariance[:, edges] = np.nan
    return covariance
