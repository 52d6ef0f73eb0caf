"""A posterior with two crescents, one the mirror image of the other (2101.04653, T.8)."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.gallery.benchmark import observed, true_parameters
from quincunx.gallery.catalogue import entry
from quincunx.gallery.problem import Problem, Truth
from quincunx.gallery.rejection import accepted_draws
from quincunx.model import Prior, simulator
from quincunx.model.simulator import rng_from_key

OFFSET, RADIUS, WIDTH = 0.25, 0.1, 0.01


def problem() -> Problem:
    """theta ~ U(-1, 1)^2; x = p + (-|theta_1 + theta_2|, -theta_1 + theta_2) / sqrt(2), where p is a noisy half circle:
    p = (r cos a + 0.25, r sin a), a ~ U(-pi/2, pi/2), r ~ N(0.1, 0.01^2).

    The map from theta to x - p is a rotation folded along theta_1 + theta_2 = 0, so its volume element is one and the
    posterior is drawn by drawing p and unfolding x - p to either side.

    >>> sum = problem().reference(1, n=2000)["theta"].sum(axis=1)
    >>> 0.45 < float((sum > 0).mean()) < 0.55
    True
    """
    prior = Prior(theta=dist.Uniform(-jnp.ones(2), jnp.ones(2)).to_event(1))

    truth = Truth(
        kind="posterior",
        log_likelihood=log_likelihood,
        log_posterior=log_posterior,
        log_evidence=log_evidence,
        posterior_sample=posterior_sample,
    )

    @simulator(prior, name="two_moons", tractable=truth)
    def simulate(theta, *, key, design=None):
        angle_key, radius_key = jax.random.split(key)
        angle = jax.random.uniform(angle_key, minval=-math.pi / 2, maxval=math.pi / 2)
        radius = RADIUS + WIDTH * jax.random.normal(radius_key)
        moon = jnp.stack([radius * jnp.cos(angle) + OFFSET, radius * jnp.sin(angle)])
        return moon + _fold(theta["theta"])

    recorded = (observed("two_moons"), {"theta": true_parameters("two_moons")})
    return Problem(entry("two_moons"), simulate, truth, {"theta": jnp.zeros(2)}, recorded=recorded)


def log_likelihood(theta: dict, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """log p(x | theta) = log N(r; 0.1, 0.01^2) - log(pi r) in polar coordinates of x - fold(theta) around (0.25, 0),
    and -inf on the left of that centre (the 10-sigma tail of negative radii is left out)."""
    across, along = x - _fold(theta["theta"]) - jnp.array([OFFSET, 0.0])
    square = across**2 + along**2
    right = (across > 0) & (square > 0)
    radius = jnp.sqrt(jnp.where(right, square, 1.0))
    log_radial = -0.5 * ((radius - RADIUS) / WIDTH) ** 2 - math.log(WIDTH * math.sqrt(2 * math.pi))
    return jnp.where(right, log_radial - jnp.log(math.pi * radius), -jnp.inf)


def log_evidence(x: Float[Array, " 2"]) -> Float[Array, ""]:
    """log p(x): each half of the fold contributes the prior density 1/4 times the chance that the point it unfolds to
    lies in the box, by a 2000 x 41 midpoint rule over angle and radius (exactly log 1/2 when both moons are inside)."""
    angle = (np.arange(2000) + 0.5) / 2000 * math.pi - math.pi / 2
    radius = RADIUS + WIDTH * np.linspace(-5.0, 5.0, 41)
    weight = np.exp(-0.5 * np.linspace(-5.0, 5.0, 41) ** 2)
    moon = np.stack([radius * np.cos(angle)[:, None] + OFFSET, radius * np.sin(angle)[:, None]], axis=-1)
    inside = jnp.stack([_unfolds_into_box(x - moon, sign) for sign in (1.0, -1.0)]).mean(axis=1)
    return jnp.log(0.25 * jnp.sum(inside * weight / weight.sum()))


def log_posterior(theta: dict, x: Float[Array, " 2"]) -> Float[Array, ""]:
    """log p(theta | x), normalised."""
    inside = jnp.all(jnp.abs(theta["theta"]) <= 1.0)
    return jnp.where(inside, log_likelihood(theta, x) - math.log(4.0) - log_evidence(x), -jnp.inf)


def posterior_sample(n: int, x: Float[Array, " 2"], *, key: PRNGKeyArray) -> dict[str, Float[Array, "n 2"]]:
    """Exact draws: unfold x - p for fresh p to a random side; reject what leaves the box."""
    centre = np.asarray(x, float)

    def propose(rng: np.random.Generator, m: int) -> tuple[np.ndarray, np.ndarray]:
        angle = rng.uniform(-math.pi / 2, math.pi / 2, m)
        radius = rng.normal(RADIUS, WIDTH, m)
        q = centre - np.stack([radius * np.cos(angle) + OFFSET, radius * np.sin(angle)], axis=1)
        draws = _unfold(q, rng.choice([-1.0, 1.0], m))
        return draws, (q[:, 0] <= 0) & (np.abs(draws) <= 1).all(axis=1)

    draws = accepted_draws(propose, n, rng=rng_from_key(key), what="two_moons posterior")
    return {"theta": jnp.asarray(draws, jnp.float32)}


def _fold(theta: Float[Array, " 2"]) -> Float[Array, " 2"]:
    return jnp.stack([-jnp.abs(theta[0] + theta[1]), theta[1] - theta[0]]) / math.sqrt(2.0)


def _unfold(q, sign):
    across = -sign * q[..., 0]
    return np.stack([across - q[..., 1], across + q[..., 1]], axis=-1) / math.sqrt(2.0)


def _unfolds_into_box(q: Float[Array, "*grid 2"], sign: float) -> Float[Array, "*grid"]:
    across = -sign * q[..., 0]
    first, second = (across - q[..., 1]) / math.sqrt(2.0), (across + q[..., 1]) / math.sqrt(2.0)
    return jnp.where((q[..., 0] <= 0) & (jnp.abs(first) <= 1) & (jnp.abs(second) <= 1), 1.0, 0.0)
