"""Little experiments whose information is known in closed form or by adding up outcomes."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import gammaln

import quincunx as qx

NOISE = 0.5


def truth(**known):
    return types.SimpleNamespace(**known)


def _line(theta, x, design):
    return jax.scipy.stats.norm.logpdf(x[0], design["d"] * theta["a"], NOISE)


@qx.simulator(qx.Prior(a=dist.Normal(0.0, 1.0)), tractable=truth(log_likelihood=_line))
def line(theta, *, key, design):
    """y ~ N(d a, 0.5)."""
    return design["d"] * theta["a"] + NOISE * jax.random.normal(key)


def line_information(d, n=1):
    return 0.5 * np.log1p(n * (d / NOISE) ** 2)


X = np.array([[1.0, 0.5], [1.0, -1.0], [1.0, 2.0]])
S = np.diag([4.0, 1.0])
PLANE = 2.763721


def _plane(theta, x, design):
    mean = theta["a"] + design["t"] * theta["b"]
    return jax.scipy.stats.norm.logpdf(x[0], mean, np.sqrt(0.5))


@qx.simulator(
    qx.Prior(a=dist.Normal(0.0, 2.0), b=dist.Normal(0.0, 1.0)),
    tractable=truth(log_likelihood=_plane),
)
def plane(theta, *, key, design):
    """y ~ N(a + b t, sqrt 0.5): three of them at t = 0.5, -1, 2 are the linear-Gaussian experiment."""
    return theta["a"] + design["t"] * theta["b"] + np.sqrt(0.5) * jax.random.normal(key)


def plane_information(times):
    rows = np.stack([np.ones(len(times)), np.asarray(times)], axis=1)
    return 0.5 * np.linalg.slogdet(np.eye(len(times)) + rows @ S @ rows.T / 0.5)[1]


def plane_targeted(times):
    """I(b; x) = 0.5 log det Cov(x) / det Cov(x | b)."""
    t = np.asarray(times)
    noise = 4.0 * np.ones((len(t), len(t))) + 0.5 * np.eye(len(t))
    return 0.5 * (np.linalg.slogdet(noise + np.outer(t, t))[1] - np.linalg.slogdet(noise)[1])


def _answer(theta, x, design):
    z = (theta["a"] - design["d"]) / 0.5
    return jnp.where(x[0] > 0.5, jax.nn.log_sigmoid(z), jax.nn.log_sigmoid(-z))


@qx.simulator(qx.Prior(a=dist.Normal(0.0, 1.0)), tractable=truth(log_likelihood=_answer, outcomes=np.array([0.0, 1.0])))
def answer(theta, *, key, design):
    """yes with probability sigmoid((a - d) / 0.5)."""
    return jax.random.bernoulli(key, jax.nn.sigmoid((theta["a"] - design["d"]) / 0.5))


ANSWER = {0.0: 0.231138, 0.5: 0.216067, 1.0: 0.176600, 2.0: 0.079645}


def death(size):
    """How many of `size` have died by tau: Binomial(size, 1 - e^{-rate tau}), rate ~ N(1, 1) above 0."""

    def log_likelihood(theta, x, design):
        k, hazard = x[0], theta["rate"] * design["tau"]
        log_choose = gammaln(size + 1.0) - gammaln(size - k + 1.0) - gammaln(k + 1.0)
        return log_choose + jax.scipy.special.xlogy(k, -jnp.expm1(-hazard)) - (size - k) * hazard

    @qx.simulator(
        qx.Prior(rate=dist.TruncatedNormal(1.0, 1.0, low=0.0)),
        tractable=truth(log_likelihood=log_likelihood, outcomes=np.arange(size + 1.0)),
    )
    def deaths(theta, *, key, design):
        return jax.random.binomial(key, float(size), -jnp.expm1(-theta["rate"] * design["tau"]))

    return deaths


DEATH = {0.1: 0.63971, 0.5: 1.19524, 1.0: 1.34243, 1.5: 1.34929, 2.0: 1.30220, 3.0: 1.15841, 5.0: 0.89377}


def slope(theta, design):
    return 2.0 * theta["g"] * jnp.tanh(10.0 * (2.0 * design["energy"] - 90.0) / 90.0)


def _collision(theta, x, design):
    a = slope(theta, design)
    big = jnp.maximum(jnp.abs(a), 2.0)
    edge = 0.5 * (-big + jnp.sqrt(big**2 - 4.0))
    area = (1.0 - edge) + (1.0 - edge**3) / 3.0 + big * (1.0 - edge**2) / 2.0
    area = jnp.where(jnp.abs(a) <= 2.0, 8.0 / 3.0, area)
    return jnp.log(jnp.maximum(1.0 + x[0] ** 2 + a * x[0], 1e-300)) - jnp.log(area)


@qx.simulator(qx.Prior(g=dist.Uniform(0.5, 1.5)), tractable=truth(log_likelihood=_collision))
def collision(theta, *, key, design):
    """The cosine of the angle of a muon: density 1 + c^2 + A c, clipped at zero, drawn by inverting its integral on a fine grid."""
    c = jnp.linspace(-1.0, 1.0, 2049)
    density = jnp.maximum(1.0 + c**2 + slope(theta, design) * c, 0.0)
    total = jnp.concatenate([jnp.zeros(1), jnp.cumsum(0.5 * (density[1:] + density[:-1]))])
    return jnp.interp(jax.random.uniform(key) * total[-1], total, c)


COLLISION = {40.0: 0.03708, 42.0: 0.01322, 43.0: 0.00551, 44.0: 0.00134, 45.0: 0.0, 47.0: 0.00551, 50.0: 0.03708}
COLLISIONS = {43.0: (0.101, 0.003), 44.0: (0.024, 0.002), 45.0: (0.0, 0.0), 50.0: (0.491, 0.005)}
