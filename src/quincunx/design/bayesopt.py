"""Bayesian optimisation: find where a noisy, costly function of the settings is highest."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from quincunx.design.estimate import EIG
from quincunx.design.gaussian_process import GaussianProcess, fit_process
from quincunx.design.space import Design, Space, brief, design_rows, stack_designs
from quincunx.errors import DesignOutsideSpace
from quincunx.notebook import from_repr
from quincunx.values import as_key

__all__ = ["Maximum", "maximise", "propose"]

RAW, LOCAL, ROUNDS = 256, 64, 3
"""How many points of a Sobol sequence an acquisition is tried at, and then around its best ones, in ever closer rounds."""


@dataclass(frozen=True, eq=False)
class Maximum:
    """Where a function was looked at, what was found, and the design that is recommended: the highest posterior mean of those looked at, never the
    best noisy value."""

    designs: dict[str, Float[np.ndarray, "n ..."]]
    values: Float[np.ndarray, " n"]
    errors: Float[np.ndarray, " n"]
    process: GaussianProcess
    design: Design
    mean: float
    sd: float

    def __repr__(self) -> str:
        where = ", ".join(f"{name} = {brief(value)}" for name, value in self.design.items())
        return f"Maximum({self.mean:.4g} +- {self.sd:.2g} at {where}, of {len(self.values)} evaluations)"

    _repr_html_ = from_repr


def maximise(
    function: Callable[[Design], Any],
    space: Space,
    *,
    budget: int = 25,
    initial: int | None = None,
    constraint: Callable[[dict[str, Any]], bool] | None = None,
    key: PRNGKeyArray | int,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> Maximum:
    """Maximise `function(design)`, which gives an `EIG`, a pair (value, standard error), or a number without noise, in `budget` evaluations.

    A Gaussian process is fitted to the values with their errors; the next design maximises the log of the expected improvement on the highest posterior mean so far
    (2310.20708). The first 2 k + 2 designs, for k settings, are a Sobol sequence. A design may be looked at again. `progress` is told each evaluation.

    Raises:
        DesignOutsideSpace: if the constraints leave no design.

    >>> found = maximise(lambda d: (-(d["x"] - 0.3) ** 2, 0.01), Space(x=(0.0, 1.0)), budget=8, key=0)
    >>> bool(abs(found.design["x"] - 0.3) < 0.1)
    True
    """
    key = as_key(key)
    first = min(budget, 2 * space.dim + 2 if initial is None else initial)
    rows = _allowed(design_rows(space.sobol(8 * first, key=key)), constraint)[: max(1, first)]
    told: list[tuple[float, float]] = []

    def look(design: Design) -> None:
        told.append(scored(function(dict(design))))
        if progress is not None:
            progress({"done": len(told), "total": budget, "design": design, "value": told[-1][0]})

    for design in rows:
        look(design)
    while len(told) < budget:
        number = len(told)
        design = propose(space, rows, told, constraint=constraint, key=jax.random.fold_in(key, number))[0]
        rows.append(design)
        look(design)
    return maximum_of(space, rows, told)


def scored(found: Any) -> tuple[float, float]:
    """Value and standard error of an `EIG`, a pair, or a number without noise.

    >>> scored(1.5), scored((1.0, float("inf")))
    ((1.5, 0.0), (1.0, 0.0))
    """
    value, error = (
        (found.value, found.se) if isinstance(found, EIG) else found if isinstance(found, tuple) else (found, 0.0)
    )
    return float(value), float(error) if np.isfinite(error) else 0.0


def maximum_of(space: Space, rows: list[Design], told: list[tuple[float, float]]) -> Maximum:
    """The design of highest posterior mean among those that were looked at, each with its (value, standard error)."""
    values, errors = np.array(told).T
    process = fit_process(space.to_unit(stack_designs(rows)), values, errors**2)
    mean, sd = process.predict(space.to_unit(stack_designs(rows)))
    i = int(np.argmax(mean))
    return Maximum(stack_designs(rows), values, errors, process, rows[i], float(mean[i]), float(sd[i]))


def propose(
    space: Space,
    rows: list[Design],
    told: list[tuple[float, float]],
    *,
    batch: int = 1,
    constraint: Callable[[dict[str, Any]], bool] | None = None,
    key: PRNGKeyArray | int,
) -> list[Design]:
    """The designs to look at next, given those looked at and (value, standard error) of each: ask where `told` tells.

    Further designs of a batch take those before them to have turned out as expected (the constant liar).

    Raises:
        DesignOutsideSpace: if the constraints leave no design.
    """
    rows, told = list(rows), list(told)
    chosen = []
    rng = np.random.default_rng(np.asarray(jax.random.key_data(as_key(key))))
    for _ in range(batch):
        values, errors = np.array(told).T
        u = space.to_unit(stack_designs(rows))
        process = fit_process(u, values, errors**2)
        best = float(process.predict(u)[0].max())
        design = _best_acquisition(process, best, space, constraint, rng, u)
        chosen.append(design)
        rows.append(design)
        told.append(
            (float(process.predict(space.to_unit(stack_designs([design])))[0][0]), 1e-3 * float(values.std() or 1.0))
        )
    return chosen


def _best_acquisition(
    process: GaussianProcess, best: float, space: Space, constraint: Any, rng: np.random.Generator, seen: np.ndarray
) -> Design:
    tried = space.to_unit(space.sobol(RAW, key=int(rng.integers(1 << 31))))
    width = 0.2
    for _ in range(ROUNDS + 1):
        allowed = [i for i, row in enumerate(design_rows(space.from_unit(tried))) if _holds(row, space, constraint)]
        if not allowed:
            raise DesignOutsideSpace(
                f"got constraints that allow none of {len(tried)} designs of {space!r}; expected some; loosen them"
            )
        # settings with levels are where their level is
        snapped = space.to_unit(space.from_unit(tried[allowed]))
        score = process.log_expected_improvement(snapped, best)
        top = snapped[np.argsort(-score)[:8]]
        near = np.clip(
            np.repeat(top, LOCAL // 8, axis=0)
            + width * rng.normal(size=(8 * (LOCAL // 8), space.dim))[: len(top) * (LOCAL // 8)],
            0,
            1,
        )
        tried = np.concatenate([top, near])
        width /= 3.0
    return design_rows(space.from_unit(top[:1]))[0]


def _holds(row: Design, space: Space, constraint: Any) -> bool:
    return space.allows(row) and (constraint is None or bool(constraint(dict(row))))


def _allowed(rows: list[Design], constraint: Any) -> list[Design]:
    kept = rows if constraint is None else [row for row in rows if constraint(dict(row))]
    if not kept:
        raise DesignOutsideSpace("got a constraint that allows none of the first designs; expected some; loosen it")
    return kept
