"""Information by Laplace's approximation: cheap, smooth in the design, and no bound; for screening."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from quincunx.design.density import Density, log_each
from quincunx.design.experiment import Question, Slots, outcomes_at
from quincunx.design.found import Found
from quincunx.model.precision import double_scope

__all__ = ["fisher", "information_matrices"]

POINTS, OUTCOMES = 256, 8
"""At how many parameter points the information is computed, and from how many outcomes at each."""


def fisher(question: Question, slots: Slots) -> Found:
    """0.5 E_theta log det(I + Sigma F(theta, design)), F the Fisher information of all events and Sigma the covariance of the belief.

    Exact for a linear-Gaussian experiment, up to the error of Sigma. Where outcomes say much it tends to the entropy of the prior less that of the Gaussian
    posterior; for parameters far from Gaussian it can be far off in either direction.
    """
    theta = question.outer[:POINTS]
    f, ok = information_matrices(question, theta, slots)
    draws = question.belief.draws
    sigma = np.atleast_2d(np.cov(draws, rowvar=False))
    root = np.linalg.cholesky(sigma + 1e-12 * np.trace(sigma) * np.eye(len(sigma)))
    inner = np.eye(len(sigma)) + root.T @ f @ root
    rows = np.where(ok, 0.5 * np.linalg.slogdet(inner)[1], np.nan)
    # what an error of Sigma does: d/dSigma = 0.5 tr(A dSigma), with A the mean of F (I + Sigma F)^-1
    a = np.mean((f @ np.linalg.inv(np.eye(len(sigma)) + sigma @ f))[ok], axis=0)
    away = draws - draws.mean(axis=0)
    influence = 0.5 * np.einsum("ni,ij,nj->n", away, a, away)
    return Found("fisher", None, None, value=rows, extra=float(influence.var() / len(draws)))


def information_matrices(
    question: Question, theta: Float[np.ndarray, "t d"], slots: Slots
) -> tuple[Float[np.ndarray, "t d d"], np.ndarray]:
    """E_x[- d^2 log p / d theta^2] (t, d, d) at each theta, averaged over a few outcomes and made positive; and where it is finite."""
    repeated = np.repeat(theta, OUTCOMES, axis=0)
    x, ok = outcomes_at(question.simulator, repeated, slots, key=question.key)
    x = jax.tree.map(lambda a: a.astype(np.float64), x)
    with double_scope():
        each = np.asarray(_curvatures(question.density, repeated, x, slots.settings, slots.mask))
    each = np.where(ok[:, None, None], each, np.nan).reshape(len(theta), OUTCOMES, *each.shape[1:])
    f = np.nanmean(each, axis=1) if np.isnan(each).any() else each.mean(axis=1)
    good = np.isfinite(f).all(axis=(1, 2))
    values, vectors = np.linalg.eigh(np.where(good[:, None, None], 0.5 * (f + np.swapaxes(f, 1, 2)), 0.0))
    return np.einsum("tij,tj,tkj->tik", vectors, np.maximum(values, 0.0), vectors), good


@eqx.filter_jit
def _curvatures(density: Density, theta: Any, x: Any, settings: Any, mask: Any) -> Array:
    settings = jax.tree.map(jnp.asarray, settings)

    def one(row: tuple[Array, Any]) -> Array:
        def value(point: Array) -> Array:
            return jnp.sum(jnp.where(jnp.asarray(mask) > 0, log_each(density, point, row[1], settings), 0.0))

        return -jax.hessian(value)(row[0])

    return jax.lax.map(one, (jnp.asarray(theta), jax.tree.map(jnp.asarray, x)), batch_size=128)
