"""A mixture of multivariate Student-t densities fitted to particles: the proposal that jumps between modes, and the local metric inside each."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

DEGREES = 10
"""Degrees of freedom of every component: tails heavier than a Gaussian's keep importance ratios bounded, an even number keeps sampling cheap."""


class Mixture(eqx.Module):
    """q(u) = sum_k w_k t_10(u; m_k, L_k L_k^T), with K components in d dimensions.

    `scale` holds the lower Cholesky factors L_k, `whiten` their inverses. Random numbers come in from outside as uniforms, because every
    separate draw inside a compiled program costs half a second of compilation.
    """

    log_weight: Float[Array, " K"]
    mean: Float[Array, "K d"]
    scale: Float[Array, "K d d"]
    whiten: Float[Array, "K d d"]

    def log_joint(self, u: Float[Array, "P d"]) -> tuple[Float[Array, "P K"], Float[Array, "P K d"], Float[Array, "P K"]]:
        """log w_k + log t_10(u; m_k, L_k L_k^T); the whitened z_k = L_k^-1 (u - m_k); the Student-t precision (10 + d) / (10 + |z_k|^2)."""
        d = u.shape[-1]
        z = jnp.einsum("kij,pkj->pki", self.whiten, u[:, None, :] - self.mean)
        square = jnp.sum(z * z, -1)
        constant = math.lgamma((DEGREES + d) / 2) - math.lgamma(DEGREES / 2) - 0.5 * d * math.log(DEGREES * math.pi)
        log_det = jnp.sum(jnp.log(jnp.diagonal(self.whiten, axis1=-2, axis2=-1)), -1)
        joint = self.log_weight + constant + log_det - 0.5 * (DEGREES + d) * jnp.log1p(square / DEGREES)
        return joint, z, (DEGREES + d) / (DEGREES + square)

    def log_prob(self, u: Float[Array, "P d"]) -> Float[Array, " P"]:
        """log q(u)."""
        return jax.nn.logsumexp(self.log_joint(u)[0], axis=-1)

    def slope(self, z: Float[Array, "P K d"], precision: Float[Array, "P K"], coefficient: Float[Array, "P K"]) -> Float[Array, "P d"]:
        """sum_k c_k grad_u log t_10(u; m_k, L_k L_k^T), from what `log_joint` returns."""
        return -jnp.einsum("kij,pki->pj", self.whiten, (coefficient * precision)[..., None] * z)

    def sample(self, uniform: Float[Array, "P c"]) -> Float[Array, "P d"]:
        """Draw from q; each point uses d + 6 uniforms (`uniforms_needed`)."""
        d = self.mean.shape[-1]
        k = choose(jax.nn.softmax(self.log_weight), uniform[:, 0])
        # chi^2 with an even number of degrees is a sum of exponentials, much cheaper than a gamma variate.
        chi2 = -2.0 * jnp.sum(jnp.log(uniform[:, 1 : 1 + DEGREES // 2]), -1)
        z = normal(uniform[:, 1 + DEGREES // 2 : 1 + DEGREES // 2 + d]) * jnp.sqrt(DEGREES / chi2)[:, None]
        return self.mean[k] + jnp.einsum("pij,pj->pi", self.scale[k], z)


def uniforms_needed(dim: int) -> int:
    """How many uniforms `Mixture.sample` uses for a point."""
    return 1 + DEGREES // 2 + dim


def normal(uniform: Float[Array, "..."]) -> Float[Array, "..."]:
    """Standard normal variates from uniforms on the open interval (0, 1)."""
    return math.sqrt(2.0) * jax.lax.erf_inv(2.0 * uniform - 1.0)


def choose(probability: Float[Array, "*P K"], uniform: Float[Array, " P"]) -> Int[Array, " P"]:
    """An index from each row of probabilities, by inversion."""
    cumulative = jnp.cumsum(probability, -1)
    return jnp.sum(uniform[:, None] * cumulative[..., -1:] > cumulative, -1).clip(0, probability.shape[-1] - 1)


def repeat(q: Mixture, K: int) -> Mixture:
    """The same one-component density written with K equal components."""
    return Mixture(
        jnp.full((K,), -math.log(K), q.mean.dtype), *(jnp.repeat(leaf, K, 0) for leaf in (q.mean, q.scale, q.whiten))
    )


def improve(q: Mixture, u: Float[Array, "P d"], spare: Float[Array, "K d"], fresh: Array) -> Mixture:
    """One step of expectation-maximisation for the Student-t mixture, with covariances shrunk to their common mean.

    Where `fresh` is true every component starts anew at a point of `spare` with the particles' overall covariance; otherwise only a
    component that has lost nearly all its particles does.
    """
    P, d = u.shape
    K = q.mean.shape[0]
    joint, z, precision = q.log_joint(u)
    r = jnp.where(fresh, 1.0 / K, jax.nn.softmax(joint, axis=-1))
    rs = jnp.where(fresh, 1.0 / K, r * precision)
    count = jnp.sum(r, 0)
    mean = jnp.einsum("pk,pi->ki", rs, u) / (jnp.sum(rs, 0) + 1e-6)[:, None]
    residual = u[:, None, :] - mean
    scatter = jnp.einsum("pki,pkj->kij", rs[..., None] * residual, residual)
    pooled = jnp.sum(scatter, 0) / P
    shrink = d + 2.0
    covariance = (scatter + shrink * pooled) / (count[:, None, None] + shrink)
    restart = fresh | (count < 0.1 * P / K)
    mean = jnp.where(restart[:, None], spare, mean)
    covariance = jnp.where(restart[:, None, None], pooled, covariance)
    weight = jnp.maximum(count / P, 0.1 / K)
    # A hair of jitter relative to each axis keeps the factorisation alive in float32 when a component collapses to a line.
    variance = jnp.diagonal(covariance, axis1=-2, axis2=-1)
    eye = jnp.eye(d, dtype=u.dtype)
    scale = jnp.linalg.cholesky(covariance + (1e-5 * variance + 1e-12)[..., None] * eye)
    whiten = jax.vmap(lambda L: jax.scipy.linalg.solve_triangular(L, eye, lower=True))(scale)
    return Mixture(jnp.log(weight / jnp.sum(weight)), mean, scale, whiten)
