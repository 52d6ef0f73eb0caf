"""A drug in the blood, in one compartment, and when to take the samples."""

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

DOSE = 400.0
CENTRES = {"k_a": 1.0, "k_e": 0.1, "V": 20.0}
RELATIVE, ABSOLUTE = 0.01, 0.1
"""The variance of a measurement: 0.01 of the mean squared, and 0.1."""

_LOG_SD = math.sqrt(0.05)
_DEFAULT = {"times": np.array([0.5, 2.0, 5.0, 10.0, 18.0], np.float32)}
_SERIES = np.array([1 / math.factorial(2 * k + 1) for k in range(7, -1, -1)])


def problem() -> Problem:
    """Absorption and elimination rates k_a and k_e (1/h) and volume V (L), log-normal about 1, 0.1 and 20 with a variance of 0.05:

        y_i ~ N(m(t_i), 0.01 m(t_i)^2 + 0.1),   m(t) = (D / V) k_a (exp(-k_e t) - exp(-k_a t)) / (k_a - k_e),   D = 400,

    y of shape (5,). The design is {"times": numbers of hours from 0 to 24}, five by default; there may be any number. Where the
    rates are equal m is its limit, and smooth. Fisher information sum_i dm dm^T / v + dv dv^T / (2 v^2); exact posterior draws by
    accepting draws of the prior (2111.02329).

    >>> problem().truth.fisher({"k_a": 1.0, "k_e": 0.1, "V": 20.0}).shape
    (3, 3)
    """
    prior = Prior(
        {name: dist.LogNormal(math.log(centre), _LOG_SD) for name, centre in CENTRES.items()},
        units={"k_a": "1/h", "k_e": "1/h", "V": "L"},
    )

    def mean(theta: dict, design: dict | None) -> Float[Array, " times"]:
        k_a, k_e, volume = (jnp.asarray(theta[name]) for name in CENTRES)
        return concentration(k_a, k_e, volume, settings_of(design, _DEFAULT)["times"])

    def log_likelihood(theta: dict, x: Float[Array, " times"], design: dict | None = None) -> Float[Array, ""]:
        centre = mean(theta, design)
        variance = RELATIVE * centre**2 + ABSOLUTE
        return -0.5 * jnp.sum((x - centre) ** 2 / variance + jnp.log(2 * math.pi * variance))

    @jax.jit
    def fisher(theta: dict, design: dict | None = None) -> Float[Array, "3 3"]:
        flat = jnp.stack([jnp.asarray(theta[name], float) for name in CENTRES])

        def moments(flat: Float[Array, " 3"]) -> Float[Array, " times"]:
            return mean(dict(zip(CENTRES, flat)), design)

        centre, slope = moments(flat), jax.jacfwd(moments)(flat)
        variance = RELATIVE * centre**2 + ABSOLUTE
        # d variance = 2 * 0.01 m dm.
        weight = 1 / variance + 0.5 * (2 * RELATIVE * centre / variance) ** 2
        return slope.T @ (weight[:, None] * slope)

    def posterior_sample(
        n: int, x: Float[Array, " times"], design: dict | None = None, *, key: PRNGKeyArray
    ) -> dict[str, Float[Array, " n"]]:
        times = np.asarray(settings_of(design, _DEFAULT)["times"], float)
        data = np.asarray(x, float)
        largest = _largest_log_density(data)

        def propose(rng: np.random.Generator, m: int) -> tuple[np.ndarray, np.ndarray]:
            theta = np.exp(np.log(list(CENTRES.values())) + _LOG_SD * rng.standard_normal((m, 3)))
            level = _log_density(data, _concentration(*theta.T[:, :, None], times)).sum(axis=1)
            return theta, np.log(rng.random(m)) < level - largest

        draws = accepted_draws(propose, n, rng=rng_from_key(key), what="posterior of the rates and the volume")
        return {name: jnp.asarray(column, jnp.float32) for name, column in zip(CENTRES, draws.T)}

    truth = Truth(kind="posterior", log_likelihood=log_likelihood, fisher=fisher, posterior_sample=posterior_sample)

    @simulator(prior, name="pharmacokinetics", units="mg/L", tractable=truth)
    def simulate(theta, *, key, design=None):
        centre = mean(theta, design)
        return centre + jnp.sqrt(RELATIVE * centre**2 + ABSOLUTE) * jax.random.normal(key, centre.shape)

    return Problem(
        entry("pharmacokinetics"),
        simulate,
        truth,
        dict(CENTRES),
        derived=lambda theta: {"half-life": math.log(2) / theta["k_e"]},
        space={"times": (0.0, 24.0, 5)},
        increasing=("times",),
        smooth=True,
        default_design=_DEFAULT,
    )


def concentration(
    k_a: Float[Array, ""], k_e: Float[Array, ""], volume: Float[Array, ""], times: Float[Array, "*times"]
) -> Float[Array, "*times"]:
    """m(t) = (D / V) k_a (exp(-k_e t) - exp(-k_a t)) / (k_a - k_e) in mg/L, with derivatives that are right where the rates are equal.

    With w = (k_a - k_e) t / 2 the quotient is t exp(-(k_a + k_e) t / 2) sinh(w) / w, whose last factor is a series in w^2.

    >>> float(concentration(jnp.asarray(0.5), jnp.asarray(0.5), jnp.asarray(20.0), jnp.asarray(2.0)))
    7.358
    """
    w = (k_a - k_e) * times / 2
    small = jnp.abs(w) < 0.5
    middle = jnp.exp(-(k_a + k_e) * times / 2)
    near = middle * jnp.polyval(_SERIES.astype(w.dtype), jnp.where(small, w, 0.0) ** 2)
    far = (jnp.exp(-k_e * times) - jnp.exp(-k_a * times)) / jnp.where(small, 1.0, 2 * w)
    return DOSE / volume * k_a * times * jnp.where(small, near, far)


def _concentration(k_a: np.ndarray, k_e: np.ndarray, volume: np.ndarray, times: np.ndarray) -> np.ndarray:
    z = np.maximum(np.abs(k_a - k_e) * times, 1e-9)
    return DOSE / volume * k_a * times * np.exp(-np.minimum(k_a, k_e) * times) * -np.expm1(-z) / z


def _log_density(x: np.ndarray, mean: np.ndarray) -> np.ndarray:
    variance = RELATIVE * mean**2 + ABSOLUTE
    return -0.5 * ((x - mean) ** 2 / variance + np.log(2 * math.pi * variance))


def _largest_log_density(x: Float[np.ndarray, " times"]) -> float:
    """No theta gives a higher log-likelihood: each datum's own best mean, on a grid whose steps cost less than what is added."""
    means = np.linspace(0.0, max(2 * float(np.max(np.abs(x))), 1.0), 4001)
    return float(_log_density(x[:, None], means).max(axis=1).sum()) + 1e-3
