"""Ratios that see x only through its score along the way from a reference to theta."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.learn.build import Spec, build, register


class ProjectedRatio(eqx.Module):
    """(theta (d,), t (d,)) -> (): g(theta, h), where h = t . (theta - theta_ref) is one number whatever d (SALLINO, 1805.00020).

    Near theta_ref, h is the log-ratio up to a constant of theta, so that one number is enough there. What follows
    the score in t, such as settings, is handed on. `ratio` is the specification of a network with `x_size` 1 and room for that.

    >>> import jax
    >>> ratio = {"kind": "ratio", "theta_size": 2, "x_size": 1, "width": 8, "depth": 1}
    >>> net = ProjectedRatio(ratio=ratio, reference=[0.0, 0.0], key=jax.random.key(0))
    >>> float(net(jnp.ones(2), jnp.array([0.5, -0.5])))
    0.0
    """

    ratio: Any
    reference: tuple[float, ...] = eqx.field(static=True)

    def __init__(self, *, ratio: Spec, reference: list[float] | tuple[float, ...], key: PRNGKeyArray):
        self.ratio = build(ratio, key=key)
        self.reference = tuple(reference)

    def __call__(self, theta: Float[Array, " d"], t: Float[Array, " k"]) -> Float[Array, ""]:
        """The log-ratio."""
        d = theta.shape[-1]
        h = jnp.dot(t[:d], theta - jnp.array(self.reference))
        return self.ratio(theta, jnp.concatenate([h[None], t[d:]]))


register("projected_ratio")(ProjectedRatio)
