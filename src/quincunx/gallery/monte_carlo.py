"""Reference posteriors by long, checked Monte Carlo on a known likelihood."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy import stats

from quincunx.errors import NoTruth
from quincunx.gallery.precision import double_scope
from quincunx.gallery.problem import ReferenceDraws
from quincunx.model.simulator import rng_from_key

_JUMP = 0.1
_NUDGE = 1e-4
_FREEDOM = 4.0
_ESS_FRACTION = 0.5
_SWEEPS_A_TEMPERATURE = 6


@dataclasses.dataclass(frozen=True, eq=False)
class MonteCarlo:
    """Draws of p(theta | x), by an ensemble of chains in coordinates z in which the prior is N(0, I).

    `from_normal(z)` gives the parameters as a dictionary, `log_likelihood(theta, x)` the log-density, both in JAX. All
    runs in float64 within a scope.

    The chains start from the prior and are brought to the posterior by adaptive tempering (each temperature keeps half
    the effective sample size). They then move by two kinds of Metropolis proposals, alternating at random: differential
    evolution (a multiple of the difference of two members of the other half of the ensemble, at times the full
    difference, which jumps between modes) and an independent multivariate t with the ensemble's mean and covariance.
    `snapshots` states of each chain, `thin` sweeps apart, are kept, and R-hat and the effective sample size are taken
    over them. `thin` is doubled up to three times while R-hat is above 1.01.
    """

    from_normal: Callable[[Array], dict[str, Array]]
    log_likelihood: Callable[[dict[str, Array], Any], Array]
    dim: int
    chains: int = 400
    snapshots: int = 50
    thin: int = 20
    warmup: int = 40

    def __call__(self, x: Any, n: int, *, key: PRNGKeyArray) -> ReferenceDraws:
        """n draws given x, a random subset of all states kept (of which there are at least n)."""
        keys = iter(jax.random.split(key, 1000))
        rng = rng_from_key(next(keys))
        with double_scope():
            x = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), x)
            z = jnp.asarray(rng.standard_normal((self.chains, self.dim)), jnp.float64)
            ensemble = self._temper(z, x, rng, keys)
            ensemble = self._advance(ensemble, x, 1.0, keys, self.warmup)
            thin = self.thin
            for attempt in range(4):
                states = []
                for _ in range(max(self.snapshots, -(-n // self.chains))):
                    ensemble = self._advance(ensemble, x, 1.0, keys, thin)
                    states.append(np.asarray(ensemble[0]))
                z_kept = np.stack(states, axis=1)
                r_hat, ess = diagnose(z_kept)
                if r_hat <= ReferenceDraws.R_HAT_LIMIT or attempt == 3:
                    break
                thin *= 2
            pool = z_kept.reshape(-1, self.dim)
            chosen = pool[rng.choice(len(pool), n, replace=False)]
            theta = jax.vmap(self.from_normal)(jnp.asarray(chosen))
            draws = {name: np.asarray(value) for name, value in theta.items()}
        return ReferenceDraws(draws, r_hat, ess)

    def _temper(self, z: Array, x: Any, rng: np.random.Generator, keys: Any) -> tuple[Array, Array]:
        """From the prior to the posterior in steps that each keep half the effective sample size."""
        ensemble = self._advance((z, jnp.full(len(z), jnp.nan, jnp.float64)), x, 0.0, keys, 1)
        temperature = 0.0
        while temperature < 1.0:
            log_likelihood = np.asarray(ensemble[1])
            if not np.isfinite(log_likelihood).any():
                raise NoTruth(
                    f"got an observation that none of {len(log_likelihood)} prior draws can produce; expected "
                    "a possible one; check its shape, order and units against a simulation"
                )
            step = _next_step(log_likelihood, 1.0 - temperature)
            chosen = _systematic(_weights(step * log_likelihood), rng)
            temperature = min(temperature + step, 1.0)
            ensemble = (ensemble[0][chosen], ensemble[1][chosen])
            ensemble = self._advance(ensemble, x, temperature, keys, _SWEEPS_A_TEMPERATURE)
        return ensemble

    def _advance(
        self, ensemble: tuple[Array, Array], x: Any, temperature: float, keys: Any, sweeps: int
    ) -> tuple[Array, Array]:
        z = np.asarray(ensemble[0])
        factor = np.linalg.cholesky(np.cov(z.T).reshape(self.dim, self.dim) + 1e-12 * np.eye(self.dim))
        proposal = (jnp.asarray(z.mean(axis=0)), jnp.asarray(factor))
        functions = (self.from_normal, self.log_likelihood)
        return _sweep(functions, *ensemble, x, jnp.float64(temperature), proposal, next(keys), 2 * sweeps)


@functools.partial(jax.jit, static_argnums=0)
def _sweep(functions, z, level, x, temperature, proposal, key, half_sweeps):
    """Update one half of the ensemble given the other, then the other way round, so many times.

    `level` is log p(x | z) of each chain; NaN means that it has not been computed yet, and such a chain stays where it
    is while it is. The likelihood appears once in the compiled program, whatever the number of sweeps.
    """
    from_normal, log_likelihood = functions
    half, dim = len(z) // 2, z.shape[1]
    mean, factor = proposal

    def evaluate(z):
        value = jax.vmap(lambda one: log_likelihood(from_normal(one), x))(z)
        return jnp.where(jnp.isnan(value), -jnp.inf, value)

    def log_proposal(z):
        square = jnp.sum(jax.scipy.linalg.solve_triangular(factor, (z - mean).T, lower=True) ** 2, axis=0)
        return -0.5 * (_FREEDOM + dim) * jnp.log1p(square / _FREEDOM)

    def half_sweep(i, state):
        z, level = state
        active, old = z[:half], level[:half]
        keys = jax.random.split(jax.random.fold_in(key, i), 8)
        first = jax.random.randint(keys[0], (half,), 0, half)
        second = (first + jax.random.randint(keys[1], (half,), 1, half)) % half
        scale = 2.38 / math.sqrt(2 * dim) * jax.random.uniform(keys[2], (half, 1), minval=0.2)
        scale = jnp.where(jax.random.bernoulli(keys[3], _JUMP, (half, 1)), 1.0, scale)
        others = z[half:]
        walk = active + scale * (others[first] - others[second])
        walk = walk + _NUDGE * jax.random.normal(keys[4], walk.shape) @ factor.T
        # Chi-squared over its degrees of freedom, for four of them the mean of two unit exponentials.
        shrink = jnp.sqrt(jax.random.exponential(keys[5], (2, half, 1)).mean(axis=0))
        jump = mean + (jax.random.normal(keys[6], walk.shape) / shrink) @ factor.T
        coin, uniform = jax.random.uniform(keys[7], (2, half))
        fresh = jnp.isnan(old)
        walks = coin < 0.5
        new = jnp.where(walks[:, None], walk, jump)
        new = jnp.where(fresh[:, None], active, new)
        new_level = evaluate(new)
        prior = -0.5 * jnp.sum(new**2 - active**2, axis=1)
        correction = jnp.where(walks, 0.0, log_proposal(active) - log_proposal(new))
        ratio = prior + temperature * (new_level - old) + correction
        accept = fresh | (jnp.log(uniform) < ratio)
        active = jnp.where(accept[:, None], new, active)
        level_active = jnp.where(accept, new_level, old)
        return jnp.concatenate([others, active]), jnp.concatenate([level[half:], level_active])

    return jax.lax.fori_loop(0, half_sweeps, half_sweep, (z, level))


def diagnose(states: Float[np.ndarray, "chains snapshots dim"]) -> tuple[float, float]:
    """The worst rank-normalised split R-hat (bulk and folded, 1903.08008) and effective sample size over coordinates.

    The effective sample size compares the variance of the chains' means with the variance of all states.

    >>> r_hat, ess = diagnose(np.random.default_rng(0).normal(size=(500, 16, 2)))
    >>> r_hat < 1.02, 6000 < ess < 10000
    (True, True)
    """
    r_hats, sizes = [], []
    for coordinate in np.moveaxis(states, -1, 0):
        chains, length = coordinate.shape
        folded = np.abs(coordinate - np.median(coordinate))
        for values in (coordinate, folded):
            ranks = stats.rankdata(values).reshape(values.shape)
            scores = stats.norm.ppf((ranks - 0.375) / (ranks.size + 0.25))
            halves = np.concatenate([scores[:, : length // 2], scores[:, length - length // 2 :]])
            within = halves.var(axis=1, ddof=1).mean()
            between = halves.mean(axis=1).var(ddof=1)
            r_hats.append(np.sqrt((1 - 1 / (length // 2)) + between / within))
        sizes.append(chains * coordinate.var() / max(coordinate.mean(axis=1).var(ddof=1), 1e-300))
    return float(np.max(r_hats)), float(np.min(sizes))


def _weights(log_weights: np.ndarray) -> np.ndarray:
    weights = np.exp(log_weights - log_weights.max())
    return weights / weights.sum()


def _next_step(log_likelihood: np.ndarray, left: float) -> float:
    """The largest step in inverse temperature that keeps half the effective sample size (of the possible states)."""
    possible = np.isfinite(log_likelihood).sum()

    def effective(step: float) -> float:
        return 1 / np.sum(_weights(step * log_likelihood) ** 2) / possible

    if effective(left) >= _ESS_FRACTION:
        return left
    low, high = 0.0, left
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if effective(middle) >= _ESS_FRACTION else (low, middle)
    return max(low, 1e-12 * left)


def _systematic(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    positions = (np.arange(len(weights)) + rng.random()) / len(weights)
    return np.minimum(np.searchsorted(np.cumsum(weights), positions), len(weights) - 1)
