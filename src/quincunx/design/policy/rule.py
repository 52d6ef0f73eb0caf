"""Rules that choose designs, for compiled code: by a network of the history, or by chance."""

import abc
from collections.abc import Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from quincunx.design.space import Space
from quincunx.errors import UsageError
from quincunx.learn import Scale
from quincunx.learn.networks import PolicyNetwork
from quincunx.model import Prior
from quincunx.notebook import from_repr
from quincunx.values import as_key

__all__ = ["NetworkRule", "RandomDesigns", "Rule"]


class Rule(eqx.Module):
    """A state that begins empty and takes in experiments, and a design for each state: one history, callers vmap."""

    @abc.abstractmethod
    def begin(self) -> Float[Array, " e"]:
        """The state before the first experiment."""

    @abc.abstractmethod
    def design(self, state: Float[Array, " e"], number: Int[Array, ""], key: PRNGKeyArray) -> dict[str, Array]:
        """The design after `number` experiments, by name."""

    @abc.abstractmethod
    def take_in(
        self, state: Float[Array, " e"], design: dict[str, Array], x: Float[Array, "n d"]
    ) -> Float[Array, " e"]:
        """The state after an experiment of n events, each flat."""


class NetworkRule(Rule):
    """A policy network between the units of a space and the scales that it was trained under."""

    network: PolicyNetwork
    scale: Scale
    low: Float[Array, " k"]
    span: Float[Array, " k"]
    names: tuple[str, ...] = eqx.field(static=True)
    steepest: float = eqx.field(static=True, default=float("inf"))

    @classmethod
    def of(cls, network: PolicyNetwork, scale: Scale, space: Space) -> "NetworkRule":
        """The rule in a space of intervals."""
        low, high = (np.array([ends[i] for _, ends in space.bounds], np.float32) for i in (0, 1))
        return cls(network, scale, jnp.asarray(low), jnp.asarray(high - low), space.names)

    def begin(self) -> Float[Array, " e"]:
        """Zeros."""
        return jnp.zeros(self.network.state_size)

    def design(self, state: Float[Array, " e"], number: Int[Array, ""], key: PRNGKeyArray) -> dict[str, Array]:
        """The network's point of the unit cube, in the settings' units."""
        # zero, but of each campaign its own: a design that all campaigns share has its gradients shortened before they are added
        own = 0.0 * jnp.sum(jax.random.key_data(key).astype(jnp.float32))
        values = self.low + self.span * _tamed(self.network.emit(state, number, key) + own, self.steepest)
        return {name: values[i] for i, name in enumerate(self.names)}

    def take_in(
        self, state: Float[Array, " e"], design: dict[str, Array], x: Float[Array, "n d"]
    ) -> Float[Array, " e"]:
        """The sum with the codes of the events."""
        return state + jnp.sum(jax.vmap(self.network.encode)(self.events(design, x)), axis=0)

    def events(self, design: dict[str, Array], x: Float[Array, "n d"]) -> Float[Array, "n s"]:
        """Design and outcome of each event side by side as networks see them: from -1 to 1, and scaled."""
        u = (jnp.stack([design[name] for name in self.names]) - self.low) / self.span
        return jnp.concatenate([jnp.broadcast_to(2 * u - 1, (len(x), len(u))), self.scale.forward(x)], axis=1)


class RandomDesigns(Rule):
    """Designs that are drawn anew for each experiment, whatever was measured: uniformly from a `Space`, or from a `Prior` over settings.

    Raises:
        UsageError: for a space with constraints, or a prior over settings that are no numbers.

    >>> designs = RandomDesigns(Space(dose=(0.0, 10.0)))
    >>> 0.0 <= designs([], key=0)["dose"] <= 10.0
    True
    """

    source: Prior | None
    bounds: tuple[tuple[str, tuple[float, ...]], ...] = eqx.field(static=True)
    continuous: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, source: Space | Prior):
        if isinstance(source, Space) and source.constraints:
            raise UsageError(
                "got a space with constraints; expected a box; draw designs from a Prior over the settings"
            )
        if isinstance(source, Prior) and any(source.shapes.values()):
            raise UsageError(
                f"got settings of shapes {source.shapes}; expected numbers; give each number a name of its own"
            )
        self.source = source if isinstance(source, Prior) else None
        self.bounds = source.bounds if isinstance(source, Space) else ()
        self.continuous = source.continuous if isinstance(source, Space) else ()

    def __repr__(self) -> str:
        said = repr(self.source) if self.source is not None else ", ".join(name for name, _ in self.bounds)
        return f"RandomDesigns({said})"

    _repr_html_ = from_repr

    def begin(self) -> Float[Array, " e"]:
        """Nothing is remembered."""
        return jnp.zeros(0)

    def design(self, state: Float[Array, " e"], number: Int[Array, ""], key: PRNGKeyArray) -> dict[str, Array]:
        """A draw."""
        if self.source is not None:
            return self.source.sample(key=key)
        drawn = {}
        for i, (name, ends) in enumerate(self.bounds):
            own, values = jax.random.fold_in(key, i), jnp.asarray(np.asarray(ends, np.float32))
            if name in self.continuous:
                drawn[name] = values[0] + (values[1] - values[0]) * jax.random.uniform(own)
            else:
                drawn[name] = values[jax.random.randint(own, (), 0, len(ends))]
        return drawn

    def take_in(
        self, state: Float[Array, " e"], design: dict[str, Array], x: Float[Array, "n d"]
    ) -> Float[Array, " e"]:
        """Nothing is learned."""
        return state

    def __call__(self, history: Sequence[Any], *, key: PRNGKeyArray | int) -> dict[str, float]:
        """The next design."""
        drawn = self.design(self.begin(), jnp.asarray(len(history)), as_key(key))
        return {name: float(value) for name, value in drawn.items()}


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _tamed(u: Array, steepest: float) -> Array:
    """u itself, through which no gradient longer than `steepest` comes back: through many experiments, each a function of those before, gradients explode."""
    return u


def _forward(u: Array, steepest: float) -> tuple[Array, None]:
    return u, None


def _backward(steepest: float, _: None, gradient: Array) -> tuple[Array]:
    length = jnp.sqrt(jnp.sum(gradient**2) + 1e-30)
    return (gradient * jnp.minimum(1.0, steepest / length),)


_tamed.defvjp(_forward, _backward)
