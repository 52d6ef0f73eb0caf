"""A straight line whose slopes are chosen: the design problem that is solved with pencil and paper."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.stats import multivariate_normal
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.errors import UsageError
from quincunx.gallery.catalogue import entry
from quincunx.gallery.problem import Problem, Truth
from quincunx.gallery.settings import settings_of
from quincunx.model import Prior, simulator

Numbers = float | int | Sequence[Any]
"""A number, or as many as there are in a row, or rows of them."""


def problem(*, slopes: Numbers = 1.0, prior_sd: Numbers = 1.0, noise_sd: float = 0.5) -> Problem:
    """y = X theta + n eps, eps ~ N(0, I), theta ~ N(0, diag(s^2)), the design being {"slopes": X}, whose default is given.

    One number makes theta a number and y of shape (1,); p numbers make theta a vector of p and y of shape (1,); an (m, p) matrix makes y
    of shape (m,). Slopes are between -5 and 5. With S = diag(s^2) the posterior is N(V X^T y / n^2, V), V = (S^-1 + X^T X / n^2)^-1, the Fisher
    information X^T X / n^2, and the expected information gain 1/2 log det(I + X S X^T / n^2) (textbook: Lindley 1956).

    Raises:
        UsageError: if the prior has as many widths as the default has columns, or not one.

    >>> round(problem().truth.eig({"slopes": 2.0}), 6)
    1.416607
    """
    default = {"slopes": np.asarray(slopes, np.float32)}
    shape = default["slopes"].shape
    dim = shape[-1] if shape else 1
    widths = np.asarray(prior_sd, float)
    if len(shape) > 2 or widths.shape not in ((), (dim,)):
        raise UsageError(
            f"got slopes of shape {shape} and prior widths of shape {widths.shape}; expected a number, p numbers or an (m, p) matrix, "
            "and one width or p of them; give as many widths as there are columns"
        )
    widths = np.broadcast_to(widths, (dim,))
    if shape:
        prior = Prior(
            theta=dist.Normal(jnp.asarray(widths * 0, jnp.float32), jnp.asarray(widths, jnp.float32)).to_event(1)
        )
    else:
        prior = Prior(theta=dist.Normal(0.0, float(widths[0])))
    matrix_like = (-1, dim)

    def matrix(design: dict | None) -> Float[Array, "m p"]:
        return settings_of(design, default)["slopes"].reshape(matrix_like)

    def mean(theta: dict, design: dict | None) -> Float[Array, " m"]:
        return matrix(design) @ jnp.asarray(theta["theta"]).reshape(-1)

    def log_likelihood(theta: dict, x: Float[Array, " m"], design: dict | None = None) -> Float[Array, ""]:
        square = jnp.sum((x - mean(theta, design)) ** 2) / noise_sd**2
        return -0.5 * (square + x.size * math.log(2 * math.pi * noise_sd**2))

    def fisher(theta: dict, design: dict | None = None) -> Float[Array, "p p"]:
        return matrix(design).T @ matrix(design) / noise_sd**2

    def posterior_moments(x: Float[Array, " m"], design: dict | None) -> tuple[Float[Array, " p"], Float[Array, "p p"]]:
        precision = jnp.diag(jnp.asarray(1 / widths**2, x.dtype)) + fisher({}, design)
        covariance = jnp.linalg.inv(precision)
        return covariance @ (matrix(design).T @ x) / noise_sd**2, covariance

    def log_posterior(theta: dict, x: Float[Array, " m"], design: dict | None = None) -> Float[Array, ""]:
        return jnp.asarray(
            multivariate_normal.logpdf(jnp.asarray(theta["theta"]).reshape(-1), *posterior_moments(x, design))
        )

    def log_evidence(x: Float[Array, " m"], design: dict | None = None) -> Float[Array, ""]:
        spread = matrix(design) * jnp.asarray(widths, x.dtype)
        covariance = spread @ spread.T + noise_sd**2 * jnp.eye(len(spread), dtype=x.dtype)
        return jnp.asarray(multivariate_normal.logpdf(x, jnp.zeros_like(x), covariance))

    def posterior_sample(
        n: int, x: Float[Array, " m"], design: dict | None = None, *, key: PRNGKeyArray
    ) -> dict[str, Float[Array, "n ..."]]:
        centre, covariance = posterior_moments(jnp.asarray(x), design)
        draws = centre + jax.random.normal(key, (n, dim)) @ jnp.linalg.cholesky(covariance).T
        return {"theta": draws if shape else draws[:, 0]}

    def eig(design: dict) -> float:
        spread = np.asarray(settings_of(design, default)["slopes"], float).reshape(matrix_like) * widths
        return float(0.5 * np.linalg.slogdet(np.eye(len(spread)) + spread @ spread.T / noise_sd**2)[1])

    truth = Truth(
        kind="posterior",
        log_likelihood=log_likelihood,
        fisher=fisher,
        log_posterior=log_posterior,
        log_evidence=log_evidence,
        posterior_sample=posterior_sample,
        eig=eig,
    )

    @simulator(prior, name="linear_gaussian_design", tractable=truth)
    def simulate(theta, *, key, design=None):
        centre = mean(theta, design)
        return centre + noise_sd * jax.random.normal(key, centre.shape)

    return Problem(
        entry("linear_gaussian_design"),
        simulate,
        truth,
        {"theta": jnp.full(dim, 0.5) if shape else jnp.asarray(0.5)},
        space={"slopes": (-5.0, 5.0, dim) if len(shape) == 1 else (-5.0, 5.0)},
        default_design=default,
    )
