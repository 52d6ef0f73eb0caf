"""Simple likelihood, complex posterior (1805.07226; 2101.04653, T.3), bare and hidden among distractors (T.4)."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import ndtr
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.gallery.benchmark import observed, true_parameters
from quincunx.gallery.catalogue import entry
from quincunx.gallery.monte_carlo import MonteCarlo
from quincunx.gallery.problem import Problem, ReferenceDraws, Truth
from quincunx.model import Prior, simulator
from quincunx.model.simulator import rng_from_key

DRAWS = 4
JITTER = 1e-6
DISTRACTORS = 92
COMPONENTS = 20


def problem() -> Problem:
    """theta ~ U(-3, 3)^5; x holds four independent draws of N((theta_1, theta_2), S), one after another, where
    S = [[s1^2, rho s1 s2], [rho s1 s2, s2^2]] + 1e-6 I, s1 = theta_3^2, s2 = theta_4^2, rho = tanh(theta_5).

    The posterior does not change under theta_3 -> -theta_3 nor theta_4 -> -theta_4: each sign quadrant holds a quarter.

    >>> theta = {"theta": jnp.array([0.0, 0.0, 1.0, -1.0, 0.0])}
    >>> problem().truth.log_likelihood(theta, jnp.zeros(8))
    Array(-7.35151, dtype=float32)
    """
    prior = _prior()

    truth = Truth(kind="likelihood", log_likelihood=log_likelihood)

    @simulator(prior, name="slcp", tractable=truth)
    def simulate(theta, *, key, design=None):
        return _points(theta["theta"], key)

    recorded = (observed("slcp"), {"theta": true_parameters("slcp")})
    return Problem(entry("slcp"), simulate, truth, _default(), recorded=recorded, sampler=_reference)


def problem_distractors() -> Problem:
    """The 8 informative columns of slcp and 92 of noise, in a fixed permutation.

    The noise is one draw of a fixed equal mixture of 20 multivariate Student-t distributions of 2 degrees of freedom,
    whose variance is infinite. It tells nothing about theta, so the posterior is that of slcp, and the log-likelihood
    here leaves out the log-density of the noise, a term free of theta.

    >>> problem_distractors().observation(1).shape
    (100,)
    """
    prior = _prior()
    noise = distractor_mixture()
    informative = np.argsort(noise["permutation"])[: 2 * DRAWS].astype(np.int32)

    def masked_log_likelihood(theta: dict, x: Float[Array, " 100"]) -> Float[Array, ""]:
        return log_likelihood(theta, x[informative])

    def reference(x: Float[np.ndarray, " 100"], n: int, *, key: PRNGKeyArray) -> ReferenceDraws:
        return _reference(x[informative], n, key=key)

    truth = Truth(kind="likelihood", log_likelihood=masked_log_likelihood, up_to_constant=True)

    @simulator(prior, name="slcp_distractors", tractable=truth)
    def simulate(theta, *, key, design=None):
        points_key, noise_key = jax.random.split(key)
        columns = jnp.concatenate([_points(theta["theta"], points_key), draw_distractors(noise_key)])
        return columns[noise["permutation"]]

    recorded = (observed("slcp_distractors"), {"theta": true_parameters("slcp")})
    return Problem(entry("slcp_distractors"), simulate, truth, _default(), recorded=recorded, sampler=reference)


def log_likelihood(theta: dict, x: Float[Array, " 8"]) -> Float[Array, ""]:
    """Sum over the four points of log N(x_j; m, S), by the Cholesky factor of S; its determinant is written with
    1 - tanh^2 = 1/cosh^2, which keeps its digits when the correlation is close to one."""
    first, cross, second = _cholesky(theta["theta"])
    points = x.reshape(DRAWS, 2) - theta["theta"][:2]
    a = points[:, 0] / first
    b = (points[:, 1] - cross * a) / second
    return -0.5 * jnp.sum(a**2 + b**2) - DRAWS * (jnp.log(first) + jnp.log(second) + math.log(2 * math.pi))


@functools.lru_cache(maxsize=1)
def distractor_mixture() -> dict[str, np.ndarray]:
    """Parameters of the noise: `loc` (20, 92), `scale_tril` (20, 92, 92) and the `permutation` of all 100 columns.

    They are the first draws of NumPy's legacy generator at seed 42, a stream that NumPy keeps frozen, in the order in
    which the benchmark drew them; this reproduces its stored file to the last digit or two.

    >>> distractor_mixture()["permutation"][:5].tolist()
    [87, 47, 39, 9, 25]
    """
    stream = np.random.RandomState(42)
    loc = np.array([15 * stream.normal(size=DISTRACTORS) for _ in range(COMPONENTS)])
    factors = []
    for _ in range(COMPONENTS):
        lower = np.tril(stream.normal(size=(DISTRACTORS, DISTRACTORS)))
        factors.append(lower + np.diag(np.exp(stream.normal(size=DISTRACTORS))))
    # of one width whether or not 64-bit numbers are switched on around it
    permutation = stream.permutation(DISTRACTORS + 2 * DRAWS).astype(np.int32)
    return {"loc": loc, "scale_tril": 3 * np.array(factors), "permutation": permutation}


def draw_distractors(key: PRNGKeyArray) -> Float[Array, " 92"]:
    """One draw of the noise: loc_k + scale_tril_k z / sqrt(chi2_2 / 2) for a random component k.

    z is multiplied into all the factors at once: under `vmap` that is one matrix product, where picking the factor of
    each simulation would copy 92 x 92 numbers for every one of them.
    """
    mixture = distractor_mixture()
    component_key, normal_key, scale_key = jax.random.split(key, 3)
    component = jax.random.randint(component_key, (), 0, COMPONENTS)
    z = jax.random.normal(normal_key, (DISTRACTORS,))
    # chi^2 with two degrees of freedom, halved, is a unit exponential.
    z = z * jax.lax.rsqrt(jax.random.exponential(scale_key))
    factors = jnp.asarray(mixture["scale_tril"].reshape(-1, DISTRACTORS), jnp.float32)
    shifted = (factors @ z).reshape(COMPONENTS, DISTRACTORS) + mixture["loc"].astype(np.float32)
    return shifted[component]


def _prior() -> Prior:
    return Prior(theta=dist.Uniform(-3 * jnp.ones(5), 3 * jnp.ones(5)).to_event(1))


def _default() -> dict:
    return {"theta": jnp.array([0.7, -2.9, -1.0, -0.9, 0.6])}


def _cholesky(theta: Float[Array, " 5"]) -> tuple[Array, Array, Array]:
    s1, s2 = theta[2] ** 2, theta[3] ** 2
    rho = jnp.tanh(theta[4])
    determinant = (s1 * s2 / jnp.cosh(theta[4])) ** 2 + JITTER * (s1**2 + s2**2) + JITTER**2
    first = jnp.sqrt(s1**2 + JITTER)
    return first, rho * s1 * s2 / first, jnp.sqrt(determinant) / first


def _points(theta: Float[Array, " 5"], key: PRNGKeyArray) -> Float[Array, " 8"]:
    first, cross, second = _cholesky(theta)
    noise = jax.random.normal(key, (DRAWS, 2))
    x = theta[0] + first * noise[:, 0]
    y = theta[1] + cross * noise[:, 0] + second * noise[:, 1]
    return jnp.stack([x, y], axis=1).ravel()


def _positive_quadrant(z: Float[Array, " 5"]) -> dict:
    """Standard normals to the prior restricted to theta_3 > 0, theta_4 > 0."""
    return {"theta": ndtr(z) * np.array([6.0, 6.0, 3.0, 3.0, 6.0]) - np.array([3.0, 3.0, 0.0, 0.0, 3.0])}


_chains = MonteCarlo(_positive_quadrant, log_likelihood, dim=5)


def _reference(x: Float[np.ndarray, " 8"], n: int, *, key: PRNGKeyArray) -> ReferenceDraws:
    """Long Monte Carlo in one sign quadrant, then random signs: the symmetry is exact, so no mode can be missed."""
    found = _chains(x, n, key=key)
    theta = found.draws["theta"]
    signs = rng_from_key(jax.random.fold_in(key, 1)).choice([-1.0, 1.0], (n, 2))
    theta = np.concatenate([theta[:, :2], theta[:, 2:4] * signs, theta[:, 4:]], axis=1)
    return ReferenceDraws({"theta": theta}, found.r_hat, found.ess)
