"""Deaths in a group by the time one looks: one count, whose best time is known to five digits."""

import math

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import gammaln
from jaxtyping import Array, Float
from scipy import special, stats

from quincunx.gallery.catalogue import entry
from quincunx.gallery.discrete import draw_binomial
from quincunx.gallery.enumeration import finite_information
from quincunx.gallery.problem import Problem
from quincunx.gallery.settings import grid_truth, settings_of
from quincunx.model import Prior, simulator

_DEFAULT = {"time": 1.0}
_END = 9.0


def problem(*, population: int = 50) -> Problem:
    """theta ~ N(1, 1) above zero, and of N individuals x ~ Binomial(N, 1 - exp(-theta time)) are dead at a time; x has shape (1,).

    The design is {"time": 0.05 to 5}, 1 by default; `outcomes` are 0 to N. Score (x t / p) exp(-theta t) - (N - x) t with
    p = 1 - exp(-theta t), Fisher information N t^2 exp(-theta t) / p. The expected information gain is the sum over all counts of
    an integral over theta by Gauss and Legendre; for N = 50 it is largest, 1.35592 nats, at t = 1.2758 (Cook, Gibson and Gilligan 2008).

    >>> round(problem().truth.eig({"time": 1.2758}), 6)
    1.35592
    """
    prior = Prior(theta=dist.TruncatedNormal(1.0, 1.0, low=0.0))
    outcomes = np.arange(population + 1.0)

    def log_likelihood(theta: dict, x: Float[Array, " 1"], design: dict | None = None) -> Float[Array, ""]:
        exponent = theta["theta"] * settings_of(design, _DEFAULT)["time"]
        count = x[0]
        choices = math.lgamma(population + 1) - gammaln(count + 1.0) - gammaln(population - count + 1.0)
        some = (count > 0) & (exponent > 0)
        deaths = jnp.where(some, count * jnp.log(-jnp.expm1(-jnp.where(some, exponent, 1.0))), 0.0)
        impossible = ((count > 0) & (exponent <= 0)) | (count < 0) | (count > population)
        return jnp.where(impossible, -jnp.inf, choices + deaths - (population - count) * exponent)

    def fisher(theta: dict, design: dict | None = None) -> Float[Array, "1 1"]:
        time = settings_of(design, _DEFAULT)["time"]
        return (population * time**2 / jnp.expm1(jnp.asarray(theta["theta"]) * time)).reshape(1, 1)

    def eig(design: dict) -> float:
        time = float(settings_of(design, _DEFAULT)["time"])
        nodes, weights = np.polynomial.legendre.leggauss(400)
        # In the root of theta, the finer where the prior's edge is and few or none have died.
        root = math.sqrt(_END) * (nodes + 1) / 2
        theta = root**2
        weights = weights * root * stats.norm.pdf(theta, 1.0, 1.0)
        exponent = theta[:, None] * time
        choices = special.gammaln(population + 1) - special.gammaln(outcomes + 1)
        choices = choices - special.gammaln(population - outcomes + 1)
        dead = special.xlogy(outcomes, -np.expm1(-exponent))
        return finite_information(choices + dead - (population - outcomes) * exponent, weights)

    truth = grid_truth(prior, log_likelihood, 0.0, _END, fisher=fisher, eig=eig)

    @simulator(prior, name="death_process", observables=["dead"], units="individuals", tractable=truth)
    def simulate(theta, *, key, design=None):
        time = settings_of(design, _DEFAULT)["time"]
        return draw_binomial(key, population, -jnp.expm1(-theta["theta"] * time)[None])

    return Problem(
        entry("death_process"),
        simulate,
        truth,
        {"theta": jnp.asarray(1.0)},
        space={"time": (0.05, 5.0)},
        default_design=_DEFAULT,
        outcomes=outcomes[:, None],
    )
