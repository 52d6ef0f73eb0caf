"""The common course of likelihood and ratio estimation: learn a score of (theta, event), and where the simulator fails."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, PRNGKeyArray

from quincunx.infer.amortising import interrupted
from quincunx.infer.indirect import SCORED, PotentialEstimator
from quincunx.infer.learning import learn
from quincunx.infer.method import Method
from quincunx.infer.potential import constrained, log_likelihood_many
from quincunx.infer.preparation import Preparation, prepare
from quincunx.infer.sets import padded_many
from quincunx.infer.validity import learn_validity
from quincunx.learn import Scale
from quincunx.learn.fit import Progress
from quincunx.model import Prior
from quincunx.run import Simulations

_LEARNED = "the chance of a finite outcome was learned as a function of the parameters and multiplies the likelihood"
_EXACT_INTEGERS = 2.0**22

Plan = Callable[[Preparation], tuple[Any, str, dict[str, Any], dict[str, Any], str, tuple[int, ...]]]
"""(functional, its name, network, data, form of x, its shape) for prepared rows."""


def fit_potential(
    method: Method,
    sims: Simulations,
    prior: Prior,
    *,
    plan: Plan,
    term: str,
    key: PRNGKeyArray,
    progress: Progress | None,
    reference_rows: bool = False,
) -> PotentialEstimator:
    """Fit a likelihood or ratio of single events; sets of events are taken apart, each with its theta, and held out as a whole or not at all.

    `reference_rows` lets the plan see rows that were drawn from the reference of a ratio too.
    """
    k_order, k_noise, k_fit, k_valid = jax.random.split(key, 4)
    sets = prepare(
        sims,
        prior,
        x_scale=method.x_scale,
        failures_kept_out=_LEARNED,
        key=k_order,
        theta_as_input=True,
        screen=method.screen,
        reference_rows=reference_rows,
    )
    prepared = sets.single_events()
    raw, notes = prepared, prepared.notes
    integers = np.zeros(prepared.rows.x.shape[-1], bool)
    if term == "likelihood":
        integers = whole_columns(prepared.rows.x)
        names = ", ".join(np.asarray(prepared.reader.columns)[integers][:5]) + " ..." * bool(integers.sum() > 5)
        if integers.any() and method.density_of_cells:
            scales = {**prepared.scales, "x": prepared.scales["x"].leaving(integers)}
            prepared = replace(prepared, scales=scales)
            raw, integers = prepared, np.zeros_like(integers)
            notes += (f"whole numbers in {names} have probabilities, not densities",)
        elif integers.any():
            prepared = _dequantised(prepared, integers, method.x_scale, key=k_noise)
            notes += (f"whole numbers in {names} were spread over their unit cell by uniform noise",)
    functional, name, spec, data, form, shape = plan(prepared)
    surrogate = learn(
        functional,
        name,
        spec,
        data,
        scales=prepared.scales,
        members=method.members_for(len(prepared.rows.u)),
        settings=method.settings or method.default_settings,
        key=k_fit,
        progress=progress,
        block=sets.rows.x.shape[1],
    )
    failures = None
    if prepared.rows.failure_rate > 0:
        rows = prepared.rows
        failures = learn_validity(rows.attempted_u, rows.attempted_design, rows.worked, key=k_valid, progress=None)
    estimator = PotentialEstimator(
        prior,
        surrogate,
        prepared.reader,
        prepared.familiarity,
        method.describe(),
        (*notes, *interrupted(surrogate.stopped)),
        form,
        shape,
        term,
        integers,
        failures,
        method.sampler,
        -np.inf,
    )
    return estimator if term != "likelihood" else replace(estimator, low_score=_low_score(estimator, raw))


def whole_columns(x: Float[np.ndarray, "n events d"]) -> Bool[np.ndarray, " d"]:
    """Which columns hold whole numbers in every simulation, and at least two different ones.

    >>> whole_columns(np.array([[[1.0, 0.5, 3.0]], [[2.0, 1.0, 3.0]]])).tolist()
    [True, False, False]
    """
    flat = x.reshape(-1, x.shape[-1])
    varies = np.any(flat != flat[:1], axis=0)
    # beyond 2^22 float32 has no room for halves, and above 2^24 every number looks whole
    return varies & np.all(flat == np.round(flat), axis=0) & (np.abs(flat).max(axis=0) < _EXACT_INTEGERS)


def _dequantised(prepared: Preparation, integers: np.ndarray, x_scale: str, *, key: PRNGKeyArray) -> Preparation:
    noise = np.random.default_rng(np.asarray(jax.random.key_data(key))).random(prepared.rows.x.shape, np.float32)
    x = prepared.rows.x + np.where(integers, noise, np.float32(0.0))
    scale = Scale.fit(x[:, 0], method=x_scale, names=prepared.reader.columns)
    kept = prepared.scales["x"].kept
    if kept is not None:
        scale = scale.keeping(np.isin(np.arange(x.shape[-1]), np.asarray(kept)))
    return replace(prepared, rows=replace(prepared.rows, x=x), scales={**prepared.scales, "x": scale})


def _low_score(estimator: PotentialEstimator, prepared: Preparation) -> float:
    rows = prepared.rows
    index = np.linspace(0, len(rows.u) - 1, SCORED).astype(int)
    theta = np.asarray(constrained(estimator.prior, jnp.asarray(rows.u[index])))
    batch = padded_many(rows.x[index], rows.design[index][:, None])
    each = log_likelihood_many(estimator.core, theta[:, None], batch)[:, 0]
    return float(np.quantile(each, 0.001))
