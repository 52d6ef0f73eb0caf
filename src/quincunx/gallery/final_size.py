"""How many catch it in the end: a small stochastic epidemic with an exact final-size distribution."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import xlogy
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.gallery.catalogue import entry
from quincunx.gallery.grid import grid_log_evidence, grid_posterior_sample
from quincunx.gallery.problem import Problem, Truth
from quincunx.model import Gold, Prior, simulator
from quincunx.model.simulator import rng_from_key

_EDGE = 1e-9


def problem(
    *,
    susceptibles: int = 20,
    initial: int = 1,
    beta_prior: tuple[float, float] = (4.0, 2.0),
    gamma_prior: tuple[float, float] = (4.0, 4.0),
) -> Problem:
    """A closed population of n susceptibles and m first infectives; infection at the rate beta S I / n, recovery at
    gamma I; beta ~ Gamma(a, b), gamma ~ Gamma(c, d) (b and d rates); x is how many of the n are infected in the end.

    x tells of R0 = beta / gamma only. In u = b beta / (b beta + d gamma) ~ Beta(a, c) and s = b beta + d gamma ~
    Gamma(a + c, 1), independent, the posterior changes u alone, so it is drawn exactly. `gold` traces whole epidemics,
    whose likelihood is conjugate (`complete_path_posterior`).

    >>> outbreak = problem()
    >>> round(float(jnp.exp(outbreak.truth.log_likelihood({"beta": 2.0, "gamma": 1.0}, jnp.zeros(1)))), 4)
    0.3333
    """
    n, m = susceptibles, initial
    (a, b), (c, d) = beta_prior, gamma_prior
    log_beta = math.lgamma(a) + math.lgamma(c) - math.lgamma(a + c)

    def log_likelihood(theta: dict, x: Float[Array, " 1"]) -> Float[Array, ""]:
        probabilities = final_size_probabilities(jnp.asarray(theta["beta"] / theta["gamma"]), n, m)
        index = jnp.round(x[0]).astype(jnp.int32)
        possible = (index == x[0]) & (index >= 0) & (index <= n)
        return jnp.where(possible, jnp.log(probabilities[jnp.clip(index, 0, n)]), -jnp.inf)

    def weighted(shares: dict, x: Float[Array, " 1"]) -> Float[Array, ""]:
        u = shares["u"]
        prior_term = (a - 1) * jnp.log(u) + (c - 1) * jnp.log1p(-u) - log_beta
        return prior_term + log_likelihood({"beta": u * d, "gamma": (1 - u) * b}, x)

    draw_share = grid_posterior_sample("u", weighted, _EDGE, 1 - _EDGE)
    log_evidence = grid_log_evidence("u", weighted, _EDGE, 1 - _EDGE)

    def log_posterior(theta: dict, x: Float[Array, " 1"]) -> Float[Array, ""]:
        prior_term = dist.Gamma(a, b).log_prob(theta["beta"]) + dist.Gamma(c, d).log_prob(theta["gamma"])
        return prior_term + log_likelihood(theta, x) - log_evidence(x)

    def posterior_sample(size: int, x: Float[Array, " 1"], *, key: PRNGKeyArray) -> dict[str, Float[Array, " size"]]:
        share_key, total_key = jax.random.split(key)
        u = np.asarray(draw_share(size, x, key=share_key)["u"], float)
        total = rng_from_key(total_key).gamma(a + c, size=size)
        return {"beta": jnp.asarray(u * total / b, jnp.float32), "gamma": jnp.asarray((1 - u) * total / d, jnp.float32)}

    truth = Truth(
        kind="posterior",
        log_likelihood=log_likelihood,
        log_posterior=log_posterior,
        log_evidence=log_evidence,
        posterior_sample=posterior_sample,
    )
    prior = Prior(beta=dist.Gamma(a, b), gamma=dist.Gamma(c, d), units={"beta": "1/day", "gamma": "1/day"})

    def trace(theta: dict, *, key: PRNGKeyArray) -> tuple[Float[Array, " 1"], dict[str, Array]]:
        return trace_epidemic(theta, n, m, key=key)

    def joint_log_prob(theta: dict, x: Float[Array, " 1"], z: dict[str, Array]) -> Float[Array, ""]:
        return complete_path_log_prob(theta, z, n, m)

    @simulator(
        prior,
        name="final_size",
        observables=["infected in the end"],
        units="people",
        tractable=truth,
        gold=Gold(trace, joint_log_prob),
    )
    def simulate(theta, *, key, design=None):
        return trace(theta, key=key)[0]

    return Problem(
        entry("final_size"),
        simulate,
        truth,
        {"beta": 2.0, "gamma": 1.0},
        derived=lambda theta: {"R0": theta["beta"] / theta["gamma"]},
    )


def final_size_probabilities(r0: Float[Array, ""], n: int = 20, m: int = 1) -> Float[Array, " sizes"]:
    """P(j of n are infected in the end), j = 0..n, for m first infectives and exponential infectious periods.

    The next event is an infection with probability p_j = R0 s / (1 + R0 s), s = (n - j) / n, whatever the number of
    infectives, so the number of recoveries between infections is geometric. The distribution of the infectives at the
    j-th infection is pushed on from j to j + 1; every term is positive, and unlike the triangular equations for
    these numbers this does not lose digits for large n. Memory and time grow as n^3 (n^2 for each j).

    >>> final_size_probabilities(jnp.asarray(2.0))[0]
    Array(0.333333, dtype=float32)
    """
    infectives = np.arange(n + m + 1)
    drop = infectives[None, :] - infectives[:, None]
    lower = (drop >= 0) & (infectives[:, None] > 0)

    def infect(at, j):
        odds = r0 * (n - j) / n
        stay = 1 / (1 + odds)
        # visits[i]: the chance of being seen with i infectives before the next infection.
        visits = jnp.where(lower, jnp.exp(jnp.where(lower, drop, 0) * jnp.log(stay)), 0.0) @ at
        return jnp.roll(visits * odds * stay, 1).at[0].set(0.0), visits[1] * stay

    start = jnp.zeros(n + m + 1, r0.dtype).at[m].set(1.0)
    return jax.lax.scan(infect, start, jnp.arange(n + 1))[1]


def trace_epidemic(theta: dict, n: int, m: int, *, key: PRNGKeyArray) -> tuple[Float[Array, " 1"], dict[str, Array]]:
    """Gillespie's exact algorithm: (final size, path) of 2 n + m possible events: `wait` before each, whether it
    `infects`, and whether it happened at all (`live`)."""
    beta, gamma = theta["beta"], theta["gamma"]

    def event(state, event_key):
        susceptible, sick = state
        first, second = jax.random.split(event_key)
        infection, recovery = beta * susceptible * sick / n, gamma * sick
        total = infection + recovery
        live = sick > 0
        infects = live & (jax.random.uniform(first) * total < infection)
        wait = jnp.where(live, jax.random.exponential(second) / jnp.where(live, total, 1.0), 0.0)
        recovers = live & ~infects
        state = (susceptible - infects, sick + infects - recovers.astype(sick.dtype))
        return state, {"wait": wait, "infects": infects, "live": live}

    start = (jnp.asarray(float(n)), jnp.asarray(float(m)))
    (susceptible, _), path = jax.lax.scan(event, start, jax.random.split(key, 2 * n + m))
    return (n - susceptible)[None], path


def path_statistics(path: dict[str, Array], n: int, m: int) -> dict[str, Array]:
    """Sufficient statistics of a path: infections, recoveries, the integrals of S I / n and of I over time, and
    the part of the log-density that holds no parameter."""
    infects = path["infects"].astype(path["wait"].dtype)
    recovers = (path["live"] & ~path["infects"]).astype(path["wait"].dtype)
    susceptible = n - (jnp.cumsum(infects) - infects)
    sick = m + jnp.cumsum(infects - recovers) - (infects - recovers)
    return {
        "infections": jnp.sum(infects),
        "recoveries": jnp.sum(recovers),
        "pressure": jnp.sum(path["wait"] * susceptible * sick / n),
        "exposure": jnp.sum(path["wait"] * sick),
        "constant": jnp.sum(xlogy(infects, susceptible * sick / n) + xlogy(recovers, sick)),
    }


def complete_path_log_prob(theta: dict, path: dict[str, Array], n: int, m: int) -> Float[Array, ""]:
    """log p(path | beta, gamma) = #inf log beta + #rec log gamma - beta int S I / n dt - gamma int I dt + constant."""
    s = path_statistics(path, n, m)
    gained = xlogy(s["infections"], theta["beta"]) + xlogy(s["recoveries"], theta["gamma"])
    return gained - theta["beta"] * s["pressure"] - theta["gamma"] * s["exposure"] + s["constant"]


def complete_path_posterior(
    path: dict[str, Array],
    n: int,
    m: int,
    beta_prior: tuple[float, float] = (4.0, 2.0),
    gamma_prior: tuple[float, float] = (4.0, 4.0),
) -> dict[str, dist.Gamma]:
    """The conjugate posterior given a whole path: beta ~ Gamma(a + #inf, b + int S I / n dt), gamma ~ Gamma(c + #rec,
    d + int I dt)."""
    s = path_statistics(path, n, m)
    return {
        "beta": dist.Gamma(beta_prior[0] + s["infections"], beta_prior[1] + s["pressure"]),
        "gamma": dist.Gamma(gamma_prior[0] + s["recoveries"], gamma_prior[1] + s["exposure"]),
    }
