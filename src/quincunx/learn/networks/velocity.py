"""A velocity field that carries noise to a conditional density: the model of flow matching."""

from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quincunx.learn.build import Spec, build, register
from quincunx.learn.ode import base_of_velocity, log_prob_of_velocity, sample_velocity


class VelocityField(eqx.Module):
    """dy/dt = v(t, y, condition) from y(0) ~ N(0, I) to y(1) ~ q(. | condition), as a conditional density (2305.17161).

    `network(t, y, condition)` gives the velocity; if it has `encode` and `at`, the condition is encoded once. `steps`
    is the number of Runge-Kutta steps for draws and densities.

    >>> import jax, jax.numpy as jnp
    >>> from quincunx.learn.build import build
    >>> network = {"kind": "adaln", "dim": 2, "condition_dim": 1, "width": 8, "depth": 1}
    >>> q = build({"kind": "velocity", "network": network, "steps": 4}, key=jax.random.key(0))
    >>> q.sample(jnp.ones(1), key=jax.random.key(1)).shape
    (2,)
    """

    network: Any
    steps: int = eqx.field(static=True)

    invertible = True

    @property
    def dim(self) -> int:
        """Dimension of y."""
        return self.network.dim

    @property
    def condition_dim(self) -> int:
        """Dimension of the (embedded) condition."""
        return self.network.condition_dim

    def __call__(self, t: Float[Array, ""], y: Float[Array, " d"], condition: PyTree) -> Float[Array, " d"]:
        """The velocity at time t in [0, 1]."""
        return self.network(t, y, condition)

    def sample(self, condition: PyTree, *, key: PRNGKeyArray) -> Float[Array, " d"]:
        """One draw from q(. | condition)."""
        return sample_velocity(bind(self.network, condition), self.dim, key=key, steps=self.steps)

    def log_prob(self, y: Float[Array, " d"], condition: PyTree) -> Float[Array, ""]:
        """log q(y | condition), with the exact divergence (dim forward derivatives at every stage)."""
        return log_prob_of_velocity(bind(self.network, condition), y, steps=self.steps)

    def to_base(self, y: Float[Array, " d"], condition: PyTree) -> tuple[Float[Array, " d"], Float[Array, ""]]:
        """The noise y(0) that the field carries to y, and log|det dy(0)/dy|."""
        return base_of_velocity(bind(self.network, condition), y, steps=self.steps)


def bind(network: Any, condition: PyTree):
    """The network as a function of (t, y) alone, its condition encoded once where it can be."""
    if hasattr(network, "encode"):
        encoded = network.encode(condition)
        return lambda t, y: network.at(t, y, encoded)
    return lambda t, y: network(t, y, condition)


@register("velocity")
def velocity(*, network: Spec, key: PRNGKeyArray, steps: int = 24) -> VelocityField:
    """Build a `VelocityField` over the network of a specification."""
    return VelocityField(build(network, key=jax.random.fold_in(key, 0)), steps)
