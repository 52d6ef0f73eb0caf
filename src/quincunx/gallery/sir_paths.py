"""A small epidemic counted day by day: a hidden path in continuous time, and its exact likelihood all the same."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import gammaln
from jaxtyping import Array, Float, PRNGKeyArray
from scipy import stats

from quincunx.gallery.catalogue import entry
from quincunx.gallery.final_size import complete_path_log_prob, trace_epidemic
from quincunx.gallery.plane import plane_posterior_sample
from quincunx.gallery.problem import Problem, ReferenceDraws, Truth
from quincunx.model import Gold, Prior, simulator

_BEYOND = 1e-6
_CELLS = 100


def problem(
    *,
    susceptibles: int = 10,
    initial: int = 2,
    days: int = 3,
    beta_prior: tuple[float, float] = (4.0, 2.0),
    gamma_prior: tuple[float, float] = (4.0, 4.0),
) -> Problem:
    """n susceptibles and m first infectives; infection at the rate beta S I / n, recovery at gamma I; beta ~ Gamma(a, b), gamma ~
    Gamma(c, d) (b and d rates); x is I, the number of infectives, at the ends of days 1, 2, ...

    `gold` traces the path up to the last day, whose log-density is #inf log beta + #rec log gamma - beta int S I / n dt - gamma int I dt,
    so that given it beta and gamma are gammas (`final_size.complete_path_posterior`). The likelihood of the counts pushes the distribution
    of (S, I) from day to day and keeps what agrees with the count (`observed_log_prob`); meant for n up to about 30.
    The reference posterior is drawn on a grid in quantiles of the prior, in float64.

    >>> outbreak = problem()
    >>> outbreak.observation(1).shape, outbreak.prior.names
    ((3,), ('beta', 'gamma'))
    """
    n, m = susceptibles, initial
    beta_of, gamma_of = (
        stats.gamma(beta_prior[0], scale=1 / beta_prior[1]),
        stats.gamma(gamma_prior[0], scale=1 / gamma_prior[1]),
    )
    terms = _terms(n, m, beta_of.isf(_BEYOND), gamma_of.isf(_BEYOND))

    def log_likelihood(theta: dict, x: Float[Array, " days"]) -> Float[Array, ""]:
        return observed_log_prob(jnp.asarray(theta["beta"]), jnp.asarray(theta["gamma"]), x, n, m, terms)

    # Forward mode: backwards, every step of every day would have to be kept.
    slope = jax.jacfwd(log_likelihood)

    def score(theta: dict, x: Float[Array, " days"]) -> dict[str, Float[Array, ""]]:
        return slope({name: jnp.asarray(theta[name]) for name in ("beta", "gamma")}, x)

    def at_quantiles(point: Float[Array, " 2"], x: Float[Array, " days"]) -> Float[Array, ""]:
        # The middles of the cells, whose quantiles are known beforehand.
        cell = jnp.round(point * _CELLS - 0.5).astype(jnp.int32)
        shares = (np.arange(_CELLS) + 0.5) / _CELLS
        beta, gamma = (jnp.asarray(margin.ppf(shares))[i] for margin, i in zip((beta_of, gamma_of), cell))
        return observed_log_prob(beta, gamma, x, n, m, terms)

    @functools.cache
    def on_grid():
        return plane_posterior_sample(at_quantiles, ((0.0, 1.0), (0.0, 1.0)), cells=_CELLS)

    def sampler(x: Float[np.ndarray, " days"], size: int, *, key: PRNGKeyArray) -> ReferenceDraws:
        shares = on_grid()(size, x, key=key)
        draws = {"beta": beta_of.ppf(shares[:, 0]), "gamma": gamma_of.ppf(shares[:, 1])}
        # Independent draws: there are no chains to disagree.
        return ReferenceDraws(draws, r_hat=1.0, ess=float("inf"))

    truth = Truth(kind="likelihood", log_likelihood=log_likelihood, score=score)
    prior = Prior(
        beta=dist.Gamma(*beta_prior), gamma=dist.Gamma(*gamma_prior), units={"beta": "1/day", "gamma": "1/day"}
    )

    def trace(theta: dict, *, key: PRNGKeyArray) -> tuple[Float[Array, " days"], dict[str, Array]]:
        path = trace_epidemic(theta, n, m, key=key)[1]
        return infectives_at(path, m, days), censored(path, float(days))

    def joint_log_prob(theta: dict, x: Float[Array, " days"], z: dict[str, Array]) -> Float[Array, ""]:
        return complete_path_log_prob(theta, z, n, m)

    columns = [f"infectives on day {day}" for day in range(1, days + 1)]
    gold = Gold(trace, joint_log_prob)

    @simulator(prior, name="sir_paths", observables=columns, units="people", tractable=truth, gold=gold)
    def simulate(theta, *, key, design=None):
        return trace(theta, key=key)[0]

    return Problem(
        entry("sir_paths"),
        simulate,
        truth,
        {"beta": 2.0, "gamma": 1.0},
        sampler=sampler,
        derived=lambda theta: {"R0": theta["beta"] / theta["gamma"]},
    )


def infectives_at(path: dict[str, Array], initial: int, days: int) -> Float[Array, " days"]:
    """How many are infective at the ends of days 1 ... `days` of a path of `final_size.trace_epidemic`.

    >>> path = {"wait": jnp.array([0.5, 1.0]), "infects": jnp.array([True, False]), "live": jnp.array([True, True])}
    >>> infectives_at(path, 1, 2)
    Array([2., 1.], dtype=float32)
    """
    times = jnp.cumsum(path["wait"])
    change = jnp.where(path["live"], jnp.where(path["infects"], 1.0, -1.0), 0.0)
    ends = np.arange(1, days + 1)
    return initial + jnp.sum(jnp.where(times[None, :] <= ends[:, None], change, 0.0), axis=1)


def censored(path: dict[str, Array], horizon: float) -> dict[str, Array]:
    """The path up to a time: later events have not happened, and the last wait ends at the horizon.

    >>> path = {"wait": jnp.array([0.5, 1.0]), "infects": jnp.array([True, False]), "live": jnp.array([True, True])}
    >>> censored(path, 1.25)["wait"].tolist(), censored(path, 1.25)["live"].tolist()
    ([0.5, 0.75], [True, False])
    """
    times = jnp.cumsum(path["wait"])
    happened = times <= horizon
    before = jnp.concatenate([jnp.zeros(1, times.dtype), times[:-1]])
    wait = jnp.where(happened, path["wait"], jnp.clip(horizon - before, 0.0, path["wait"]))
    return {"wait": wait, "infects": path["infects"] & happened, "live": path["live"] & happened}


def observed_log_prob(
    beta: Float[Array, ""], gamma: Float[Array, ""], x: Float[Array, " days"], n: int, m: int, terms: int
) -> Float[Array, ""]:
    """log P(I_1 = x_1, I_2 = x_2, ... | beta, gamma), -inf for what cannot be, in the precision of beta.

    With Lambda no less than any state's rate of leaving, exp(Q) = sum_k Poisson(k; Lambda) (1 + Q / Lambda)^k: a sum of positive terms,
    cut off after `terms` of them. One step moves mass on the grid of (S, I), S = 0..n, I = 0..n + m.

    >>> chance = observed_log_prob(jnp.asarray(0.0), jnp.asarray(1.0), jnp.array([1.0]), 3, 1, 40)
    >>> round(float(chance), 4)
    -1.0
    """
    susceptible, sick = np.arange(n + 1.0)[:, None], np.arange(n + m + 1.0)[None, :]
    within = susceptible + sick <= n + m
    infect, recover = (
        jnp.asarray(np.where(within, rate, 0.0), beta.dtype)
        for rate in (susceptible * sick / n, sick + 0 * susceptible)
    )
    fastest = jax.lax.stop_gradient(jnp.max(beta * infect + gamma * recover))
    infections, recoveries = beta * infect / fastest, gamma * recover / fastest
    steps = jnp.arange(terms)
    weights = jnp.exp(steps * jnp.log(fastest) - fastest - gammaln(steps + 1.0))

    def step(at: Array, weight: Array) -> tuple[Array, Array]:
        infected, recovered = at * infections, at * recoveries
        moved = jnp.zeros_like(at).at[:-1, 1:].set(infected[1:, :-1]).at[:, :-1].add(recovered[:, 1:])
        return at - infected - recovered + moved, weight * at

    def day(state: tuple[Array, Array], count: Array) -> tuple[tuple[Array, Array], None]:
        at, total = state

        def add(carry: tuple[Array, Array], weight: Array) -> tuple[tuple[Array, Array], None]:
            following, part = step(carry[0], weight)
            return (following, carry[1] + part), None

        (_, after), _ = jax.lax.scan(add, (at, jnp.zeros_like(at)), weights)
        seen = jnp.where(sick == count, after, 0.0)
        chance = jnp.sum(seen)
        possible = chance > 0
        return (
            seen / jnp.where(possible, chance, 1.0),
            total + jnp.where(possible, jnp.log(jnp.where(possible, chance, 1.0)), -jnp.inf),
        ), None

    start = jnp.zeros((n + 1, n + m + 1), beta.dtype).at[n, m].set(1.0)
    return jax.lax.scan(day, (start, jnp.zeros((), beta.dtype)), x)[0][1]


def _terms(n: int, m: int, beta: float, gamma: float) -> int:
    """How many terms leave out less than 1e-12 at these rates and all below them."""
    left = np.arange(n + 1.0)
    fastest = np.max((n + m - left) * (beta * left / n + gamma))
    return int(stats.poisson.isf(1e-12, fastest)) + 1
