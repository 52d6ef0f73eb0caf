"""Denoising score matching with EDM weights (NPSE)."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quincunx.learn.functionals.strata import stratified


class DenoisingScore(eqx.Module):
    """E_sigma lambda(sigma) |D(sigma, y + sigma eps, c) - y|^2 / d, minimised by D = E[y | y + sigma eps, c].

    The score of p(y | c) blurred by N(0, sigma^2) is then (D - y_sigma) / sigma^2. log sigma ~ N(`log_mean`,
    `log_std`^2) and lambda = (sigma^2 + s_d^2) / (sigma s_d)^2, which gives every noise level the same weight in
    units of the preconditioned network's output (2206.00364, table 1; for posteriors 2210.04872). batch: "y" (n, d),
    standardised, and "c". The model is D(sigma, y_sigma, c).
    """

    log_mean: float = eqx.field(static=True, default=-1.2)
    log_std: float = eqx.field(static=True, default=1.2)
    sigma_data: float = eqx.field(static=True, default=1.0)
    minimiser: ClassVar[str] = "D(sigma, y_sigma, c) = E[y | y_sigma, c] = y_sigma + sigma^2 score"

    def __call__(self, model, batch: dict[str, PyTree], *, key: PRNGKeyArray) -> Float[Array, ""]:
        """The mean over the batch and over dimensions."""
        y = batch["y"]
        k_level, k_noise = jax.random.split(key)
        sigma = jnp.exp(self.log_mean + self.log_std * ndtri(stratified(y.shape[0], key=k_level)))
        noised = y + sigma[:, None] * jax.random.normal(k_noise, y.shape)
        denoised = jax.vmap(model)(sigma, noised, batch["c"])
        weight = (sigma**2 + self.sigma_data**2) / (sigma * self.sigma_data) ** 2
        return jnp.mean(weight[:, None] * (denoised - y) ** 2)
