"""Influenza in an English boarding school, 1978: real counts, a deterministic epidemic, and a known posterior."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import gammaln
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.gallery.catalogue import entry
from quincunx.gallery.discrete import draw_poisson
from quincunx.gallery.precision import double_scope
from quincunx.gallery.problem import Problem, ReferenceDraws, Truth
from quincunx.model import Prior, simulator

PUPILS = 763
IN_BED = (3, 8, 26, 76, 225, 298, 258, 233, 189, 128, 68, 29, 14, 4)
"""Boys in bed on days 1 to 14 (22 January to 4 February 1978). A second published digitisation of the figure in the
British Medical Journal (4 March 1978) differs by a few counts."""

CONVALESCENT = (0, 0, 0, 0, 9, 17, 105, 162, 176, 166, 150, 85, 47, 20)
"""Convalescent boys on the same days; not used by the model."""

DAYS = len(IN_BED)
STEPS_PER_DAY = 20


def problem() -> Problem:
    """beta ~ N+(2, 1) and gamma ~ N+(0.4, 0.5), per day, dispersion ~ Exponential(5);

        dS/dt = -beta S I / N,   dI/dt = beta S I / N - gamma I,   N = 763, S(0) = 762, I(0) = 1,

    and the boys in bed on day t = 1..14 are NegativeBinomial(mean I(t), variance I + dispersion I^2). `derived` gives
    R0 = beta / gamma and the recovery time 1 / gamma in days. The observation is the real one. Its posterior (NUTS):
    beta 1.73 +- 0.05, gamma 0.54 +- 0.04, dispersion 0.14 +- 0.07, R0 3.22 +- 0.27.

    >>> school = problem()
    >>> float(school.observation().max())
    298.0
    """
    truth = Truth(kind="likelihood", log_likelihood=log_likelihood)
    distributions = _distributions()
    prior = Prior(distributions, units={"beta": "1/day", "gamma": "1/day"})
    columns = [f"in bed on day {day}" for day in range(1, DAYS + 1)]

    @simulator(prior, name="boarding_school", observables=columns, units="boys", tractable=truth)
    def simulate(theta, *, key, design=None):
        mean = infected(theta["beta"], theta["gamma"])
        gamma_key, poisson_key = jax.random.split(key)
        concentration = 1 / theta["dispersion"]
        rate = mean * jax.random.gamma(gamma_key, concentration, (DAYS,)) / concentration
        return draw_poisson(poisson_key, rate)

    return Problem(
        entry("boarding_school"),
        simulate,
        truth,
        {"beta": 1.73, "gamma": 0.54, "dispersion": 0.14},
        recorded=(np.array([IN_BED], np.float32), None),
        sampler=_reference,
        derived=lambda theta: {"R0": theta["beta"] / theta["gamma"], "recovery time": 1 / theta["gamma"]},
    )


def infected(beta: Float[Array, ""], gamma: Float[Array, ""]) -> Float[Array, " 14"]:
    """I(t) on days 1 to 14, by the classical Runge-Kutta method with 20 steps a day, at least 1e-6.

    >>> infected(jnp.asarray(1.73), jnp.asarray(0.54)).argmax()
    Array(5, dtype=int32)
    """
    step = 1 / STEPS_PER_DAY

    def slope(state):
        susceptible, sick = state
        new = beta * susceptible * sick / PUPILS
        return jnp.stack([-new, new - gamma * sick])

    def forward(state, _):
        k1 = slope(state)
        k2 = slope(state + step / 2 * k1)
        k3 = slope(state + step / 2 * k2)
        k4 = slope(state + step * k3)
        return state + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4), None

    def day(state, _):
        state, _ = jax.lax.scan(forward, state, None, length=STEPS_PER_DAY)
        return state, state[1]

    start = jnp.stack([(PUPILS - 1.0) * jnp.ones_like(beta), jnp.ones_like(beta)])
    return jnp.maximum(jax.lax.scan(day, start, None, length=DAYS)[1], 1e-6)


def log_likelihood(theta: dict, x: Float[Array, " 14"]) -> Float[Array, ""]:
    """sum_t log NegativeBinomial(x_t; mean I(t), concentration 1 / dispersion)."""
    beta, gamma, dispersion = (jnp.asarray(theta[name]) for name in ("beta", "gamma", "dispersion"))
    return jnp.sum(negative_binomial_log_prob(x, infected(beta, gamma), dispersion))


def negative_binomial_log_prob(
    count: Float[Array, "*n"], mean: Float[Array, "*n"], dispersion: Float[Array, ""]
) -> Float[Array, "*n"]:
    """log of Gamma(y + c) / (Gamma(c) y!) (mean d)^y / (1 + mean d)^(y + c), with d the dispersion and c = 1/d.

    For c above 10 the two gamma functions are written by Stirling's series, whose large parts cancel on paper and not
    in the computer, so that the Poisson limit d -> 0 stays exact in float32.

    >>> negative_binomial_log_prob(jnp.array([3.0]), jnp.array([2.0]), jnp.asarray(1e-6))
    Array([-1.712], dtype=float32)
    """
    concentration = 1 / dispersion
    far = concentration > 10.0
    large, small = jnp.where(far, concentration, 10.0), jnp.where(far, 10.0, concentration)

    def tail(z):
        return 1 / (12 * z) - 1 / (360 * z**3) + 1 / (1260 * z**5)

    excess = jnp.log1p((count - mean) / (large + mean))
    poisson = count * jnp.log(mean) - gammaln(count + 1)
    stirling = (large + count) * excess - 0.5 * jnp.log1p(count / large) - count + tail(large + count) - tail(large)
    direct = (
        gammaln(count + small) - gammaln(small) - count * jnp.log(small) - (count + small) * jnp.log1p(mean / small)
    )
    return poisson + jnp.where(far, stirling, direct)


def _distributions() -> dict[str, dist.Distribution]:
    return {
        "beta": dist.TruncatedNormal(2.0, 1.0, low=0.0),
        "gamma": dist.TruncatedNormal(0.4, 0.5, low=0.0),
        "dispersion": dist.Exponential(5.0),
    }


def _reference(x: Float[np.ndarray, " 14"], n: int, *, key: PRNGKeyArray) -> ReferenceDraws:
    """Four chains of NumPyro's NUTS in float64, all their draws after warm-up (the last few left out to make n)."""
    import numpyro
    from numpyro import infer
    from numpyro.diagnostics import effective_sample_size, split_gelman_rubin

    chains = 4

    def program(counts):
        theta = {name: numpyro.sample(name, distribution) for name, distribution in _distributions().items()}
        numpyro.factor("counts", log_likelihood(theta, counts))

    with double_scope():
        kernel = infer.NUTS(program, init_strategy=infer.init_to_median)
        each = max(-(-n // chains), 500)
        sampler = infer.MCMC(
            kernel, num_warmup=500, num_samples=each, num_chains=chains, chain_method="vectorized", progress_bar=False
        )
        sampler.run(key, jnp.asarray(x, jnp.float64))
        states = {name: np.asarray(value) for name, value in sampler.get_samples(group_by_chain=True).items()}
    r_hat = max(float(split_gelman_rubin(value)) for value in states.values())
    ess = min(float(effective_sample_size(value)) for value in states.values())
    # Taken in turn from the chains, so that any number of draws represents all of them.
    return ReferenceDraws({name: value.T.reshape(-1)[:n] for name, value in states.items()}, r_hat, ess)
