"""The common course of NPE, flow matching and score estimation: learn a conditional density of theta given x."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray

from quincunx.infer.conditioning import plan_embedding
from quincunx.infer.direct import DirectEstimator
from quincunx.infer.learning import learn
from quincunx.infer.method import Method
from quincunx.infer.preparation import prepare
from quincunx.infer.sets import RandomSetSize
from quincunx.learn.build import Spec
from quincunx.learn.fit import Progress
from quincunx.model import Prior
from quincunx.run import Simulations

_LEFT_OUT = "they were left out, so that the answer is the posterior given that the simulator works, as it did for x_o"


def fit_direct(
    method: Method,
    sims: Simulations,
    prior: Prior,
    *,
    functional: eqx.Module,
    functional_name: str,
    spec: Callable[[int, int, Spec | None], dict[str, Any]],
    key: PRNGKeyArray,
    progress: Progress | None,
) -> DirectEstimator:
    """Fit the networks of `spec(dim, condition_dim, embedding)` to scaled theta given scaled x."""
    k_order, k_fit = jax.random.split(key)
    prepared = prepare(
        sims, prior, x_scale=method.x_scale, failures_kept_out=_LEFT_OUT, key=k_order, screen=method.screen
    )
    reader, rows = prepared.reader, prepared.rows
    form, shape, embedding, condition_dim = plan_embedding(
        method.embedding,
        shape=reader.shape,
        x_size=prepared.scales["x"].size,
        design_size=rows.design.shape[-1],
        sets=reader.sets,
        theta_size=rows.u.shape[-1],
    )
    data = {"y": prepared.theta, "c": prepared.conditions(form, shape)}
    surrogate = learn(
        RandomSetSize(functional, "c") if reader.sets else functional,
        functional_name,
        spec(rows.u.shape[-1], condition_dim, embedding),
        data,
        scales=prepared.scales,
        members=method.members_for(len(prepared.rows.u)),
        settings=method.settings or method.default_settings,
        key=k_fit,
        progress=progress,
    )
    return DirectEstimator(
        prior,
        surrogate,
        reader,
        prepared.familiarity,
        method.describe(),
        (*prepared.notes, *interrupted(surrogate.stopped)),
        form,
        shape,
    )


def interrupted(stopped: str) -> tuple[str, ...]:
    """What an interrupted training leaves to say."""
    return ("training was interrupted: the best networks so far are used",) * (stopped == "interrupted")
