"""The one density that half of the gallery is made of."""

import math

import jax.numpy as jnp
from jax.scipy.special import log_ndtr
from jaxtyping import Array, Float


def isotropic_log_prob(
    x: Float[Array, "*batch d"], mean: Float[Array, "..."] | float, variance: float
) -> Float[Array, "*batch"]:
    """log N(x; mean, variance I) = -|x - mean|^2 / (2 variance) - (d/2) log(2 pi variance), over the last axis.

    >>> float(isotropic_log_prob(jnp.zeros(2), 0.0, 1.0))
    -1.8379
    """
    d = x.shape[-1]
    return -jnp.sum((x - mean) ** 2, axis=-1) / (2 * variance) - 0.5 * d * math.log(2 * math.pi * variance)


def box_log_mass(mean: Float[Array, "*batch d"], sd: float, half_width: float) -> Float[Array, "*batch"]:
    """log of the mass that N(mean, sd^2 I) puts on the box [-half_width, half_width]^d, over the last axis.

    Each factor is Phi(b) - Phi(a), reflected so that it is a difference in the lower tail.

    >>> float(box_log_mass(jnp.zeros(1), 1.0, 1.0))
    -0.3817
    """
    centre = jnp.abs(mean)
    lower, upper = (-half_width - centre) / sd, (half_width - centre) / sd
    floor, ceiling = log_ndtr(lower), log_ndtr(upper)
    return jnp.sum(ceiling + jnp.log1p(-jnp.exp(floor - ceiling)), axis=-1)
