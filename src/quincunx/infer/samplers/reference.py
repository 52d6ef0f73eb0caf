"""The broad density that tempering starts from, and the coordinates in which it is standard."""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from quincunx.infer.samplers.mixture import DEGREES


class Reference(eqx.Module):
    """u = centre + factor v with v a standard Student-t of ten degrees of freedom in d dimensions.

    Samplers walk in v: every axis then has the prior's scale, which float32 and first step sizes need.

    >>> import numpy as np
    >>> reference = fit_reference(np.random.default_rng(0).normal(3.0, 2.0, size=(500, 2)).astype("float32"))
    >>> reference.to_target(jnp.zeros((1, 2))).shape
    (1, 2)
    """

    centre: Float[Any, " d"]
    factor: Float[Any, "d d"]

    def to_target(self, v: Float[Any, "*P d"]) -> Float[Any, "*P d"]:
        """Positions in the target's own coordinates."""
        return self.centre + v @ self.factor.T

    def from_target(self, u: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m d"]:
        """Positions in standard coordinates."""
        return np.linalg.solve(self.factor, (u - self.centre).T).T.astype(u.dtype)

    @property
    def log_det(self) -> float:
        """log |du/dv|."""
        return float(np.sum(np.log(np.diagonal(np.asarray(self.factor, np.float64)))))


class Standardised(eqx.Module):
    """A log-density of v instead of u (without the constant Jacobian); the reference travels with the data.

    >>> import jax.numpy as jnp
    >>> reference = Reference(jnp.array([1.0]), jnp.array([[2.0]]))
    >>> float(Standardised(lambda u, data: -jnp.sum(u))(jnp.array([3.0]), (None, reference)))
    -7.0
    """

    log_density: Callable[..., Any] = eqx.field(static=True)

    def __call__(self, v: Float[Array, " d"], data: tuple[PyTree, Reference]) -> Float[Array, ""]:
        own, reference = data
        return self.log_density(reference.to_target(v), own)


def log_student(v: Float[Array, "P d"]) -> tuple[Float[Array, " P"], Float[Array, "P d"]]:
    """The standard Student-t's log-density and its gradient."""
    d = v.shape[-1]
    square = jnp.sum(v * v, -1)
    constant = math.lgamma((DEGREES + d) / 2) - math.lgamma(DEGREES / 2) - 0.5 * d * math.log(DEGREES * math.pi)
    return constant - 0.5 * (DEGREES + d) * jnp.log1p(square / DEGREES), -v * ((DEGREES + d) / (DEGREES + square))[
        :, None
    ]


def fit_reference(sample: Float[np.ndarray, "m d"]) -> Reference:
    """Mean and covariance of a prior sample after clipping each coordinate at five robust deviations, as a Student-t."""
    dtype = sample.dtype
    sample = np.asarray(sample, np.float64)
    d = sample.shape[1]
    middle = np.median(sample, 0)
    spread = 1.4826 * np.median(np.abs(sample - middle), 0)
    spread = np.where(spread > 0, spread, sample.std(0) + 1e-6)
    clipped = np.clip(sample, middle - 5 * spread, middle + 5 * spread)
    covariance = np.cov(clipped, rowvar=False).reshape(d, d) + 1e-6 * np.diag(spread**2)
    factor = np.linalg.cholesky(covariance * (DEGREES - 2) / DEGREES)
    return Reference(clipped.mean(0).astype(dtype), factor.astype(dtype))
