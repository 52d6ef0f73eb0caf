"""A denoiser with EDM preconditioning: the model of score-based posterior estimation."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quincunx.learn.build import Spec, build, register
from quincunx.learn.networks.velocity import bind
from quincunx.learn.ode import base_of_denoiser, log_prob_of_denoiser, sample_denoiser


class Denoiser(eqx.Module):
    """D(sigma, y, condition) = E[y_0 | y = y_0 + sigma eps, condition], and the conditional density it defines.

    D = c_skip y + c_out F(log(sigma) / 4, c_in y, condition), with s_d = `sigma_data` and
    c_skip = s_d^2 / (sigma^2 + s_d^2), c_out = sigma s_d / sqrt(sigma^2 + s_d^2), c_in = 1 / sqrt(sigma^2 + s_d^2)
    (2206.00364, table 1). The score of the noised density is (D - y) / sigma^2. Draws and densities go by the
    probability-flow equation in `steps` Runge-Kutta steps between `sigma_max` and `sigma_min`; what they describe is
    q(. | condition) blurred by N(0, sigma_min^2).

    >>> import jax, jax.numpy as jnp
    >>> from quincunx.learn.build import build
    >>> network = {"kind": "adaln", "dim": 2, "condition_dim": 1, "width": 8, "depth": 1}
    >>> q = build({"kind": "denoiser", "network": network, "steps": 4}, key=jax.random.key(0))
    >>> q.sample(jnp.ones(1), key=jax.random.key(1)).shape
    (2,)
    """

    network: Any
    steps: int = eqx.field(static=True)
    sigma_data: float = eqx.field(static=True)
    sigma_min: float = eqx.field(static=True)
    sigma_max: float = eqx.field(static=True)

    invertible = True

    @property
    def dim(self) -> int:
        """Dimension of y."""
        return self.network.dim

    @property
    def condition_dim(self) -> int:
        """Dimension of the (embedded) condition."""
        return self.network.condition_dim

    def __call__(self, sigma: Float[Array, ""], y: Float[Array, " d"], condition: PyTree) -> Float[Array, " d"]:
        """The denoised y at noise level sigma > 0."""
        return self._bind(condition)(sigma, y)

    def score(self, sigma: Float[Array, ""], y: Float[Array, " d"], condition: PyTree) -> Float[Array, " d"]:
        """The gradient of log q_sigma(y | condition), q_sigma being q blurred by N(0, sigma^2)."""
        return (self(sigma, y, condition) - y) / sigma**2

    def sample(self, condition: PyTree, *, key: PRNGKeyArray) -> Float[Array, " d"]:
        """One draw from q(. | condition)."""
        return sample_denoiser(self._bind(condition), self.dim, key=key, **self._grid())

    def log_prob(self, y: Float[Array, " d"], condition: PyTree) -> Float[Array, ""]:
        """log q(y | condition), with the exact divergence (dim forward derivatives at every stage)."""
        return log_prob_of_denoiser(self._bind(condition), y, **self._grid())

    def to_base(self, y: Float[Array, " d"], condition: PyTree) -> tuple[Float[Array, " d"], Float[Array, ""]]:
        """The standard-normal noise that the flow carries to y, and log|det dz/dy|."""
        return base_of_denoiser(self._bind(condition), y, **self._grid())

    def _bind(self, condition):
        raw = bind(self.network, condition)

        def denoise(sigma, y):
            total = sigma**2 + self.sigma_data**2
            c_skip, c_in = self.sigma_data**2 / total, 1 / jnp.sqrt(total)
            return c_skip * y + sigma * self.sigma_data * c_in * raw(jnp.log(sigma) / 4, c_in * y)

        return denoise

    def _grid(self):
        return {
            "steps": self.steps,
            "sigma_data": self.sigma_data,
            "sigma_min": self.sigma_min,
            "sigma_max": self.sigma_max,
        }


@register("denoiser")
def denoiser(
    *,
    network: Spec,
    key: PRNGKeyArray,
    steps: int = 24,
    sigma_data: float = 1.0,
    sigma_min: float = 1e-3,
    sigma_max: float = 80.0,
) -> Denoiser:
    """Build a `Denoiser` over the raw network F of a specification."""
    return Denoiser(build(network, key=jax.random.fold_in(key, 0)), steps, sigma_data, sigma_min, sigma_max)
