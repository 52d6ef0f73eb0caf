"""An epidemic in a million people, seen through daily samples of a thousand (2101.04653, T.9)."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import gammaln
from jaxtyping import Array, Float

from quincunx.gallery.benchmark import observed, true_parameters
from quincunx.gallery.catalogue import entry
from quincunx.gallery.discrete import draw_binomial
from quincunx.gallery.monte_carlo import MonteCarlo
from quincunx.gallery.ode import solve
from quincunx.gallery.problem import Problem, Truth
from quincunx.gallery.sensitivity import forward_sensitivities
from quincunx.model import Prior, simulator

POPULATION = 1e6
SAMPLE = 1000
DAYS = np.arange(10) * 17.0

_MEAN = np.log([0.4, 0.125])
_SD = np.array([0.5, 0.2])


def problem() -> Problem:
    """beta ~ LogNormal(log 0.4, 0.5), gamma ~ LogNormal(log 0.125, 0.2), both per day;

        dS/dt = -beta S I / N,   dI/dt = beta S I / N - gamma I,   N = 1e6, S(0) = N - 1, I(0) = 1,

    and x_i ~ Binomial(1000, I(t_i) / N) on the days 0, 17, ..., 153. `derived` gives R0 = beta / gamma.

    >>> problem().observation(1)[:4]
    Array([  0.,   1., 352.,  40.], dtype=float32)
    """
    truth = Truth(kind="likelihood", log_likelihood=log_likelihood)
    prior = Prior(
        beta=dist.LogNormal(_MEAN[0], _SD[0]),
        gamma=dist.LogNormal(_MEAN[1], _SD[1]),
        units={"beta": "1/day", "gamma": "1/day"},
    )

    @simulator(
        prior, name="sir", observables=[f"infected on day {day:.0f}" for day in DAYS], units="people", tractable=truth
    )
    def simulate(theta, *, key, design=None):
        share = jnp.exp(_log_infected(jnp.stack([theta["beta"], theta["gamma"]])))
        drawn = draw_binomial(key, SAMPLE, jnp.clip(share, 0.0, 1.0))
        return jnp.where(jnp.isfinite(share), drawn, jnp.nan)

    values = true_parameters("sir")
    recorded = (observed("sir"), {"beta": values[:, 0], "gamma": values[:, 1]})
    return Problem(
        entry("sir"),
        simulate,
        truth,
        {"beta": 0.4, "gamma": 0.125},
        recorded=recorded,
        sampler=_chains,
        derived=lambda theta: {"R0": theta["beta"] / theta["gamma"]},
    )


def log_likelihood(theta: dict, x: Float[Array, " 10"]) -> Float[Array, ""]:
    """sum_i log Binomial(x_i; 1000, I(t_i) / N); NaN where the solver gives up."""
    log_share = _log_infected_differentiable(jnp.stack([jnp.asarray(theta["beta"]), jnp.asarray(theta["gamma"])]))
    log_share = jnp.minimum(log_share, -1e-6)
    choices = gammaln(SAMPLE + 1.0) - gammaln(x + 1.0) - gammaln(SAMPLE - x + 1.0)
    return jnp.sum(choices + x * log_share + (SAMPLE - x) * jnp.log1p(-jnp.exp(log_share)))


def _log_infected(rates: Float[Array, " 2"]) -> Float[Array, " 10"]:
    """log(I/N) on the days observed, NaN where the solver gives up.

    The state is (log i, c) with c the integral of i = I/N, so that S/N = s_0 exp(-beta c) and di/dt = i (beta S/N -
    gamma): both shares stay positive, and i keeps its relative precision from one person in a million onwards.
    """
    beta, gamma = rates

    def field(t, state, _):
        log_i, c = state
        return beta * (1 - 1 / POPULATION) * jnp.exp(-beta * c) - gamma, jnp.exp(log_i)

    start = (-jnp.log(POPULATION) * jnp.ones_like(beta), jnp.zeros_like(beta))
    return solve(field, start, DAYS)[0]


_log_infected_differentiable = forward_sensitivities(_log_infected)


def _from_normal(z: Float[Array, " 2"]) -> dict:
    beta, gamma = jnp.exp(_MEAN + _SD * z)
    return {"beta": beta, "gamma": gamma}


_chains = MonteCarlo(_from_normal, log_likelihood, dim=2, chains=200, snapshots=100, thin=10)
