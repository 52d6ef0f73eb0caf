"""Confidence sets by simulated experiments: the Neyman construction with the likelihood ratio as its ordering."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from quincunx.errors import UsageError
from quincunx.infer.asymptotic import checked_levels
from quincunx.infer.confidence import LEVELS, ConfidenceSet
from quincunx.infer.events import Events
from quincunx.infer.grids import axes_of, product_of
from quincunx.infer.likelihood import Likelihood, named_double
from quincunx.infer.maximum import hold_of
from quincunx.infer.scanned import Scan
from quincunx.infer.scanning import profile
from quincunx.infer.toys import ratio_on_grid, ratio_profiled, simulated_sets
from quincunx.model import Simulator
from quincunx.notebook import from_repr
from quincunx.values import as_key, register, save


@register("neyman_belt")
@dataclass(frozen=True, eq=False)
class NeymanBelt:
    """The law of q(theta) in simulated experiments at every theta of a grid: what critical values and p-values are read from.

    `ordered` (points, toys) holds q of the toys of each grid point, increasing, NaN at the end where simulations failed. `theta` holds all parameters at each point;
    `profiled` those that were maximised over, whose values in `theta` are where the toys were simulated. `n_events` is the size of a toy, 0
    where it was drawn from the rate.
    """

    kind: ClassVar[str]

    axes: dict[str, Float[np.ndarray, " _"]]
    theta: dict[str, Float[np.ndarray, "points ..."]]
    ordered: Float[np.ndarray, "points toys"]
    n_events: int
    profiled: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The grid's shape."""
        return tuple(len(axis) for axis in self.axes.values())

    @property
    def toys(self) -> Float[np.ndarray, " points"]:
        """How many experiments each grid point has."""
        return np.sum(np.isfinite(self.ordered), axis=1).astype(float)

    def critical(self, level: float) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
        """c(theta) with P(q <= c | theta) >= level, and its standard error.

        c is the ceil(level (T + 1))-th smallest of T values. Its error is half the distance between the order statistics that are one binomial
        standard deviation, sqrt(level (1 - level) / T), to either side.
        """
        t = self.toys
        sd = np.sqrt(level * (1.0 - level) / t)
        value, low, high = (
            self._rank(np.ceil(np.clip(p, 0.0, 1.0) * (t + 1))) for p in (level, level - sd, level + sd)
        )
        return value.reshape(self.shape), (0.5 * (high - low)).reshape(self.shape)

    def p_values(self, q: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """(1 + number of toys with q at least as large) / (T + 1) at every grid point; standard error sqrt(p (1 - p) / T)."""
        above = np.sum(self.ordered >= np.asarray(q).reshape(-1, 1), axis=1)
        return ((1.0 + above) / (1.0 + self.toys)).reshape(self.shape)

    def set_of(
        self, likelihood: Likelihood, events: Any, *, levels: Sequence[float] = LEVELS, design: Any = None
    ) -> ConfidenceSet:
        """The confidence set of observed events, with the same statistic as the toys'.

        Raises:
            UsageError: if the number of events is not that of the toys, or parameters were profiled (see `neyman_set`).
        """
        if self.profiled:
            raise UsageError(
                f"got a belt in which {', '.join(self.profiled)} took the values that suit one observation; expected one without; "
                "use neyman_set for each observation"
            )
        sample = likelihood.events(events, design=design)
        if self.n_events and int(sample.n) != self.n_events:
            raise UsageError(
                f"got {sample.n:g} events for a belt of {self.n_events}; expected as many; make the belt with n_events={sample.n:g}"
            )
        return self.sets_of(likelihood, sample.alone(), levels=levels)[0]

    def sets_of(self, likelihood: Likelihood, sets: Events, *, levels: Sequence[float] = LEVELS) -> list[ConfidenceSet]:
        """The confidence set of each of a batch of observations."""
        flat = self._flat(likelihood)
        told = ratio_on_grid(likelihood, sets, flat)
        best = flat[np.argmin(told, axis=1)]
        columns = [likelihood.prior.columns.index(name) for name in self.axes]
        wanted = checked_levels(levels)
        units = {name: likelihood.prior.units[name] for name in self.axes if name in likelihood.prior.units}
        return [
            self.closed(row.reshape(self.shape), wanted, centre[columns], float(n), units)
            for row, centre, n in zip(told, best, np.atleast_1d(sets.n), strict=True)
        ]

    def closed(
        self,
        q: Float[np.ndarray, "..."],
        levels: Float[np.ndarray, " levels"],
        best: Float[np.ndarray, " k"],
        n: float,
        units: Mapping[str, str],
    ) -> ConfidenceSet:
        """The set for q of an observation at every grid point."""
        told = [self.critical(float(level)) for level in levels]
        notes = () if not self.profiled else (
            f"toys were simulated with {', '.join(self.profiled)} at their best for each point: coverage is not exact; check it elsewhere",
        )  # fmt: skip
        value, error = (np.stack([pair[i] for pair in told]) for i in (0, 1))
        return ConfidenceSet("neyman", self.axes, q, levels, value, error, self.p_values(q), best, n, notes, units)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it to one file; `quincunx.load` reads it back."""
        return save(self, path)

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a file holds of it."""
        spec = {
            "names": list(self.axes),
            "parameters": list(self.theta),
            "n_events": self.n_events,
            "profiled": list(self.profiled),
        }
        arrays = {f"axes/{name}": value for name, value in self.axes.items()}
        arrays |= {f"theta/{name}": value for name, value in self.theta.items()}
        return spec, arrays | {"ordered": self.ordered}

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "NeymanBelt":
        """The inverse of `to_state`."""
        axes, theta = (
            {n: arrays[f"{group}/{n}"] for n in spec[key]}
            for group, key in (("axes", "names"), ("theta", "parameters"))
        )
        return cls(axes, theta, arrays["ordered"], spec["n_events"], tuple(spec["profiled"]))

    def __repr__(self) -> str:
        size = f"{self.n_events} events" if self.n_events else "events by the rate"
        points = " x ".join(map(str, self.shape))
        return f"NeymanBelt({points} points of {', '.join(self.axes)}, {self.ordered.shape[1]} toys each of {size})"

    def _rank(self, rank: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
        index = np.clip(rank, 1, self.toys).astype(int) - 1
        return np.take_along_axis(self.ordered, index[:, None], axis=1)[:, 0]

    def _flat(self, likelihood: Likelihood) -> Float[np.ndarray, "points d"]:
        return np.concatenate([self.theta[n].reshape(len(self.ordered), -1) for n in likelihood.prior.names], axis=1)

    _repr_html_ = from_repr


def neyman_belt(
    likelihood: Likelihood,
    simulator: Simulator,
    *,
    grid: Mapping[str, Any],
    n_events: int | None = None,
    toys: int = 2000,
    fixed: Mapping[str, Any] | None = None,
    design: Mapping[str, Any] | None = None,
    key: PRNGKeyArray | int,
    at: Scan | None = None,
) -> NeymanBelt:
    """The law of q(theta) = -2 [log L(theta) - max log L] in `toys` experiments of `n_events` each, at every theta of a grid (physics/9711021).

    The maximum is taken over the grid, for toys and for data alike, so that the grid should be finer than a standard error and reach to the
    bounds of what is possible. Parameters that are in neither the grid nor `fixed` are maximised over, and the toys simulated at the values that
    `at`, a `profile` of the observation over the same grid, found for them. Where the likelihood has a rate, every toy draws its number of events
    from it.

    Raises:
        UsageError: without a number of events or a rate, or with parameters to maximise over and no `at`.

    >>> import jax, numpyro.distributions as dist, quincunx as qx
    >>> @qx.simulator(qx.Prior(mu=dist.Uniform(-5.0, 5.0)))
    ... def bell(theta, *, key):
    ...     return theta["mu"] + jax.random.normal(key, (1,))
    >>> exact = Likelihood.of(lambda theta, x: -0.5 * (x[0] - theta["mu"]) ** 2, bell.prior)
    >>> belt = neyman_belt(exact, bell, grid={"mu": np.linspace(-1.0, 1.0, 5)}, n_events=4, toys=500, key=0)
    >>> belt
    NeymanBelt(5 points of mu, 500 toys each of 4 events)
    >>> bool(np.all(np.abs(belt.critical(0.95)[0] - 3.0) < 1.5))
    True
    """
    prior = likelihood.prior
    if n_events is None and likelihood.terms.rate is None:
        raise UsageError(
            "got neither n_events nor a likelihood with a rate; expected one of them; pass n_events=the number observed"
        )
    axes = axes_of(prior, grid, None, None) if at is None else at.axes
    others = [name for name in prior.names if name not in axes and name not in (fixed or {})]
    if others and at is None:
        raise UsageError(
            f"got no value for {', '.join(others)}; expected values to simulate at; pass fixed= or at=profile(likelihood, events, grid=grid)"
        )
    flat = (
        product_of(prior, axes, hold_of(prior, fixed).values)
        if at is None
        else np.concatenate([at.theta[n].reshape(at.q.size, -1) for n in prior.names], axis=1)
    )
    held = hold_of(prior, {name: np.zeros(prior.shapes[name]) for name in [*axes, *(fixed or {})]})
    ordered = np.full((len(flat), toys), np.nan)
    for i, point in enumerate(flat):
        own = jax.random.fold_in(as_key(key), i)
        sets = simulated_sets(likelihood, simulator, point, toys, n_events, key=own, design=design)
        if others and at is not None:
            best = np.concatenate([np.asarray(at.best.theta[n]).reshape(-1) for n in prior.names])
            q = ratio_profiled(likelihood, sets, point, best, held)
        else:
            q = ratio_on_grid(likelihood, sets, flat)[:, i]
        ordered[i, : len(q)] = np.sort(q)
    return NeymanBelt(axes, named_double(prior, flat), ordered, 0 if n_events is None else n_events, tuple(others))


def neyman_set(
    likelihood: Likelihood,
    events: Any,
    simulator: Simulator,
    *,
    grid: Mapping[str, Any],
    toys: int = 2000,
    levels: Sequence[float] = LEVELS,
    fixed: Mapping[str, Any] | None = None,
    design: Mapping[str, Any] | None = None,
    key: PRNGKeyArray | int,
) -> ConfidenceSet:
    """The parameters that simulated experiments like the observed one do not reject: the Neyman construction, ordered by the likelihood ratio.

    Valid for any number of events and at bounds, with coverage exact up to the toys' number where every parameter is in the grid or fixed.
    With a learned likelihood it is still valid: only its size suffers. See `neyman_belt`, which can be made once for many observations.

    Raises: as `neyman_belt`.
    """
    sample = likelihood.events(events, design=design)
    n_events = None if likelihood.terms.rate is not None else int(sample.n)
    others = [name for name in likelihood.prior.names if name not in grid and name not in (fixed or {})]
    at = profile(likelihood, sample, grid=grid, fixed=fixed, key=key) if others else None
    given = {"grid": grid, "n_events": n_events, "toys": toys, "fixed": fixed, "design": design, "key": key}
    belt = neyman_belt(likelihood, simulator, at=at, **given)
    if at is None:
        return belt.sets_of(likelihood, sample.alone(), levels=levels)[0]
    return belt.closed(np.round(at.q, 6), checked_levels(levels), at.centre, at.n, at.units or {})
