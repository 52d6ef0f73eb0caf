"""The three pieces every tempered population needs: effective size, the next inverse temperature, resampling."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def effective_size(log_weight: Float[Array, " P"]) -> Float[Array, ""]:
    """ESS = (sum w)^2 / sum w^2, from unnormalised log-weights.

    >>> import jax.numpy as jnp
    >>> float(effective_size(jnp.zeros(8)))
    8.0
    """
    w = jnp.exp(log_weight - jnp.max(log_weight))
    return jnp.sum(w) ** 2 / jnp.sum(w * w)


def next_beta(log_ratio: Float[Array, " P"], beta: Float[Array, ""], target: float) -> Float[Array, ""]:
    """The largest beta' <= 1 at which weights exp((beta' - beta) log_ratio) keep ESS >= target * P, found by bisection.

    `log_ratio` is log target - log reference at the particles; -inf is a particle outside the target's support.
    """
    size = target * log_ratio.shape[0]

    def halve(i: Array, interval: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = interval
        # The whole step comes first: if it is allowed, low = high and the rest changes nothing.
        middle = jnp.where(i == 0, high, 0.5 * (low + high))
        enough = effective_size(middle * log_ratio) >= size
        return jnp.where(enough, middle, low), jnp.where(enough, high, middle)

    whole = 1.0 - beta
    step, _ = jax.lax.fori_loop(0, 25, halve, (jnp.full_like(whole, 1e-7), whole))
    return jnp.where(step >= whole, 1.0, beta + step)


def resample(log_weight: Float[Array, " P"], offset: Float[Array, ""]) -> Int[Array, " P"]:
    """Systematic resampling with a uniform offset: indices in which particle i occurs floor or ceil of P w_i times.

    >>> import jax.numpy as jnp
    >>> resample(jnp.log(jnp.array([0.5, 0.25, 0.25, 1e-9])), jnp.array(0.5)).tolist()
    [0, 0, 1, 2]
    """
    P = log_weight.shape[0]
    cumulative = jnp.cumsum(jax.nn.softmax(log_weight))
    points = (jnp.arange(P, dtype=cumulative.dtype) + offset) / P * cumulative[-1]
    # Comparing all pairs is one small kernel to compile and, for thousands, as quick as a search.
    method = "compare_all" if P <= 8192 else "scan"
    return jnp.clip(jnp.searchsorted(cumulative, points, method=method), 0, P - 1)
