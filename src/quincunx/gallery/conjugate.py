"""Problems whose posterior every textbook has."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.scipy.special import gammaln, xlog1py, xlogy
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.gallery.catalogue import entry
from quincunx.gallery.discrete import draw_poisson
from quincunx.gallery.normal import box_log_mass, isotropic_log_prob
from quincunx.gallery.problem import Problem, Truth
from quincunx.gallery.truncated import truncated_normal
from quincunx.model import Prior, simulator
from quincunx.model.simulator import rng_from_key


def problem_normal_normal(*, dim: int = 1, prior_sd: float = 1.0, noise_sd: float = 1.0) -> Problem:
    """theta ~ N(0, s^2 I), x | theta ~ N(theta, n^2 I): the posterior is N(w x, w n^2 I) with w = s^2 / (s^2 + n^2).

    >>> problem_normal_normal().truth.log_posterior({"theta": jnp.zeros(1)}, jnp.zeros(1))
    Array(-0.572365, dtype=float32)
    """
    weight = prior_sd**2 / (prior_sd**2 + noise_sd**2)
    spread = weight * noise_sd**2

    def posterior_sample(n: int, x: Float[Array, " dim"], *, key: PRNGKeyArray) -> dict[str, Float[Array, "n dim"]]:
        return {"theta": weight * x + math.sqrt(spread) * jax.random.normal(key, (n, dim))}

    truth = Truth(
        kind="posterior",
        log_likelihood=lambda theta, x: isotropic_log_prob(x, theta["theta"], noise_sd**2),
        fisher=lambda theta: jnp.eye(dim) / noise_sd**2,
        log_posterior=lambda theta, x: isotropic_log_prob(theta["theta"], weight * x, spread),
        log_evidence=lambda x: isotropic_log_prob(x, 0.0, prior_sd**2 + noise_sd**2),
        posterior_sample=posterior_sample,
    )
    prior = Prior(theta=dist.Normal(jnp.zeros(dim), prior_sd).to_event(1))

    @simulator(prior, name="normal_normal", tractable=truth)
    def simulate(theta, *, key, design=None):
        return theta["theta"] + noise_sd * jax.random.normal(key, (dim,))

    return Problem(entry("normal_normal"), simulate, truth, {"theta": jnp.full(dim, 0.5)})


def problem_beta_binomial(*, trials: int = 20, a: float = 2.0, b: float = 2.0) -> Problem:
    """theta ~ Beta(a, b), x | theta ~ Binomial(trials, theta): the posterior is Beta(a + x, b + trials - x).

    >>> float(problem_beta_binomial(trials=1, a=1.0, b=1.0).truth.log_evidence(jnp.ones(1)))
    -0.6931
    """
    truth = beta_binomial_truth(trials, a, b)
    prior = Prior(theta=dist.Beta(a, b))

    @simulator(prior, name="beta_binomial", observables=["successes"], tractable=truth)
    def simulate(theta, *, key, design=None):
        successes = jnp.sum(jax.random.uniform(key, (trials,)) < theta["theta"])
        return successes[None].astype(jnp.float32)

    return Problem(entry("beta_binomial"), simulate, truth, {"theta": jnp.asarray(0.3)})


def problem_gamma_poisson(*, events: int = 5, a: float = 3.0, b: float = 1.0) -> Problem:
    """rate ~ Gamma(a, b) (b a rate), and an observation is a set of independent counts x_i ~ Poisson(rate): the
    posterior is Gamma(a + sum x_i, b + number of counts).

    The simulator draws one count. The truth takes any number of them, of shape (events, 1), or a single one, (1,).

    >>> problem_gamma_poisson().observation(1).shape
    (5, 1)
    """

    def log_likelihood(theta: dict, x: Float[Array, "*events 1"]) -> Float[Array, ""]:
        rate = theta["rate"]
        return jnp.sum(xlogy(x, rate) - rate - gammaln(x + 1.0))

    def log_posterior(theta: dict, x: Float[Array, "*events 1"]) -> Float[Array, ""]:
        return dist.Gamma(a + jnp.sum(x), b + x.size).log_prob(theta["rate"])

    def log_evidence(x: Float[Array, "*events 1"]) -> Float[Array, ""]:
        shape, inverse_scale = a + jnp.sum(x), b + x.size
        return (
            a * math.log(b) - gammaln(a) - shape * jnp.log(inverse_scale) + gammaln(shape) - jnp.sum(gammaln(x + 1.0))
        )

    def posterior_sample(n: int, x: Float[Array, "*events 1"], *, key: PRNGKeyArray) -> dict[str, Float[Array, " n"]]:
        draws = rng_from_key(key).gamma(a + float(jnp.sum(x)), 1 / (b + x.size), n)
        return {"rate": jnp.asarray(draws, jnp.float32)}

    truth = Truth(
        kind="posterior",
        log_likelihood=log_likelihood,
        fisher=lambda theta: (1 / jnp.asarray(theta["rate"])).reshape(1, 1),
        log_posterior=log_posterior,
        log_evidence=log_evidence,
        posterior_sample=posterior_sample,
    )
    prior = Prior(rate=dist.Gamma(a, b))

    @simulator(prior, name="gamma_poisson", observables=["count"], tractable=truth)
    def simulate(theta, *, key, design=None):
        return draw_poisson(key, theta["rate"][None])

    return Problem(entry("gamma_poisson"), simulate, truth, {"rate": jnp.asarray(3.0)}, events=events)


def problem_two_gaussians(*, sd: float = 1.0) -> Problem:
    """x | mu ~ N(mu, sd^2) with mu ~ U(-2, 2): any two parameters are two Gaussians of equal variance, and
    log r(x; mu_1, mu_0) = x (mu_1 - mu_0) / sd^2 - (mu_1^2 - mu_0^2) / (2 sd^2), the target of a calibrated classifier.

    >>> problem_two_gaussians().truth.log_ratio({"mu": 1.0}, {"mu": 0.0}, jnp.array([2.0]))
    Array(1.5, dtype=float32)
    """
    half_width = 2.0

    def log_likelihood(theta: dict, x: Float[Array, " 1"]) -> Float[Array, ""]:
        return isotropic_log_prob(x, theta["mu"], sd**2)

    def log_posterior(theta: dict, x: Float[Array, " 1"]) -> Float[Array, ""]:
        inside = jnp.abs(theta["mu"]) <= half_width
        return jnp.where(inside, log_likelihood(theta, x) - box_log_mass(x, sd, half_width), -jnp.inf)

    def posterior_sample(n: int, x: Float[Array, " 1"], *, key: PRNGKeyArray) -> dict[str, Float[Array, " n"]]:
        draws = truncated_normal(x[0], sd, -half_width, half_width, rng=rng_from_key(key), shape=(n,))
        return {"mu": jnp.asarray(draws, jnp.float32)}

    truth = Truth(
        kind="posterior",
        log_likelihood=log_likelihood,
        fisher=lambda theta: jnp.full((1, 1), 1 / sd**2),
        log_posterior=log_posterior,
        log_evidence=lambda x: box_log_mass(x, sd, half_width) - math.log(2 * half_width),
        posterior_sample=posterior_sample,
    )
    prior = Prior(mu=dist.Uniform(-half_width, half_width))

    @simulator(prior, name="two_gaussians", tractable=truth)
    def simulate(theta, *, key, design=None):
        return theta["mu"] + sd * jax.random.normal(key, (1,))

    return Problem(entry("two_gaussians"), simulate, truth, {"mu": jnp.asarray(1.0)})


def beta_binomial_truth(trials: int, a: float, b: float) -> Truth:
    """All that is known of theta ~ Beta(a, b), x ~ Binomial(trials, theta), x of shape (1,).

    >>> beta_binomial_truth(1, 1.0, 1.0).log_likelihood({"theta": 0.25}, jnp.ones(1))
    Array(-1.386294, dtype=float32)
    """

    def choices(x: Float[Array, " 1"]) -> Float[Array, ""]:
        return math.lgamma(trials + 1) - gammaln(x[0] + 1.0) - gammaln(trials - x[0] + 1.0)

    # JAX's betaln is accurate to 1e-6 only, in float64 too.
    def log_beta(p: Any, q: Any) -> Float[Array, ""]:
        return gammaln(p) + gammaln(q) - gammaln(p + q)

    def log_likelihood(theta: dict, x: Float[Array, " 1"]) -> Float[Array, ""]:
        return choices(x) + xlogy(x[0], theta["theta"]) + xlog1py(trials - x[0], -theta["theta"])

    def fisher(theta: dict) -> Float[Array, "1 1"]:
        p = jnp.asarray(theta["theta"])
        return (trials / (p * (1 - p))).reshape(1, 1)

    def posterior_sample(n: int, x: Float[Array, " 1"], *, key: PRNGKeyArray) -> dict[str, Float[Array, " n"]]:
        draws = rng_from_key(key).beta(a + float(x[0]), b + trials - float(x[0]), n)
        return {"theta": jnp.asarray(draws, jnp.float32)}

    return Truth(
        kind="posterior",
        log_likelihood=log_likelihood,
        fisher=fisher,
        log_posterior=lambda theta, x: dist.Beta(a + x[0], b + trials - x[0]).log_prob(theta["theta"]),
        log_evidence=lambda x: choices(x) + log_beta(a + x[0], b + trials - x[0]) - log_beta(a, b),
        posterior_sample=posterior_sample,
    )
