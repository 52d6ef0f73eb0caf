"""Networks that choose the next experiment: from what was measured, from the number of the experiment alone, or by chance."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from quincunx.learn.build import register
from quincunx.learn.networks.mlp import MLP
from quincunx.learn.networks.start import fresh_keys, standard_normal


class PolicyNetwork(eqx.Module):
    """A map from a history, as a sum of codes of its events, to a point u of the open unit cube (k,).

    An event is its design and its outcome side by side, both scaled; n of them are an array (n, event_size).
    """

    @abc.abstractmethod
    def encode(self, event: Float[Array, " d"]) -> Float[Array, " e"]:
        """What one event adds to the state, which begins at zero."""

    @abc.abstractmethod
    def emit(self, state: Float[Array, " e"], number: Int[Array, ""], key: PRNGKeyArray) -> Float[Array, " k"]:
        """The design after `number` experiments."""

    @property
    @abc.abstractmethod
    def state_size(self) -> int:
        """How many numbers the state has."""


class HistoryPolicy(PolicyNetwork):
    """u = sigmoid(emitter(sum_t encoder(design_t, outcome_t))), the policy of deep adaptive design (2103.02438).

    The sum makes it the same for every order of the history, as the posterior is, and a function of histories of any length.

    >>> import jax, jax.numpy as jnp
    >>> net = HistoryPolicy(design_size=2, event_size=3, width=8, key=jax.random.key(0))
    >>> history = jnp.arange(6.0).reshape(2, 3)
    >>> bool(jnp.allclose(net(history), net(history[::-1]), atol=1e-6)), net(history[:0]).shape
    (True, (2,))
    """

    encoder: MLP
    emitter: MLP

    def __init__(
        self,
        *,
        design_size: int,
        event_size: int,
        key: PRNGKeyArray,
        width: int = 128,
        depth: int = 2,
        encoding: int = 32,
        activation: str = "silu",
    ):
        k_encoder, k_emitter = fresh_keys(key, 2)
        shape = {"width": width, "depth": depth, "activation": activation}
        self.encoder = MLP(in_size=event_size, out_size=encoding, key=k_encoder, **shape)
        self.emitter = MLP(in_size=encoding, out_size=design_size, key=k_emitter, **shape)

    @property
    def state_size(self) -> int:
        """The length of a code."""
        return self.encoder.out_size

    def encode(self, event: Float[Array, " d"]) -> Float[Array, " e"]:
        """The code of one event."""
        return self.encoder(event)

    def emit(self, state: Float[Array, " e"], number: Int[Array, ""], key: PRNGKeyArray) -> Float[Array, " k"]:
        """The next design."""
        return jax.nn.sigmoid(self.emitter(state))

    def __call__(self, events: Float[Array, "n d"]) -> Float[Array, " k"]:
        """The design after a history."""
        return jax.nn.sigmoid(self.emitter(jnp.sum(jax.vmap(self.encoder)(events), axis=0)))


class Oblivious(PolicyNetwork):
    """A policy to which what was measured is nothing."""

    @property
    def state_size(self) -> int:
        """Nothing is remembered."""
        return 0

    def encode(self, event: Float[Array, " d"]) -> Float[Array, " e"]:
        """Nothing."""
        return jnp.zeros(0)


class FixedDesigns(Oblivious):
    """u = sigmoid(table[t]): designs that are decided before anything is measured, one for each of `rounds` experiments.

    >>> import jax, jax.numpy as jnp
    >>> FixedDesigns(design_size=2, rounds=3, key=jax.random.key(0))(jnp.zeros((1, 3))).shape
    (2,)
    """

    table: Float[Array, "rounds k"]

    def __init__(self, *, design_size: int, rounds: int, key: PRNGKeyArray):
        self.table = standard_normal(key, (rounds, design_size))

    def emit(self, state: Float[Array, " e"], number: Int[Array, ""], key: PRNGKeyArray) -> Float[Array, " k"]:
        """The design of that number."""
        return jax.nn.sigmoid(self.table[number])

    def __call__(self, events: Float[Array, "n d"]) -> Float[Array, " k"]:
        """The design after so many events."""
        return jax.nn.sigmoid(self.table[len(events)])


class UniformDesigns(Oblivious):
    """u uniform in the unit cube, drawn anew each time: no numbers to learn.

    >>> import jax, jax.numpy as jnp
    >>> UniformDesigns(design_size=2, key=jax.random.key(0)).emit(jnp.zeros(0), jnp.asarray(0), jax.random.key(1)).shape
    (2,)
    """

    design_size: int = eqx.field(static=True)

    def __init__(self, *, design_size: int, key: PRNGKeyArray):
        self.design_size = design_size

    def emit(self, state: Float[Array, " e"], number: Int[Array, ""], key: PRNGKeyArray) -> Float[Array, " k"]:
        """A draw."""
        return jax.random.uniform(key, (self.design_size,))


register("history_policy")(HistoryPolicy)
register("fixed_designs")(FixedDesigns)
register("uniform_designs")(UniformDesigns)
