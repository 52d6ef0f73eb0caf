"""Hidden sources whose signal falls with the square of the distance, and where to put the next detector."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.gallery.catalogue import entry
from quincunx.gallery.problem import Problem, Truth
from quincunx.gallery.rejection import accepted_draws
from quincunx.gallery.settings import settings_of
from quincunx.model import Prior, simulator
from quincunx.model.simulator import rng_from_key

BACKGROUND, SOFTENING = 0.1, 1e-4
_DEFAULT = {"east": 0.0, "north": 0.0}


def problem(*, sources: int = 2, noise_sd: float = 0.5) -> Problem:
    """K sources in the plane, each at theta_k ~ N(0, I), and the logarithm of their signal at a position d:

        y = log(0.1 + sum_k 1 / (1e-4 + |d - theta_k|^2)) + noise_sd eps,   eps ~ N(0, 1),

    y of shape (1,), theta of shape (K, 2). The design is d = {"east": -4 to 4, "north": -4 to 4}, the origin by default. Sources have no names: the
    posterior is the same for every order of them, and a circle after one measurement. It is drawn from exactly, by accepting draws
    of the prior; measurements at several positions are independent given theta, so that their log-likelihoods add up. The Fisher
    information of one has rank one (2103.02438).

    >>> problem().truth.log_likelihood({"theta": jnp.array([[1.0, 0.0], [0.0, 1.0]])}, jnp.zeros(1))
    Array(-1.3..., dtype=float32)
    """
    prior = Prior(theta=dist.Normal(jnp.zeros((sources, 2)), 1.0).to_event(2))

    def log_signal(theta: Float[Array, "k 2"], design: dict | None) -> Float[Array, ""]:
        settings = settings_of(design, _DEFAULT)
        return signal(theta, jnp.stack([settings["east"], settings["north"]]))

    def log_likelihood(theta: dict, x: Float[Array, " 1"], design: dict | None = None) -> Float[Array, ""]:
        deviation = (x[0] - log_signal(jnp.asarray(theta["theta"]), design)) / noise_sd
        return -0.5 * (deviation**2 + math.log(2 * math.pi * noise_sd**2))

    def fisher(theta: dict, design: dict | None = None) -> Float[Array, "dim dim"]:
        slope = jax.grad(log_signal)(jnp.asarray(theta["theta"], float), design).reshape(-1)
        return jnp.outer(slope, slope) / noise_sd**2

    def posterior_sample(
        n: int, x: Float[Array, " 1"], design: dict | None = None, *, key: PRNGKeyArray
    ) -> dict[str, Float[Array, "n k 2"]]:
        settings = settings_of(design, _DEFAULT)
        position = np.array([float(settings["east"]), float(settings["north"])])

        def propose(rng: np.random.Generator, m: int) -> tuple[np.ndarray, np.ndarray]:
            theta = rng.standard_normal((m, sources, 2))
            distance = np.sum((theta - position) ** 2, axis=-1)
            mean = np.log(BACKGROUND + np.sum(1 / (SOFTENING + distance), axis=-1))
            return theta, rng.random(m) < np.exp(-0.5 * ((float(x[0]) - mean) / noise_sd) ** 2)

        draws = accepted_draws(propose, n, rng=rng_from_key(key), what="posterior of the sources")
        return {"theta": jnp.asarray(draws, jnp.float32)}

    truth = Truth(kind="posterior", log_likelihood=log_likelihood, fisher=fisher, posterior_sample=posterior_sample)

    @simulator(prior, name="location_finding", observables=["log signal"], tractable=truth)
    def simulate(theta, *, key, design=None):
        return log_signal(theta["theta"], design) + noise_sd * jax.random.normal(key, (1,))

    angles = 0.6 + 2.4 * np.arange(sources)
    default = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    return Problem(
        entry("location_finding"),
        simulate,
        truth,
        {"theta": default},
        space={"east": (-4.0, 4.0), "north": (-4.0, 4.0)},
        default_design=_DEFAULT,
    )


def signal(sources: Float[Array, "k 2"], position: Float[Array, " 2"]) -> Float[Array, ""]:
    """The mean of y: log(0.1 + sum_k 1 / (1e-4 + |position - theta_k|^2)).

    >>> float(signal(jnp.array([[1.0, 0.0]]), jnp.zeros(2)))
    0.0952
    """
    # written out: a compiler fuses additions, but not sums over axes of two, which make millions of these twenty times slower
    return jnp.log(BACKGROUND + sum(1 / (SOFTENING + _square(position, source)) for source in sources))


def _square(one: Float[Array, " 2"], other: Float[Array, " 2"]) -> Float[Array, ""]:
    return (one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2
