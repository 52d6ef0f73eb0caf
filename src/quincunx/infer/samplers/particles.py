"""Tempered SMC from start to finish: how many particles, the clock, the draws and their diagnostics."""

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from quincunx.errors import UsageError
from quincunx.infer.samplers.budget import Clock
from quincunx.infer.samplers.diagnostics import ess_genealogy, family_rhat, rank_normal
from quincunx.infer.samplers.draws import Draws
from quincunx.infer.samplers.evidence import bridge
from quincunx.infer.samplers.moves import LogDensity
from quincunx.infer.samplers.pareto import pareto_smooth
from quincunx.infer.samplers.reference import Reference, Standardised, fit_reference
from quincunx.infer.samplers.smc import SMCSettings, SMCState, advance, advance_many, again, start
from quincunx.infer.samplers.verdict import judge_particles

STRIDE = 8
"""Sweeps between two looks at the clock."""
SWEEP_LIMIT = 2000
MANY_PARTICLES = 32_768
"""Particles of all observations together that walk side by side in `run_smc_many`; more would only fill memory."""


STUCK = 0.3
"""Draws that keep this correlation with where the particles stood have not moved enough."""
JUMP_DIM = 10
"""Up to this dimension jumps from the fitted mixture decorrelate well, and the gradient is left out unless they turn out not to."""


def settings_for(n: int, dim: int, *, gradient: bool, particles: int | None = None) -> SMCSettings:
    """As many particles as draws between 1,024 and 4,096 (or as told), and as many mixture components as they can support, at most 32."""
    P = particles or min(max(n, 1024), 4096)
    return SMCSettings(
        particles=P, components=int(np.clip(P // (8 * dim), 1, 32)), gradient=gradient and dim > JUMP_DIM
    )


def run_smc(
    log_density: LogDensity,
    data: PyTree,
    *,
    prior_sample: Float[np.ndarray, "m d"],
    n: int,
    key: PRNGKeyArray,
    gradient: bool = True,
    particles: int | None = None,
    budget_seconds: float | None = None,
) -> Draws:
    """n draws by adaptive tempered SMC with the log evidence; raises `UsageError` if the density is nowhere finite.

    In few dimensions the moves do without the gradient, which costs thrice a density; if the draws then stay correlated with where the
    particles stood, the drawing is repeated with Hamiltonian moves (`gradient`).
    """
    clock = Clock(budget_seconds)
    settings = settings_for(n, prior_sample.shape[1], gradient=gradient, particles=particles)
    reference = fit_reference(prior_sample)
    density, both = Standardised(log_density), (data, jax.tree.map(jnp.asarray, reference))
    state = start(n, prior_sample.shape[1], settings, key=key, dtype=prior_sample.dtype)

    def step(state: SMCState, stop_at: Int[Array, ""]) -> SMCState:
        return advance(density, both, state, settings, stop_at)

    # A look at the first sweep: without one finite density the rest would be for nothing.
    state = _somewhere_finite(clock.run(step, state, _sweeps, 1, 1))
    state = clock.run(step, state, _sweeps, STRIDE, SWEEP_LIMIT)
    if gradient and not settings.gradient and clock.reason == "finished" and state.worst_correlation > STUCK:
        settings = replace(settings, gradient=True)
        state = clock.run(step, again(density, both, state), _sweeps, STRIDE, int(state.sweeps) + SWEEP_LIMIT)
    u, diagnostics = _collect(_record(state, reference), n, clock.reason, order=_seed_of(key))
    diagnostics["seconds"] = clock.seconds
    return Draws(jnp.asarray(u), None, diagnostics, "smc", judge_particles(diagnostics, len(u)))


def run_smc_many(
    log_density: LogDensity,
    data: PyTree,
    *,
    axes: PyTree,
    prior_sample: Float[np.ndarray, "m d"],
    n: int,
    key: PRNGKeyArray,
    gradient: bool = True,
    particles: int | None = None,
    budget_seconds: float | None = None,
) -> Draws:
    """n draws for each of B observations, walking side by side; one compilation whatever B is.

    `axes` says which parts of `data` count observations along their first axis, as `jax.vmap`'s `in_axes` does (0 or None). Every observation has
    its own key, so its draws do not depend on its neighbours. Observations the budget does not reach are NaN.
    """
    clock = Clock(budget_seconds)
    d = prior_sample.shape[1]
    settings = settings_for(n, d, gradient=gradient, particles=particles or min(max(n, 256), 4096))
    B = _count(data, axes)
    chunks = -(-B // max(1, min(B, MANY_PARTICLES // settings.particles)))
    width = -(-B // chunks)
    reference = fit_reference(prior_sample)
    density, shared = Standardised(log_density), jax.tree.map(jnp.asarray, reference)
    one = start(n, d, settings, key=key, dtype=prior_sample.dtype)
    u = np.full((B, n, d), np.nan, prior_sample.dtype)
    records: list[dict[str, Any]] = []
    for first in range(0, B, width):
        # The last chunk is filled up with its own last observation, so that it has the shape that is already compiled.
        rows = np.minimum(np.arange(first, first + width), B - 1)
        part = _take(data, axes, rows)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.asarray(rows))
        state = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (width, *leaf.shape)), _replace_key(one, None))

        def step(state: SMCState, stop_at: Int[Array, ""], part: PyTree = part) -> SMCState:
            return advance_many(density, (part, shared), (axes, None), state, settings, stop_at)

        state = _somewhere_finite(clock.run(step, _replace_key(state, keys), _sweeps, 1, 1))
        state = clock.run(step, state, _sweeps, STRIDE, SWEEP_LIMIT)
        record = _record(state, reference)
        for i in range(min(width, B - first)):
            draws, diagnostics = _collect(
                {name: value[i] for name, value in record.items()}, n, clock.reason, order=first + i
            )
            u[first + i, : len(draws)] = draws
            records.append(diagnostics)
        if clock.reason != "finished":
            break
    diagnostics = {
        name: np.stack([np.asarray(r[name]) for r in records])
        for name in records[0]
        if name not in ("sampler", "reason")
    }
    diagnostics |= {"sampler": "smc", "reason": clock.reason, "seconds": clock.seconds}
    said = [sentence for r in records for sentence in judge_particles(r, n)]
    return Draws(jnp.asarray(u), None, diagnostics, "smc", _tally(said, B))


def _somewhere_finite(state: SMCState) -> SMCState:
    finite = np.isfinite(np.asarray(state.population.rows[..., 0])).any(-1)
    if np.all(np.asarray(state.sweeps) > 0) and not finite.all():
        raise UsageError(
            f"the log-density is not finite at any of {state.population.rows.shape[-2]} points drawn like the prior sample"
            + (f" for {np.sum(~finite)} of {finite.size} observations" if finite.size > 1 else "")
            + "; expected finite values over most of the prior: check the observation and the log-density"
        )
    return state


def _sweeps(state: SMCState) -> int:
    return int(state.sweeps.max())


def _record(state: SMCState, reference: Reference) -> dict[str, np.ndarray]:
    names = (
        "stored", "eve", "beta", "worst_correlation", "jump_acceptance", "local_acceptance", "levels", "sweeps", "evaluations",
        "divergences", "log_step",
    )  # fmt: skip
    record = {name: np.asarray(getattr(state, name)) for name in names}
    rows = np.asarray(state.population.rows)
    record["u"] = reference.to_target(rows[..., 1 : 1 + reference.centre.size])
    record["draws"] = reference.to_target(np.asarray(state.draws))
    record["log_ratio"] = np.asarray(state.log_ratio)
    record["log_det"] = np.full(record["beta"].shape, reference.log_det)
    return record


def _collect(
    record: dict[str, Any], n: int, reason: str, *, order: int
) -> tuple[Float[np.ndarray, "m d"], dict[str, Any]]:
    stored = int(record["stored"])
    S, P, d = record["draws"].shape
    if reason == "finished" and stored < S:
        reason = "budget"
    rows = record["draws"][:stored].reshape(-1, d) if stored else record["u"]
    eve = np.tile(record["eve"], max(stored, 1))
    pick = np.random.default_rng(order).permutation(len(rows))[:n]
    N, m = len(rows), len(pick)
    low, high = np.quantile(rows, [0.05, 0.95], axis=0)
    features = np.concatenate([rank_normal(rows[None])[0], rows <= low, rows <= high], 1)
    # Fewer draws than particles: the subsample adds its own variance to the population's.
    ess = 1.0 / (1.0 / np.maximum(ess_genealogy(features, eve), 1e-12) + 1.0 / m - 1.0 / N)
    evidence, error = bridge(*record["log_ratio"]) if stored else (np.nan, np.nan)
    projection = rows.astype(np.float64) @ np.random.default_rng(0).normal(size=d)
    return rows[pick], {
        "sampler": "smc",
        "reason": reason,
        "rhat": family_rhat(rows, eve),
        "ess_bulk": ess[:d],
        "ess_tail": np.minimum(ess[d : 2 * d], ess[2 * d :]),
        "acceptance": float(record["local_acceptance"]),
        "jump_acceptance": float(record["jump_acceptance"]),
        "divergences": int(record["divergences"]),
        "correlation": float(record["worst_correlation"]),
        "unique": len(np.unique(projection)) / N,
        "pareto_k": pareto_smooth(record["log_ratio"][1])[1] if stored else float("nan"),
        "log_evidence": evidence + float(record["log_det"]),
        "log_evidence_error": error,
        "temperature": float(record["beta"]),
        "levels": int(record["levels"]),
        "sweeps": int(record["sweeps"]),
        "step": float(np.exp(record["log_step"])),
        "particles": P,
        "evaluations": int(record["evaluations"]) * P,
    }


def _tally(sentences: list[str], B: int) -> tuple[str, ...]:
    if not sentences:
        return ()
    return (f"{len(sentences)} complaints about {B} observations, the first: {sentences[0]}",)


def _seed_of(key: PRNGKeyArray) -> int:
    return int(np.asarray(jax.random.key_data(key)).astype(np.uint64).sum())


def _replace_key(state: SMCState, key: PyTree) -> SMCState:
    return eqx.tree_at(lambda s: s.key, state, key, is_leaf=lambda leaf: leaf is None)


def _count(data: PyTree, axes: PyTree) -> int:
    sizes = {leaf.shape[0] for leaf in jax.tree.leaves(_batched(data, axes))}
    if len(sizes) != 1:
        raise UsageError(
            f"got leading sizes {sorted(sizes)} in the observations; expected one number of observations along every first axis"
        )
    return sizes.pop()


def _batched(data: PyTree, axes: PyTree) -> PyTree:
    if axes == 0:
        return data
    return [part for part, axis in zip(data, axes, strict=True) if axis == 0]


def _take(data: PyTree, axes: PyTree, rows: Int[np.ndarray, " w"]) -> PyTree:
    def take(part: PyTree) -> PyTree:
        return jax.tree.map(lambda leaf: jnp.asarray(leaf)[rows], part)

    if axes == 0:
        return take(data)
    return tuple(take(part) if axis == 0 else part for part, axis in zip(data, axes, strict=True))
