"""The parameters of highest posterior density, without gradients."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from quincunx.infer.posterior import Posterior

_POPULATION = 1024
_ELITE = 64
_ROUNDS = 40


def mode(posterior: Posterior, *, key: PRNGKeyArray) -> dict[str, Array]:
    """argmax of log p(theta | x_o) by the cross-entropy method in unconstrained space, started at the densest draw.

    Each round draws a population from a normal and refits it to its best sixteenth; the compiled log-density of the posterior is all it
    needs. The mode is that of the density of theta, so it moves under reparametrisation, unlike the draws.
    """
    prior = posterior.prior
    k_start, k_search = jax.random.split(key)
    theta = posterior.run(_POPULATION, key=k_start).theta
    u = np.asarray(prior.to_unconstrained(theta), np.float64)
    value = np.asarray(posterior.log_prob_flat(theta))
    best, best_value = u[np.argmax(value)], float(np.max(value))
    spread = u.std(0) + 1e-12
    near = np.argsort((((u - best) / spread) ** 2).sum(1))[: max(_ELITE, 2 * u.shape[1])]
    mean, covariance = best, np.cov(u[near], rowvar=False).reshape(u.shape[1], -1)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(k_search)))
    for _ in range(_ROUNDS):
        jitter = 1e-12 * np.diag(spread**2)
        u = rng.multivariate_normal(mean, covariance + jitter, _POPULATION, method="eigh")
        value = np.asarray(posterior.log_prob_flat(prior.to_constrained(jnp.asarray(u, jnp.float32))))
        value = np.where(np.isfinite(value), value, -np.inf)
        elite = u[np.argsort(-value)[:_ELITE]]
        if value.max() > best_value:
            best, best_value = u[np.argmax(value)], float(value.max())
        mean, covariance = elite.mean(0), 1.2 * np.cov(elite, rowvar=False).reshape(u.shape[1], -1)
        if np.all(np.sqrt(np.diag(covariance)) < 1e-4 * spread):
            break
    return prior.unflatten(prior.to_constrained(jnp.asarray(best, jnp.float32)))
