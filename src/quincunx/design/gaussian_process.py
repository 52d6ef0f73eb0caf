"""A Gaussian process over the unit cube for noisy values of a function: small, exact, in float64."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import minimize

from quincunx.model.precision import double_scope
from quincunx.notebook import from_fields

__all__ = ["GaussianProcess", "fit_process"]

RESTARTS = 3
SIZE, BLOCK = 32, 128
"""Points are padded to a power of two from SIZE on, and predictions made BLOCK at a time, so that little is compiled."""
LOWEST, HIGHEST = 1e-6, 1.0
"""Bounds of the jitter, a variance in units of that of the outcomes."""


@dataclass(frozen=True, eq=False)
class GaussianProcess:
    """f ~ GP(c, s^2 Matern-5/2 with a length for each axis), conditioned on n values with a noise variance each; outcomes are standardised inside.

    `log_parameters` are the logs of the lengths, s and the jitter, and c.
    """

    points: Float[np.ndarray, "m k"]
    values: Float[np.ndarray, " m"]
    noise: Float[np.ndarray, " m"]
    mask: Float[np.ndarray, " m"]
    log_parameters: Float[np.ndarray, " p"]
    centre: float
    scale: float

    def predict(self, u: Float[np.ndarray, "q k"]) -> tuple[Float[np.ndarray, " q"], Float[np.ndarray, " q"]]:
        """Mean and standard deviation of f at points of the unit cube."""
        u = np.asarray(u, np.float64)
        rows = np.minimum(np.arange(-(-len(u) // BLOCK) * BLOCK), len(u) - 1)
        with double_scope():
            parts = [
                _predict(self.log_parameters, *self._data, u[rows[i : i + BLOCK]]) for i in range(0, len(rows), BLOCK)
            ]
        mean, sd = (np.concatenate([np.asarray(part[j]) for part in parts])[: len(u)] for j in (0, 1))
        return self.centre + self.scale * mean, self.scale * sd

    @property
    def lengths(self) -> Float[np.ndarray, " k"]:
        """The length of each axis."""
        return np.exp(self.log_parameters[: self.points.shape[1]])

    def log_expected_improvement(self, u: Float[np.ndarray, "q k"], best: float) -> Float[np.ndarray, " q"]:
        """log E max(f - best, 0), stable where improvement is hardly possible."""
        mean, sd = self.predict(u)
        return np.log(sd) + _log_h((mean - best) / sd)

    @property
    def _data(self) -> tuple[np.ndarray, ...]:
        return self.points, self.values, self.noise, self.mask

    _repr_html_ = from_fields


def fit_process(
    points: Float[np.ndarray, "n k"], values: Float[np.ndarray, " n"], noise: Float[np.ndarray, " n"], *, seed: int = 0
) -> GaussianProcess:
    """The process whose lengths, scale, jitter and mean are most probable a posteriori, by L-BFGS from three starts.

    Priors: log length ~ N(log sqrt 2 + 0.5 log k, sqrt 3) for k axes, log s ~ N(0, 0.5), log jitter ~ N(log 1e-3, 3) within [1e-6, 1], c ~ N(0, 1). `noise` are
    variances.

    >>> u = np.linspace(0.0, 1.0, 9)[:, None]
    >>> process = fit_process(u, np.sin(6 * u[:, 0]), np.full(9, 1e-6))
    >>> mean, sd = process.predict(np.array([[0.3]]))
    >>> bool(abs(mean[0] - np.sin(1.8)) < 0.02)
    True
    """
    n, k = points.shape
    centre, scale = float(np.mean(values)), float(np.std(values)) or 1.0
    pad = max(SIZE, 1 << (n - 1).bit_length()) - n
    data = (
        np.pad(np.asarray(points, np.float64), ((0, pad), (0, 0))),
        np.pad((values - centre) / scale, (0, pad)),
        np.pad(noise / scale**2, (0, pad)),
        np.pad(np.ones(n), (0, pad)),
    )
    rng = np.random.default_rng(seed)
    middle = np.concatenate([np.full(k, 0.5 * np.log(2) + 0.5 * np.log(k) - 1.0), [0.0, np.log(1e-3), 0.0]])
    bounds = [(np.log(0.02), np.log(50.0))] * k + [(-3.0, 3.0), (np.log(LOWEST), np.log(HIGHEST)), (-3.0, 3.0)]
    low, high = np.array(bounds).T
    best: Any = None
    with double_scope():
        for start in range(RESTARTS):
            x0 = np.clip(middle + (rng.normal(size=len(middle)) if start else 0.0), low, high)
            found = minimize(
                partial(_objective, data), x0, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 60}
            )
            if best is None or found.fun < best.fun:
                best = found
    return GaussianProcess(*data, best.x, centre, scale)


def _objective(data: tuple[np.ndarray, ...], parameters: np.ndarray) -> tuple[float, np.ndarray]:
    value, gradient = _loss(parameters, *data)
    value, gradient = float(value), np.asarray(gradient, np.float64)
    return (
        (value, gradient) if np.isfinite(value) and np.all(np.isfinite(gradient)) else (1e10, np.zeros_like(gradient))
    )


def _kernel(parameters: Array, a: Array, b: Array) -> Array:
    k = a.shape[1]
    away = (a[:, None] - b[None]) / jnp.exp(parameters[:k])
    # a root of zero has no gradient
    r = jnp.sqrt(5.0 * jnp.sum(away**2, axis=-1) + 1e-20)
    return jnp.exp(2.0 * parameters[k]) * (1.0 + r + r**2 / 3.0) * jnp.exp(-r)


def _factor(parameters: Array, points: Array, noise: Array, mask: Array) -> Array:
    k = points.shape[1]
    real = mask[:, None] * mask[None]
    own = jnp.where(mask > 0, noise + jnp.exp(parameters[k + 1]) + 1e-8, 1.0)
    return jnp.linalg.cholesky(real * _kernel(parameters, points, points) + jnp.diag(own))


@jax.jit
@jax.value_and_grad
def _loss(parameters: Array, points: Array, values: Array, noise: Array, mask: Array) -> Array:
    k = points.shape[1]
    chol = _factor(parameters, points, noise, mask)
    z = jax.scipy.linalg.solve_triangular(chol, mask * (values - parameters[k + 2]), lower=True)
    fit = 0.5 * jnp.sum(z**2) + jnp.sum(jnp.log(jnp.diag(chol)))
    lengths = 0.5 * jnp.sum((parameters[:k] - 0.5 * np.log(2) - 0.5 * np.log(k)) ** 2) / 3.0
    others = (
        0.5 * (parameters[k] / 0.5) ** 2
        + 0.5 * ((parameters[k + 1] - np.log(1e-3)) / 3.0) ** 2
        + 0.5 * parameters[k + 2] ** 2
    )
    return fit + lengths + others


@jax.jit
def _predict(
    parameters: Array, points: Array, values: Array, noise: Array, mask: Array, at: Array
) -> tuple[Array, Array]:
    k = points.shape[1]
    chol = _factor(parameters, points, noise, mask)
    cross = mask[:, None] * _kernel(parameters, points, at)
    v = jax.scipy.linalg.solve_triangular(chol, cross, lower=True)
    z = jax.scipy.linalg.solve_triangular(chol, mask * (values - parameters[k + 2]), lower=True)
    variance = jnp.exp(2.0 * parameters[k]) - jnp.sum(v**2, axis=0)
    return parameters[k + 2] + v.T @ z, jnp.sqrt(jnp.maximum(variance, 1e-12))


def _log_h(z: np.ndarray) -> np.ndarray:
    """log(phi(z) + z Phi(z)); its asymptote log phi(z) - 2 log |z| far to the left."""
    from scipy.stats import norm

    near = np.maximum(z, -6.0)
    far = norm.logpdf(z) - 2.0 * np.log(np.maximum(-z, 1.0))
    return np.where(z > -6.0, np.log(norm.pdf(near) + near * norm.cdf(near)), far)
