"""The boarding-school epidemic one boy at a time: a chain-binomial SIR without a tractable likelihood."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

from quincunx.gallery.boarding_school import DAYS, IN_BED, PUPILS
from quincunx.gallery.catalogue import entry
from quincunx.gallery.discrete import draw_binomial
from quincunx.gallery.problem import Problem, Truth
from quincunx.model import Prior, simulator


def problem(*, steps_per_day: int = 20) -> Problem:
    """beta ~ N+(2, 1), gamma ~ N+(0.4, 0.5), per day; in steps of dt = 1 / steps_per_day

        infections ~ Binomial(S, 1 - exp(-beta I dt / N)),   recoveries ~ Binomial(I, 1 - exp(-gamma dt)),

    N = 763, S(0) = 762, I(0) = 1, and x is I at the end of days 1 to 14. Each step starts from the state before it, and
    the bias against the continuous-time epidemic is of order dt: keep dt below 0.1 / gamma. The observation is the
    school's. There is no observation noise, so the model says what chance alone can do.

    >>> problem().truth.kind
    'none'
    """
    prior = Prior(
        beta=dist.TruncatedNormal(2.0, 1.0, low=0.0),
        gamma=dist.TruncatedNormal(0.4, 0.5, low=0.0),
        units={"beta": "1/day", "gamma": "1/day"},
    )
    columns = [f"in bed on day {day}" for day in range(1, DAYS + 1)]
    dt = 1 / steps_per_day

    @simulator(prior, name="stochastic_sir", observables=columns, units="boys")
    def simulate(theta, *, key, design=None):
        recovery = -jnp.expm1(-theta["gamma"] * dt)

        def forward(state, step_key):
            susceptible, sick = state
            first, second = jax.random.split(step_key)
            infection = -jnp.expm1(-theta["beta"] * dt * sick / PUPILS)
            infections = draw_binomial(first, susceptible, infection)
            recoveries = draw_binomial(second, sick, recovery)
            return (susceptible - infections, sick + infections - recoveries), sick + infections - recoveries

        keys = jax.random.split(key, DAYS * steps_per_day)
        _, sick = jax.lax.scan(forward, (jnp.asarray(PUPILS - 1.0), jnp.asarray(1.0)), keys)
        return sick[steps_per_day - 1 :: steps_per_day]

    return Problem(
        entry("stochastic_sir"),
        simulate,
        Truth(kind="none"),
        {"beta": 1.73, "gamma": 0.54},
        recorded=(np.array([IN_BED], np.float32), None),
        derived=lambda theta: {"R0": theta["beta"] / theta["gamma"]},
    )
