"""A neuron's spikes under a generalised linear model (2101.04653, T.5), as summaries and raw (T.6)."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float

from quincunx.gallery.benchmark import observed, true_parameters
from quincunx.gallery.catalogue import entry
from quincunx.gallery.monte_carlo import MonteCarlo
from quincunx.gallery.problem import Problem, Truth
from quincunx.model import Prior, simulator

STEPS = 100
LAGS = 9


def stimulus() -> np.ndarray:
    """The frozen input: 100 standard normals of NumPy's legacy generator at seed 42, rounded to float32.

    >>> stimulus()[:2]
    array([ 0.49671414, -0.1382643 ], dtype=float32)
    """
    return np.random.RandomState(42).randn(STEPS).astype(np.float32)


def design_matrix() -> np.ndarray:
    """V, (100, 10): a column of ones, then the input lagged by 0 to 8 steps with zeros before its start.

    >>> design_matrix().shape
    (100, 10)
    """
    inputs = stimulus()
    lagged = [np.concatenate([np.zeros(lag, np.float32), inputs[: STEPS - lag]]) for lag in range(LAGS)]
    return np.stack([np.ones(STEPS, np.float32), *lagged], axis=1)


def prior_precision() -> np.ndarray:
    """The prior's precision: 0.5 for the offset, and F^T F for the filter, with F = D D + diag(sqrt(i / 9)) and D the
    identity minus its subdiagonal, which penalises second differences.

    >>> prior_precision().shape
    (10, 10)
    """
    difference = np.eye(LAGS) - np.eye(LAGS, k=-1)
    smooth = difference @ difference + np.diag(np.sqrt(np.arange(LAGS) / LAGS))
    precision = np.zeros((LAGS + 1, LAGS + 1))
    precision[0, 0] = 0.5
    precision[1:, 1:] = smooth.T @ smooth
    return precision


_V = design_matrix()
# A^T A is the covariance's inverse for A the Cholesky factor's transpose, so theta = A^-1 z has that covariance.
_WHITEN = np.linalg.inv(np.linalg.cholesky(prior_precision()).T)


def log_likelihood_of_summary(theta: dict, x: Float[Array, " 10"]) -> Float[Array, ""]:
    """log p(y | theta) = theta . V^T y - sum_t log(1 + exp(V_t theta)) for any y with V^T y = x.

    The input being continuous, no two spike trains share their summary, and this is log p(x | theta) too.
    """
    return jnp.dot(theta["theta"], x) - jnp.sum(jax.nn.softplus(_V @ theta["theta"]))


def log_likelihood_of_spikes(theta: dict, y: Float[Array, " 100"]) -> Float[Array, ""]:
    """log p(y | theta) = sum_t y_t V_t theta - log(1 + exp(V_t theta))."""
    return log_likelihood_of_summary(theta, y @ _V)


def fisher(theta: dict) -> Float[Array, "10 10"]:
    """V^T diag(p (1 - p)) V with p = sigmoid(V theta); the summaries are sufficient, so both versions share it."""
    p = jax.nn.sigmoid(_V @ theta["theta"])
    return _V.T @ (_V * (p * (1 - p))[:, None])


def _from_normal(z: Float[Array, " 10"]) -> dict:
    return {"theta": _WHITEN @ z}


_chains = MonteCarlo(_from_normal, log_likelihood_of_summary, dim=LAGS + 1)


def problem() -> Problem:
    """theta ~ N(0, B^-1) (see `prior_precision`), y_t ~ Bernoulli(sigmoid(V_t theta)) for t = 1..100, x = V^T y: the
    number of spikes and its correlations with the input at lags 0 to 8, which are sufficient.

    >>> float(problem().observation(1)[0])
    56.0
    """
    prior = _prior()

    truth = Truth(kind="likelihood", log_likelihood=log_likelihood_of_summary, fisher=fisher)

    @simulator(prior, name="bernoulli_glm", tractable=truth)
    def simulate(theta, *, key, design=None):
        return _spikes(theta["theta"], key) @ _V

    recorded = (observed("bernoulli_glm"), {"theta": true_parameters("bernoulli_glm")})
    return Problem(
        entry("bernoulli_glm"), simulate, truth, {"theta": jnp.zeros(10)}, recorded=recorded, sampler=_chains
    )


def problem_raw() -> Problem:
    """The same neuron observed spike by spike: x = y, 100 zeros and ones.

    >>> float(problem_raw().observation(1).sum())
    56.0
    """
    prior = _prior()

    def reference(x, n, *, key):
        return _chains(x @ _V, n, key=key)

    truth = Truth(kind="likelihood", log_likelihood=log_likelihood_of_spikes, fisher=fisher)

    @simulator(prior, name="bernoulli_glm_raw", tractable=truth)
    def simulate(theta, *, key, design=None):
        return _spikes(theta["theta"], key)

    recorded = (observed("bernoulli_glm_raw"), {"theta": true_parameters("bernoulli_glm")})
    return Problem(
        entry("bernoulli_glm_raw"), simulate, truth, {"theta": jnp.zeros(10)}, recorded=recorded, sampler=reference
    )


def _prior() -> Prior:
    return Prior(
        theta=dist.MultivariateNormal(jnp.zeros(10), precision_matrix=jnp.asarray(prior_precision(), jnp.float32))
    )


def _spikes(theta: Float[Array, " 10"], key) -> Float[Array, " 100"]:
    return jax.random.bernoulli(key, jax.nn.sigmoid(_V @ theta)).astype(jnp.float32)
