"""An epidemic as a stochastic differential equation, and when to count the infected: a design problem without a likelihood."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.errors import UsageError
from quincunx.gallery.catalogue import entry
from quincunx.gallery.problem import Problem, Truth
from quincunx.gallery.settings import settings_of
from quincunx.model import Prior, simulator

PEOPLE, FIRST = 500.0, 2.0
END = 100.0
_DEFAULT = {"times": np.array([10.0, 20.0, 30.0, 45.0, 70.0], np.float32)}


def problem(*, condition: str = "none", steps_per_day: int = 10) -> Problem:
    """beta and gamma, per day, are log-normal about 0.5 and 0.1 with a variance of 0.25, and with p = beta S I / N, r = gamma I

        dS = -p dt - sqrt(p) dW_1,   dI = (p - r) dt + sqrt(p) dW_1 - sqrt(r) dW_2,   N = 500, S(0) = 498, I(0) = 2,

    by Euler and Maruyama with S and I kept within 0 and N; x is I at the times of the design, {"times": numbers of days from 0 to 100}, five by
    default, linear between steps. Nobody knows the likelihood (2111.02329).

    About one epidemic in eight of the prior dies out: its counts are zero from then on, exactly, an atom that densities cannot have. `condition` says
    what becomes of those whose I is below 1 on average over the 100 days: "none" keeps them; "outbreak" makes their outcome NaN, so that
    `simulate` counts them as failed and whatever is learnt is learnt from p(theta, x | there was an outbreak): then the prior too is
    that given an outbreak, p(theta) P(outbreak | theta) up to a constant, and no longer the one that is written down.

    Raises:
        UsageError: for another condition.

    >>> problem().simulator({"beta": 0.5, "gamma": 0.1}, key=0, design={"times": [30.0, 60.0]}).shape
    (2,)
    """
    if condition not in ("none", "outbreak"):
        raise UsageError(f"got condition={condition!r}; expected 'none' or 'outbreak'; choose one of them")
    prior = Prior(
        beta=dist.LogNormal(math.log(0.5), 0.5),
        gamma=dist.LogNormal(math.log(0.1), 0.5),
        units={"beta": "1/day", "gamma": "1/day"},
    )

    @simulator(prior, name="epidemic_times", units="people")
    def simulate(theta, *, key, design=None):
        times = settings_of(design, _DEFAULT)["times"]
        path = infected_path(theta["beta"], theta["gamma"], steps_per_day=steps_per_day, key=key)
        counts = jnp.interp(times, jnp.linspace(0.0, END, len(path)), path)
        if condition == "outbreak":
            counts = jnp.where(jnp.mean(path) < 1.0, jnp.nan, counts)
        return counts

    return Problem(
        entry("epidemic_times"),
        simulate,
        Truth(kind="none"),
        {"beta": 0.5, "gamma": 0.1},
        derived=lambda theta: {"R0": theta["beta"] / theta["gamma"]},
        space={"times": (0.0, END, 5)},
        increasing=("times",),
        default_design=_DEFAULT,
    )


def infected_path(
    beta: Float[Array, ""], gamma: Float[Array, ""], *, steps_per_day: int = 10, key: PRNGKeyArray
) -> Float[Array, " steps"]:
    """I at 100 * steps_per_day + 1 equally spaced times from day 0 to day 100.

    >>> infected_path(jnp.asarray(0.5), jnp.asarray(0.1), steps_per_day=1, key=jax.random.key(0))[0]
    Array(2., dtype=float32)
    """
    dt = 1 / steps_per_day

    def forward(state: tuple[Array, Array], noise: Array) -> tuple[tuple[Array, Array], Array]:
        susceptible, sick = state
        infections = beta * susceptible * sick / PEOPLE * dt
        recoveries = gamma * sick * dt
        infections = infections + jnp.sqrt(infections) * noise[0]
        recoveries = recoveries + jnp.sqrt(recoveries) * noise[1]
        susceptible = jnp.clip(susceptible - infections, 0.0, PEOPLE)
        sick = jnp.clip(sick + infections - recoveries, 0.0, PEOPLE)
        return (susceptible, sick), sick

    start = (jnp.asarray(PEOPLE - FIRST), jnp.asarray(FIRST))
    noise = jax.random.normal(key, (int(END) * steps_per_day, 2))
    sick = jax.lax.scan(forward, start, noise)[1]
    return jnp.concatenate([jnp.asarray([FIRST]), sick])
