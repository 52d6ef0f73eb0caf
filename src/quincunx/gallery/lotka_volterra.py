"""Predators and prey (2101.04653, T.10)."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float

from quincunx.gallery.benchmark import observed, true_parameters
from quincunx.gallery.catalogue import entry
from quincunx.gallery.monte_carlo import MonteCarlo
from quincunx.gallery.ode import solve
from quincunx.gallery.problem import Problem, Truth
from quincunx.gallery.sensitivity import forward_sensitivities
from quincunx.model import Prior, simulator

NAMES = ("alpha", "beta", "gamma", "delta")
START = (30.0, 1.0)
NOISE = 0.1
TIMES = np.arange(10) * 2.1
FLOOR, CEILING = 1e-10, 1e4

_MEAN = np.array([-0.125, -3.0, -0.125, -3.0])
_SD = 0.5


def problem() -> Problem:
    """log theta ~ N((-0.125, -3, -0.125, -3), 0.5^2) for theta = (alpha, beta, gamma, delta);

        dX/dt = alpha X - beta X Y,   dY/dt = -gamma Y + delta X Y,   (X, Y)(0) = (30, 1),

    and x holds X, then Y, at times 0, 2.1, ..., 18.9, each times LogNormal(0, 0.1) noise (populations are first clipped
    to [1e-10, 1e4]). Learn from log x: a population spans many orders of magnitude.

    The stored observations and the published reference draws were made with a solver at a relative tolerance of 1e-3,
    and here it is 3e-6 (1e-8 for the likelihood in float64).

    >>> problem().observation(1).shape
    (20,)
    """
    truth = Truth(kind="likelihood", log_likelihood=log_likelihood)
    prior = Prior(**{name: dist.LogNormal(mean, _SD) for name, mean in zip(NAMES, _MEAN)})
    columns = [f"{animal} at {time:.1f}" for animal in ("prey", "predators") for time in TIMES]

    @simulator(prior, name="lotka_volterra", observables=columns, tractable=truth)
    def simulate(theta, *, key, design=None):
        clean = _log_populations(jnp.stack([theta[name] for name in NAMES]))
        return jnp.exp(clean + NOISE * jax.random.normal(key, (20,)))

    values = true_parameters("lotka_volterra")
    recorded = (observed("lotka_volterra"), {name: values[:, i] for i, name in enumerate(NAMES)})
    default = {"alpha": 0.88, "beta": 0.05, "gamma": 0.88, "delta": 0.05}
    return Problem(entry("lotka_volterra"), simulate, truth, default, recorded=recorded, sampler=_chains)


def log_likelihood(theta: dict, x: Float[Array, " 20"]) -> Float[Array, ""]:
    """sum_i log LogNormal(x_i; log X(t_i), 0.1); NaN where the solver gives up."""
    clean = _log_populations_differentiable(jnp.stack([jnp.asarray(theta[name]) for name in NAMES]))
    z = (jnp.log(x) - clean) / NOISE
    return jnp.sum(-0.5 * z**2 - jnp.log(x)) - 20 * math.log(NOISE * math.sqrt(2 * math.pi))


def _log_populations(rates: Float[Array, " 4"]) -> Float[Array, " 20"]:
    """log X and log Y at the times observed, NaN where the solver gives up.

    In logarithms the equations are u' = alpha - beta e^v, v' = delta e^u - gamma: populations stay positive through
    troughs of e^-50. The exponents are capped at 30, far above any population reached, so that a trial step that
    overshoots is rejected instead of ending in infinity.
    """
    alpha, beta, gamma, delta = rates

    def field(t, state, _):
        prey, predators = jnp.exp(jnp.minimum(state[0], 30.0)), jnp.exp(jnp.minimum(state[1], 30.0))
        return alpha - beta * predators, delta * prey - gamma

    start = tuple(math.log(value) * jnp.ones_like(alpha) for value in START)
    return jnp.clip(jnp.concatenate(solve(field, start, TIMES)), math.log(FLOOR), math.log(CEILING))


_log_populations_differentiable = forward_sensitivities(_log_populations)


def _from_normal(z: Float[Array, " 4"]) -> dict:
    values = jnp.exp(_MEAN + _SD * z)
    return {name: values[i] for i, name in enumerate(NAMES)}


_chains = MonteCarlo(_from_normal, log_likelihood, dim=4, chains=300, snapshots=60, thin=5)
