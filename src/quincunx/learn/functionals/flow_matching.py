"""Conditional flow matching (FMPE)."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quincunx.learn.functionals.strata import stratified


class FlowMatching(eqx.Module):
    """E_t |v(t, y_t, c) - (y - (1 - sigma_min) z)|^2 / d, minimised by the velocity that carries N(0, I) to p(y | c).

    y_t = (1 - (1 - sigma_min) t) z + t y, z ~ N(0, I). The minimiser is E[y - (1 - sigma_min) z | y_t, c], whose flow
    at t = 1 has the density p(y | c) blurred by N(0, sigma_min^2). Times have the density (1 + alpha) t^alpha on [0,
    1], that is t = u^(1 / (1 + alpha)): uniform for alpha = 0, more weight near the data for larger alpha
    (2305.17161; its text prints the exponent 1 / (1 + alpha) of the draw as that of the density). batch: "y" (n, d),
    standardised, and "c". The model is v(t, y_t, c).
    """

    sigma_min: float = eqx.field(static=True, default=1e-4)
    alpha: float = eqx.field(static=True, default=0.0)
    minimiser: ClassVar[str] = "v(t, y_t, c) = E[y - (1 - sigma_min) z | y_t, c]"

    def __call__(self, model, batch: dict[str, PyTree], *, key: PRNGKeyArray) -> Float[Array, ""]:
        """The mean over the batch and over dimensions."""
        y = batch["y"]
        k_time, k_noise = jax.random.split(key)
        t = stratified(y.shape[0], key=k_time) ** (1 / (1 + self.alpha))
        z = jax.random.normal(k_noise, y.shape)
        shrink = 1 - self.sigma_min
        y_t = (1 - shrink * t[:, None]) * z + t[:, None] * y
        velocity = jax.vmap(model)(t, y_t, batch["c"])
        return jnp.mean((velocity - (y - shrink * z)) ** 2)
