"""A mixture of multivariate Student-t densities fitted to particles: the proposal that jumps between modes, and the local metric inside each."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

DEGREES = 10
"""Degrees of freedom of every component: tails heavier than a Gaussian's keep importance ratios bounded, an even number keeps sampling cheap."""


class Mixture(eqx.Module):
    """q(u) = sum_k w_k t_10(u; m_k, L_k L_k^T), with K components in d dimensions.

    `scale` holds the lower Cholesky factors L_k, `whiten` their inverses, `shift` = L_k^-1 m_k, `constant` the log of w_k times the normaliser. Random numbers
    come in from outside as uniforms, because every separate draw inside a compiled program costs half a second of compilation.

    >>> import jax.numpy as jnp
    >>> round(float(jax.nn.logsumexp(standard(4, 2).log_joint(jnp.zeros((1, 2)))[0])), 4)
    -1.8379
    """

    weight: Float[Array, " K"]
    mean: Float[Array, "K d"]
    scale: Float[Array, "K d d"]
    whiten: Float[Array, "K d d"]
    shift: Float[Array, "K d"]
    constant: Float[Array, " K"]

    def log_joint(
        self, u: Float[Array, "P d"]
    ) -> tuple[Float[Array, "P K"], Float[Array, "P K d"], Float[Array, "P K"]]:
        """log w_k + log t_10(u; m_k, L_k L_k^T); the whitened z_k = L_k^-1 (u - m_k); the Student-t precision (10 + d) / (10 + |z_k|^2)."""
        K, d = self.mean.shape
        # One matrix product whitens by all components.
        z = (u @ self.whiten.reshape(K * d, d).T).reshape(-1, K, d) - self.shift
        square = jnp.sum(z * z, -1)
        return self.constant - 0.5 * (DEGREES + d) * jnp.log1p(square / DEGREES), z, (DEGREES + d) / (DEGREES + square)

    def slope(self, z: Float[Array, "P K d"], coefficient: Float[Array, "P K"]) -> Float[Array, "P d"]:
        """-sum_k c_k L_k^-T z_k: with c_k the precision of `log_joint` times a weight, the weighted sum of the gradients of log t_10."""
        K, d = self.mean.shape
        return -(coefficient[..., None] * z).reshape(-1, K * d) @ self.whiten.reshape(K * d, d)

    def sample(self, uniform: Float[Array, "P c"], z: Float[Array, "P d"]) -> Float[Array, "P d"]:
        """Draw from q: each point uses six uniforms and d standard normals."""
        k = choose(jnp.broadcast_to(self.weight, (len(uniform), len(self.weight))), uniform[:, 0])
        # chi^2 with an even number of degrees is a sum of exponentials, much cheaper than a gamma variate.
        chi2 = -2.0 * jnp.sum(jnp.log(uniform[:, 1 : 1 + DEGREES // 2]), -1)
        return self.mean[k] + jnp.einsum("pij,pj->pi", self.scale[k], z * jnp.sqrt(DEGREES / chi2)[:, None])


UNIFORMS = 1 + DEGREES // 2
"""How many uniforms `Mixture.sample` uses for a point."""


def normal(uniform: Float[Array, "..."]) -> Float[Array, "..."]:
    """Standard normal variates from uniforms on the open interval (0, 1)."""
    return math.sqrt(2.0) * jax.lax.erf_inv(2.0 * uniform - 1.0)


def choose(probability: Float[Array, "P K"], uniform: Float[Array, " P"]) -> Int[Array, " P"]:
    """An index from each row of probabilities, by inversion."""
    K = probability.shape[1]
    cumulative = probability @ np.triu(np.ones((K, K), probability.dtype))
    return jnp.sum(uniform[:, None] * cumulative[:, -1:] > cumulative, -1).clip(0, K - 1)


def standard(K: int, d: int, dtype: str = "float32") -> Mixture:
    """The standard Student-t written with K equal components."""
    eye = jnp.asarray(np.tile(np.eye(d, dtype=dtype), (K, 1, 1)))
    zero = jnp.zeros((K, d), dtype)
    return Mixture(jnp.full(K, 1 / K, dtype), zero, eye, eye, zero, jnp.full(K, _normaliser(d) - math.log(K), dtype))


def refit(
    q: Mixture,
    u: Float[Array, "P d"],
    joint: Float[Array, "P K"],
    precision: Float[Array, "P K"],
    spare: Float[Array, "K d"],
    fresh: Bool[Array, ""],
) -> Mixture:
    """One step of expectation-maximisation for the Student-t mixture, with covariances shrunk to their common mean.

    `joint` and `precision` are `q.log_joint(u)`. Where `fresh` is true every component starts anew at a point of `spare` with the
    particles' overall covariance; otherwise only a component that has lost nearly all its particles does.
    """
    P, d = u.shape
    K = q.mean.shape[0]
    responsibility = jnp.where(fresh, 1.0 / K, jax.nn.softmax(joint, axis=-1))
    pull = jnp.where(fresh, responsibility, responsibility * precision)
    centre = jnp.mean(u, 0)
    v = u - centre
    # One product gathers the weight, the first and the second moments of every component.
    moments = pull.T @ jnp.concatenate(
        [jnp.ones((P, 1), u.dtype), v, (v[:, :, None] * v[:, None, :]).reshape(P, d * d)], 1
    )
    mass = moments[:, 0] + 1e-6
    mean = moments[:, 1 : 1 + d] / mass[:, None]
    scatter = moments[:, 1 + d :].reshape(K, d, d) - mass[:, None, None] * mean[:, :, None] * mean[:, None, :]
    count = jnp.sum(responsibility, 0)
    pooled = jnp.sum(scatter, 0) / P
    restart = fresh | (count < 0.1 * P / K)
    blend = jnp.where(restart, 1e6, d + 2.0)[:, None, None]
    # A hair of jitter relative to each axis keeps the factorisation alive in float32 when a component collapses to a line.
    eye = jnp.eye(d, dtype=u.dtype)
    covariance = (scatter + blend * pooled) / (count[:, None, None] + blend) + eye * (1e-5 * pooled + 1e-12)
    scale = jnp.linalg.cholesky(covariance)
    whiten = jax.vmap(lambda L: jax.scipy.linalg.solve_triangular(L, eye, lower=True))(scale)
    mean = jnp.where(restart[:, None], spare, mean + centre)
    weight = jnp.maximum(count, 0.1 * P / K)
    weight = weight / jnp.sum(weight)
    log_det = jnp.sum(jnp.log(jnp.sum(whiten * eye, -1)), -1)
    constant = jnp.log(weight) + log_det + _normaliser(d)
    new = Mixture(weight, mean, scale, whiten, jnp.sum(whiten * mean[:, None, :], -1), constant)
    sound = jnp.all(jnp.isfinite(constant))
    return jax.tree.map(lambda a, b: jnp.where(sound, a, b), new, q)


def _normaliser(d: int) -> float:
    return math.lgamma((DEGREES + d) / 2) - math.lgamma(DEGREES / 2) - 0.5 * d * math.log(DEGREES * math.pi)
