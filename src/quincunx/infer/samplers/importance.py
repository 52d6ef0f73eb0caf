"""Sampling-importance-resampling from a proposal whose log-density is known, with Pareto-smoothed weights."""

import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quincunx.errors import SamplerWarning, UsageError
from quincunx.infer.samplers.draws import Draws
from quincunx.infer.samplers.moves import LogDensity
from quincunx.infer.samplers.pareto import pareto_smooth
from quincunx.infer.samplers.verdict import judge_weights
from quincunx.values import as_key


def importance(
    log_density: LogDensity,
    data: PyTree,
    *,
    proposal_sample: Float[Array | np.ndarray, "m d"],
    proposal_log_prob: Float[Array | np.ndarray, " m"],
    n: int | None = None,
    key: PRNGKeyArray | int = 0,
    warn: bool = True,
) -> Draws:
    """Weigh draws of a proposal by w = exp(log_density - log q), smooth the largest weights, and resample n of them.

    With `n=None` nothing is resampled: the proposal's draws come back with weights. The log evidence is log mean w, right if q is normalised.
    `diagnostics` has `pareto_k` (trust below 0.7), `ess` = (sum w)^2 / sum w^2 and `efficiency` = ess / m. Resampling is systematic and with
    replacement, so keep m several times n. Raises `UsageError` if no weight is finite.

    >>> import jax.numpy as jnp, numpy as np
    >>> u = np.random.default_rng(0).normal(size=(4000, 1)).astype("float32")
    >>> log_q = -0.5 * u[:, 0] ** 2 - 0.5 * np.log(2 * np.pi).astype("float32")
    >>> draws = importance(lambda u, mean: -0.5 * jnp.sum((u - mean) ** 2), 0.5, proposal_sample=u, proposal_log_prob=log_q, n=500)
    >>> abs(float(draws.u.mean()) - 0.5) < 0.15, draws.diagnostics["pareto_k"] < 0.7
    (True, True)
    """
    u = jnp.asarray(proposal_sample)
    log_q = np.asarray(proposal_log_prob, np.float64)
    raw = np.asarray(_values(log_density, data, u), np.float64) - log_q
    raw = np.where(np.isfinite(raw), raw, -np.inf)
    if not np.isfinite(raw).any():
        raise UsageError(
            f"none of {len(raw)} importance weights is finite; expected the proposal to overlap the target: check both log-densities"
        )
    smooth, k = pareto_smooth(raw)
    weight = np.exp(smooth)
    ess = float(1.0 / np.sum(weight**2))
    d = u.shape[1]
    diagnostics: dict[str, Any] = {
        "sampler": "importance",
        "reason": "finished",
        "pareto_k": k,
        "ess": ess,
        "efficiency": ess / len(weight),
        "ess_bulk": np.full(d, ess),
        "ess_tail": np.full(d, ess),
        "rhat": np.full(d, np.nan),
        "divergences": 0,
        "log_evidence": float(np.logaddexp.reduce(raw) - np.log(len(raw))),
        "log_evidence_error": float(np.sqrt(max(1.0 / ess - 1.0 / len(weight), 0.0))),
    }
    said = judge_weights(diagnostics, len(weight))
    if warn:
        for sentence in said:
            warnings.warn(sentence, SamplerWarning, stacklevel=2)
    if n is None:
        return Draws(u, jnp.asarray(weight, u.dtype), diagnostics, "importance", said)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(as_key(key))))
    points = (np.arange(n) + rng.uniform()) / n
    chosen = np.minimum(np.searchsorted(np.cumsum(weight) / weight.sum(), points), len(weight) - 1)
    diagnostics["unique"] = len(np.unique(chosen)) / n
    return Draws(u[rng.permutation(chosen)], None, diagnostics, "importance", said)


@eqx.filter_jit
def _values(log_density: LogDensity, data: PyTree, u: Float[Array, "m d"]) -> Float[Array, " m"]:
    return jax.vmap(lambda v: log_density(v, data))(u)
