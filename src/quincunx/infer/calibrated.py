"""Calibration of learned ratios: what they say, corrected by what fresh simulations show."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from quincunx.errors import ShapeMismatch, TooFewSimulations, UsageError
from quincunx.infer.posterior import flat_theta
from quincunx.infer.ratio_to import RatioTo
from quincunx.learn.calibrate import Calibration, calibrate
from quincunx.model import Outcome, Prior, Reference, Simulator
from quincunx.notebook import fields_text, from_fields
from quincunx.run import Simulations, simulate
from quincunx.values import as_key, pack, register, save, unpack

METHODS = ("histogram", "isotonic", "normalisation")
LEAST = 100
"""Fewer events of the reference give no average of r^."""


@register("calibrated_ratio")
@dataclass(frozen=True, eq=False)
class CalibratedRatio:
    """log r(x | theta) to `reference`, calibrated; made by `calibrate_ratio`.

    `calibration` is a step function of log r^ at one `theta` (flat), or `pool` holds M outcomes of the reference, flat (M, F), with what of log r^
    does not depend on theta (`levels`), and r = r^ / mean_pool r^(. | theta) at any.
    """

    kind: ClassVar[str]

    estimator: Any
    prior: Prior
    reference: Reference
    outcome: Outcome
    method: str
    design: dict[str, Any] | None = None
    theta: Float[np.ndarray, " dim"] | None = None
    calibration: Calibration | None = None
    pool: Float[np.ndarray, "M F"] | None = None
    levels: Float[np.ndarray, " M"] | None = None

    @property
    def ratio(self) -> RatioTo:
        """The ratio as it was learned."""
        return RatioTo.of(self.estimator, self.prior, self.reference)

    def log_ratio(
        self, theta: Mapping[str, Any], x: Any, *, design: Mapping[str, Any] | None = None
    ) -> Float[np.ndarray, "..."]:
        """The calibrated log r of a batch of outcomes (B, ...), at theta (B, ...) for each, or (B, n, ...), or one point for all: (B,) or (B, n).

        Raises:
            UsageError: at another theta than the one it was calibrated at, or under other settings.
            NameMismatch, ShapeMismatch: for parameters or outcomes of other names or shapes.
        """
        if not _same(design if design is not None else self.design, self.design):
            raise UsageError(f"got settings {design}; expected {self.design}, under which it was calibrated")
        flat = np.asarray(flat_theta(self.prior, dict(theta)), float)
        count = len(jax.tree.leaves(x)[0])
        rows = np.broadcast_to(flat, (count, *flat.shape)) if flat.ndim == 1 else flat
        if rows.ndim > 3 or len(rows) != count:
            raise ShapeMismatch(
                f"got {count} outcomes and parameters with leading axes {flat.shape[:-1]}; expected (), ({count},) or ({count}, n)"
            )
        each = int(np.prod(rows.shape[1:-1], dtype=int))
        pairs = rows.reshape(count * each, rows.shape[-1])
        copies = x if each == 1 else jax.tree.map(lambda a: np.repeat(np.asarray(a), each, axis=0), x)
        if self.calibration is not None and not np.allclose(pairs, self.theta, rtol=1e-5, atol=1e-7):
            raise UsageError(
                f"got other parameters than {self.prior.unflatten(self.theta)}, at which the ratio was calibrated by {self.method}; expected "
                "these; calibrate at each point, or by method='normalisation'"
            )
        told = self.ratio(pairs, copies, design=self.design)
        if self.calibration is not None:
            value = np.asarray(self.calibration(told.astype(np.float32)), float)
        else:
            distinct, where = np.unique(pairs, axis=0, return_inverse=True)
            value = told - self._normalisers(distinct)[0][where.ravel()]
        return value.reshape(rows.shape[:-1])

    def log_normaliser(self, theta: Mapping[str, Any]) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
        """log of the pool's mean of r^(. | theta), and its standard error, for parameters with any leading axes.

        Raises:
            UsageError: for a ratio that was calibrated in another way.
        """
        if self.pool is None:
            raise UsageError(f"got a ratio calibrated by {self.method}; expected method='normalisation'")
        flat = np.asarray(flat_theta(self.prior, dict(theta)), float)
        value, error = self._normalisers(flat.reshape(-1, flat.shape[-1]))
        return value.reshape(flat.shape[:-1]), error.reshape(flat.shape[:-1])

    def _normalisers(self, flat: Float[np.ndarray, "t dim"]) -> tuple[np.ndarray, np.ndarray]:
        log_r = self.ratio.table(flat, self.outcome.unflatten(self.pool), design=self.design) - self.levels
        top = log_r.max(axis=1, keepdims=True)
        weight = np.exp(log_r - top)
        mean = weight.mean(axis=1)
        return top[:, 0] + np.log(mean), weight.std(axis=1, ddof=1) / np.sqrt(weight.shape[1]) / mean

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it to a file; `quincunx.load` reads it back. Raises `UsageError` where the ratio is a function."""
        return save(self, path)

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a file holds of it."""
        if not hasattr(self.estimator, "to_state"):
            raise UsageError(
                f"got a calibrated {type(self.estimator).__name__}, which cannot be saved; expected an estimator; calibrate that"
            )
        design = None if self.design is None else {k: np.asarray(v).tolist() for k, v in self.design.items()}
        spec: dict[str, Any] = {"method": self.method, "design": design}
        arrays: dict[str, np.ndarray] = {}
        for name in ("estimator", "prior", "reference", "outcome", "calibration"):
            value = getattr(self, name)
            spec[name], more = (None, {}) if value is None else pack(value, name)
            arrays |= more
        optional = {name: getattr(self, name) for name in ("theta", "pool", "levels")}
        return spec, arrays | {name: value for name, value in optional.items() if value is not None}

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "CalibratedRatio":
        """The inverse of `to_state`."""
        names = ("estimator", "prior", "reference", "outcome", "calibration")
        parts = {name: None if spec[name] is None else unpack(spec[name], arrays, name) for name in names}
        optional = {name: arrays.get(name) for name in ("theta", "pool", "levels")}
        return cls(**parts, **optional, method=spec["method"], design=spec["design"])

    __repr__ = fields_text
    _repr_html_ = from_fields


def calibrate_ratio(
    estimator: Any,
    source: Simulator | Simulations,
    reference: Reference | Mapping[str, Any],
    *,
    key: int | PRNGKeyArray,
    theta: Mapping[str, Any] | None = None,
    method: str = "histogram",
    n: int = 20_000,
    design: Mapping[str, Any] | None = None,
) -> CalibratedRatio:
    """Correct a learned ratio by fresh simulations, `n` of each class from a simulator, or labelled ones.

    - "histogram", "isotonic": at one theta, r = p(s | theta) / p(s | reference) with s = log r^, which is the true ratio wherever r^ is any
      monotone function of it (1506.02169);
    - "normalisation": at any theta, r = r^ / (1/M sum_i r^(x_i | theta)) over a fixed pool x_i of the reference, so that E_reference[r] = 1:
      factors that depend on theta alone are removed, up to the pool's standard error (`CalibratedRatio.log_normaliser`).

    `estimator` is anything that `RatioTo` takes. Labelled simulations carry gold["label"]: 1 at theta, 0 from the reference (see `simulate`). They
    must not be those the ratio was learned from.

    Raises:
        UsageError: for an unknown method, no theta where one is needed, or simulations at several.
        TooFewSimulations: for fewer than 100 finite outcomes of the reference. Others as `simulate` and `RatioTo.of`.

    Source: 1506.02169; 1805.00020.

    >>> import numpyro.distributions as dist
    >>> from quincunx.model import wrap
    >>> bell = wrap(lambda theta, *, key: theta["mu"] + jax.random.normal(key, (1,)), Prior(mu=dist.Normal(0.0, 1.0)))
    >>> off = lambda theta, x: theta["mu"] * x[:, 0] - theta["mu"] ** 2 / 2 + 0.3
    >>> mended = calibrate_ratio(off, bell, {"mu": 0.0}, method="normalisation", n=4000, key=0)
    >>> bool(abs(mended.log_ratio({"mu": 0.5}, np.array([[0.25]]))[0]) < 0.05)
    True
    """
    if method not in METHODS:
        raise UsageError(f"got calibration {method!r}; expected one of {', '.join(METHODS)}")
    prior = source.prior if isinstance(source, Simulator) else source.prior or getattr(estimator, "prior", None)
    if prior is None:
        raise UsageError(
            "got simulations without a prior; expected one, for the parameters' names; simulate with Quincunx"
        )
    ratio = RatioTo.of(estimator, prior, reference)
    point = None if theta is None else np.asarray(flat_theta(prior, dict(theta)), float)
    if point is not None and point.ndim != 1:
        raise ShapeMismatch(f"got theta with leading axes {point.shape[:-1]}; expected one point; calibrate at each")
    at_theta = method != "normalisation"
    if isinstance(source, Simulator):
        if at_theta and point is None:
            raise UsageError(
                f"got no theta for calibration by {method}; expected one point; pass theta=, or method='normalisation'"
            )
        numerator, denominator = _simulated(source, ratio, point if at_theta else None, n, design, as_key(key))
    else:
        numerator, denominator = _labelled(source)
    below = denominator.valid()
    if len(below) < LEAST:
        raise TooFewSimulations(
            f"got {len(below)} finite outcomes of the reference; expected at least {LEAST}; simulate more"
        )
    shared: dict[str, Any] = {
        "estimator": estimator,
        "prior": prior,
        "reference": ratio.reference,
        "outcome": below.outcome,
        "method": method,
        "design": None if design is None else dict(design),
    }
    if not at_theta:
        levels = ratio.denominator(below.x, design=design)
        return CalibratedRatio(**shared, pool=np.asarray(below.x_flat(), np.float32), levels=levels)
    above = (numerator or denominator[:0]).valid()
    flat = above.theta_flat() if len(above) else np.zeros((1, prior.dim))
    point = np.asarray(flat[0], float) if point is None else point
    if not np.allclose(flat, point, rtol=1e-5, atol=1e-7):
        raise UsageError(
            f"got simulations at several theta for calibration by {method}; expected one; simulate with theta= that one"
        )
    told = [ratio(np.tile(point, (len(some), 1)), some.x, design=design) for some in (above, below)]
    return CalibratedRatio(**shared, theta=point, calibration=calibrate(*told, method=method))


def _simulated(
    simulator: Simulator, ratio: RatioTo, point: Any, n: int, design: Any, key: PRNGKeyArray
) -> tuple[Simulations | None, Simulations]:
    k_theta, k_reference = jax.random.split(key)

    def at(rows: np.ndarray, key: PRNGKeyArray) -> Simulations:
        named = {name: np.asarray(value) for name, value in simulator.prior.unflatten(rows).items()}
        return simulate(simulator, theta=named, design=design, key=key)

    below = at(ratio.points[np.arange(n) % len(ratio.points)], k_reference)
    return None if point is None else at(np.tile(point, (n, 1)), k_theta), below


def _labelled(sims: Simulations) -> tuple[Simulations, Simulations]:
    if sims.gold is None or "label" not in sims.gold:
        raise UsageError(
            "got simulations without labels; expected gold['label'], 1 at theta and 0 from the reference; simulate with "
            "gold=Reference.at(...), or pass the simulator"
        )
    if sims.events:
        raise UsageError("got sets of events; expected single outcomes; simulate without events")
    own = np.asarray(sims.gold["label"]) == 1
    return sims[own], sims[~own]


def _same(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    one, other = one or {}, other or {}
    return set(one) == set(other) and all(np.array_equal(one[name], other[name]) for name in one)
