"""From all that was measured to draws of the posterior: the likelihood, summed over every event of every experiment."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy.stats import multivariate_t

from quincunx.design import Belief
from quincunx.design.density import Density, density_of, distinct, log_each
from quincunx.design.space import Design
from quincunx.errors import UnexplainedData
from quincunx.infer.potential import constrained
from quincunx.infer.samplers import draw
from quincunx.infer.sets import padded_size
from quincunx.lab.loop.history import History
from quincunx.model import Prior, Simulator
from quincunx.model.precision import double_scope

__all__ = ["DRAWS", "believe", "log_likelihoods", "pairwise"]

DRAWS = 16_384
"""How many draws stand for what is believed."""
_ENOUGH = 2_000
"""Effective draws that are enough."""
_REFITS = 4
_BLOCK = 1 << 19


def believe(
    simulator: Simulator, history: History, *, key: PRNGKeyArray, n: int = DRAWS, estimator: Any = None
) -> Belief:
    """Draws of p(theta | everything that was told), anew from the prior each time: no error of an earlier round is carried on.

    Prior draws are weighted by the likelihood while enough of them count; then draws of a Student distribution that is fitted to them, mixed with the
    prior; and where neither has enough effective draws, as with several narrow modes, tempered SMC moves to the posterior.

    With an `estimator` its likelihood is taken instead of the simulator's own.

    Raises:
        NoDensity: without a likelihood. UnexplainedData: if the data are impossible at every parameter.
        ImproperBelief: for a prior that cannot be drawn from.
    """
    k_prior, k_resample = jax.random.split(key)
    prior = Belief.of(simulator.prior, n, k_prior)
    if not len(history):
        return prior
    density = density_of(simulator, estimator)
    log_w = log_likelihoods(density, prior.draws, history)
    if not np.isfinite(np.max(log_w)):
        raise UnexplainedData(
            "got data that are impossible at every parameter that was tried; expected data that the simulator can give; check their "
            "units and settings, or widen the prior"
        )
    draws, rng = prior.draws, np.random.default_rng(np.asarray(jax.random.key_data(k_resample)))
    for again in range(_REFITS + 1):
        weights = np.exp(log_w - np.max(log_w))
        if weights.sum() ** 2 / np.sum(weights**2) >= _ENOUGH:
            named = Belief(simulator.prior, draws).named()
            return Belief.of(named, n, k_resample, prior=simulator.prior, weights=weights)
        if again < _REFITS:
            draws, log_w = _refitted(simulator.prior, density, history, draws, weights, rng)
    return _sampled(simulator, density, history, n, k_resample)


def _refitted(
    prior: Prior,
    density: Density,
    history: History,
    draws: Float[np.ndarray, "n d"],
    weights: Float[np.ndarray, " n"],
    rng: np.random.Generator,
) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, " n"]]:
    """Draws of a Student distribution with the moments of weighted ones in unconstrained space, a tenth of them of the prior, and their log-weights."""
    n = len(draws)
    u = np.asarray(prior.to_unconstrained(draws), np.float64)
    share = weights / weights.sum()
    mean = share @ u
    centred = u - mean
    spread = (centred * share[:, None]).T @ centred
    # a single draw that counts has no spread of its own: never narrower than by a hundredth of what the draws before had
    spread += 1e-4 * np.diag(np.var(u, axis=0)) + 1e-12 * np.eye(len(mean))
    student = multivariate_t(mean, 1.5 * spread, df=5, seed=rng)
    few = n // 10
    k_few = jax.random.key(int(rng.integers(2**31)))
    of_prior = np.asarray(prior.to_unconstrained(prior.sample_flat(few, key=k_few)), np.float64)
    fresh = np.concatenate([np.reshape(student.rvs(n - few), (n - few, -1)), of_prior])
    theta = np.asarray(prior.to_constrained(fresh.astype(np.float32)), np.float64)
    log_prior = np.asarray(prior.log_prob_unconstrained(fresh.astype(np.float32)), np.float64)
    log_q = np.logaddexp(np.log(0.9) + np.atleast_1d(student.logpdf(fresh)), np.log(0.1) + log_prior)
    log_w = log_likelihoods(density, theta, history) + log_prior - log_q
    return theta, np.where(np.isfinite(log_w), log_w, -np.inf)


def log_likelihoods(density: Density, theta: Float[np.ndarray, "n d"], history: History) -> Float[np.ndarray, " n"]:
    """sum over all events of log p(x | theta, design) at flat parameters, in float64."""
    x, settings, mask = _padded(history)
    size = min(padded_size(len(theta)), max(1, _BLOCK // len(mask)))
    count = -(-len(theta) // size)
    rows = theta[np.minimum(np.arange(count * size), len(theta) - 1)]
    with double_scope():
        parts = [np.asarray(_table(density, rows[i * size : (i + 1) * size], x, settings, mask)) for i in range(count)]
    found = np.concatenate(parts)[: len(theta)]
    return np.where(np.isnan(found), -np.inf, found)


@eqx.filter_jit
def _table(density: Density, theta: Array, x: Any, settings: Any, mask: Array) -> Array:
    return jax.vmap(lambda row: _total(density, row, x, settings, mask))(theta)


def _total(density: Density, theta: Array, x: Any, settings: Any, mask: Array) -> Array:
    each = log_each(density, theta, x, settings)
    return jnp.sum(jnp.where(mask > 0, each, 0.0))


def pairwise(density: Density, theta: Float[np.ndarray, "n d"], x: Any, design: Design) -> Float[np.ndarray, " n"]:
    """sum over the events of each of n experiments of log p(x_i | theta_i, design): every experiment at parameters of its own."""
    with double_scope():
        settings = {name: np.asarray(value, np.float64) for name, value in design.items()}
        found = np.asarray(_pairs(density, theta, jax.tree.map(lambda a: np.asarray(a, np.float64), x), settings))
    return np.where(np.isnan(found), -np.inf, found)


@eqx.filter_jit
def _pairs(density: Density, theta: Array, x: Any, settings: Any) -> Array:
    def one(row: Array, events: Any) -> Array:
        return jnp.sum(density.of_events(row, events, settings))

    return jax.vmap(one)(theta, x)


def _padded(history: History) -> tuple[Any, Any, np.ndarray]:
    """Events repeated up to a power of two, so that few lengths are compiled."""
    x, settings = history.events(), history.settings()
    n = len(jax.tree.leaves(x)[0])
    size = padded_size(n)
    rows = np.minimum(np.arange(size), n - 1)
    return (
        jax.tree.map(lambda a: a[rows], x),
        distinct({name: values[rows] for name, values in settings.items()}),
        (np.arange(size) < n).astype(np.float64),
    )


def _sampled(simulator: Simulator, density: Density, history: History, n: int, key: PRNGKeyArray) -> Belief:
    prior = simulator.prior
    start = np.asarray(prior.to_unconstrained(prior.sample_flat(4096, key=key)))
    x, settings, mask = jax.tree.map(_single, _padded(history))
    drawn = draw(_log_density, (prior, density, x, settings, mask), prior_sample=start, n=n, key=key, sampler="smc")
    theta = np.asarray(constrained(prior, drawn.u), np.float64)
    order = np.random.default_rng(np.asarray(jax.random.key_data(key))).permutation(len(theta))
    return Belief(prior, theta[order])


def _single(a: np.ndarray) -> Array:
    return jnp.asarray(a) if a.dtype.kind == "i" else jnp.asarray(a, jnp.float32)


def _log_density(u: Float[Array, " d"], data: Any) -> Float[Array, ""]:
    prior, density, x, settings, mask = data
    theta = prior.to_constrained(u)
    return _total(density, theta, x, settings, mask).astype(u.dtype) + prior.log_prob_unconstrained(u)
