"""Ratios between any two parameter points: networks that change sign when the two are exchanged."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quincunx.learn.build import Spec, build, register


class AntisymmetricRatio(eqx.Module):
    """((theta_0, theta_1) (2d,), x) -> (): f = (g(theta_0, theta_1, x) - g(theta_1, theta_0, x)) / 2, so that r(0, 1) r(1, 0) = 1.

    `g` is the specification of a ratio network of `theta_size` 2d.

    >>> import jax
    >>> g = {"kind": "ratio", "theta_size": 2, "x_size": 1, "width": 8, "depth": 1}
    >>> net = AntisymmetricRatio(g=g, key=jax.random.key(0))
    >>> float(net(jnp.array([0.3, -0.2]), jnp.ones(1)) + net(jnp.array([-0.2, 0.3]), jnp.ones(1)))
    0.0
    """

    g: Any
    stochastic: bool = eqx.field(static=True)

    def __init__(self, *, g: Spec, key: PRNGKeyArray):
        self.g = build(g, key=key)
        self.stochastic = getattr(self.g, "stochastic", False)

    def __call__(self, pair: Float[Array, " dd"], x: PyTree, *, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        """The log-ratio."""
        half = pair.shape[-1] // 2
        swapped = jnp.concatenate([pair[half:], pair[:half]])
        options = {"key": key} if self.stochastic else {}
        return 0.5 * (self.g(pair, x, **options) - self.g(swapped, x, **options))


class Against(eqx.Module):
    """(theta (d,), x) -> (): a ratio between two points with the second one fixed.

    >>> import jax
    >>> g = {"kind": "ratio", "theta_size": 2, "x_size": 1, "width": 8, "depth": 1}
    >>> pair = {"kind": "antisymmetric_ratio", "g": g}
    >>> net = Against(pair=pair, reference=[0.5], key=jax.random.key(0))
    >>> float(net(jnp.array([0.5]), jnp.ones(1)))
    0.0
    """

    pair: Any
    reference: tuple[float, ...] = eqx.field(static=True)

    def __init__(self, *, pair: Spec, reference: list[float] | tuple[float, ...], key: PRNGKeyArray):
        self.pair = build(pair, key=key)
        self.reference = tuple(reference)

    def __call__(self, theta: Float[Array, " d"], x: PyTree) -> Float[Array, ""]:
        """The log-ratio to the reference."""
        return self.pair(jnp.concatenate([theta, jnp.array(self.reference)]), x)


register("antisymmetric_ratio")(AntisymmetricRatio)
register("against")(Against)
