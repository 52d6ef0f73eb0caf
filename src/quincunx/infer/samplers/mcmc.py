"""Chains from start to finish: initial points, warm-up, draws, diagnostics."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quincunx.infer.samplers.budget import Clock
from quincunx.infer.samplers.chains import WARMUP, ChainState, advance_chains, begin
from quincunx.infer.samplers.diagnostics import ess_bulk, ess_tail, rhat
from quincunx.infer.samplers.draws import Draws
from quincunx.infer.samplers.initial import initial, points_at
from quincunx.infer.samplers.moves import LogDensity
from quincunx.infer.samplers.reference import Reference, Standardised, fit_reference
from quincunx.infer.samplers.verdict import judge_chains

STRIDE = 50
"""Steps between two looks at the clock."""
LENGTH = 400
"""Shortest chain: R-hat of a shorter one is above its limit by chance alone."""


def run_mcmc(
    log_density: LogDensity,
    data: PyTree,
    *,
    prior_sample: Float[np.ndarray, "m d"],
    n: int,
    key: PRNGKeyArray,
    kind: Literal["nuts", "slice"] = "nuts",
    chains: int = 32,
    starts: Float[Array, "m2 d"] | None = None,
    budget_seconds: float | None = None,
) -> Draws:
    """n draws from `chains` chains of NUTS or slice sampling, started at prior draws resampled by density, or at `starts`.

    Every chain makes at least `LENGTH` draws, of which n in all are kept. Chains do not pass between well separated modes; R-hat says so
    when they disagree.
    """
    clock = Clock(budget_seconds)
    init_key, run_key, order_key = jax.random.split(key, 3)
    d = prior_sample.shape[1]
    reference = fit_reference(prior_sample if starts is None else np.asarray(starts))
    density, both = Standardised(log_density), (data, jax.tree.map(jnp.asarray, reference))
    if starts is None:
        begin_at = initial(density, both, jnp.asarray(reference.from_target(prior_sample)), chains, key=init_key)
    else:
        begin_at = jax.random.choice(
            init_key, jnp.asarray(reference.from_target(np.asarray(starts))), (chains,), replace=False
        )
    if kind == "nuts":
        from quincunx.infer.samplers.nuts import nuts_kernel as kernel

        target = 0.8
    else:
        from quincunx.infer.samplers.slice import slice_kernel as kernel

        target = 1.0
    length = max(-(-n // chains), LENGTH)
    state = begin(points_at(density, both, begin_at, kind), jnp.eye(d), length, step=0.5, key=run_key)
    state = clock.run(
        lambda s, stop: advance_chains(kernel, density, both, s, target, stop),
        state,
        lambda s: int(s.t),
        STRIDE,
        length + WARMUP,
    )
    return _collect(state, reference, kind, clock, n, order_key)


def _collect(state: ChainState, reference: Reference, kind: str, clock: Clock, n: int, key: PRNGKeyArray) -> Draws:
    done = max(0, int(state.t) - WARMUP)
    chains = np.asarray(state.draws[:done]).swapaxes(0, 1) if done else np.asarray(state.points.position)[:, None]
    chains = reference.to_target(chains)
    d = chains.shape[-1]
    nothing = np.full(d, np.nan)
    N = chains.shape[0] * chains.shape[1]
    m = min(n, N)
    diagnostics: dict[str, Any] = {
        "sampler": kind,
        "reason": clock.reason,
        "seconds": clock.seconds,
        "rhat": rhat(chains) if done >= 8 else nothing,
        "ess_bulk": _kept(ess_bulk(chains), m, N) if done >= 8 else nothing,
        "ess_tail": _kept(ess_tail(chains), m, N) if done >= 8 else nothing,
        "acceptance": float(state.acceptance) / max(done, 1),
        "divergences": int(state.divergences),
        "step": float(jnp.exp(state.log_step_mean)),
        "chains": chains.shape[0],
        "warmup": min(int(state.t), WARMUP),
        "evaluations": int(state.evaluations) * chains.shape[0],
    }
    flat = chains.reshape(-1, d)
    order = np.random.default_rng(np.asarray(jax.random.key_data(key))).permutation(len(flat))[:n]
    return Draws(jnp.asarray(flat[order]), None, diagnostics, kind, judge_chains(diagnostics, m))


def _kept(ess: Float[np.ndarray, " d"], m: int, N: int) -> Float[np.ndarray, " d"]:
    """The effective size of m draws taken at random from N whose effective size is `ess`."""
    return 1.0 / (1.0 / np.maximum(ess, 1e-12) + 1.0 / m - 1.0 / N)
