"""A critic of parameters and histories, and a policy that is trained together with one."""

from typing import cast

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.learn.build import Spec, build, register
from quincunx.learn.networks.mlp import MLP
from quincunx.learn.networks.policy import PolicyNetwork
from quincunx.learn.networks.start import fresh_keys


class HistoryCritic(eqx.Module):
    """f(theta, history) = a(theta) . b(sum_t c(event_t)), the separable critic of implicit deep adaptive design (2111.02329).

    Of n parameters and m histories n + m codes are made, and n m numbers are their products.

    >>> import jax, jax.numpy as jnp
    >>> critic = HistoryCritic(theta_size=2, event_size=3, width=8, key=jax.random.key(0))
    >>> critic(jnp.zeros(2), jnp.ones((4, 3))).shape
    ()
    """

    theta_coder: MLP
    event_coder: MLP
    history_coder: MLP

    def __init__(
        self,
        *,
        theta_size: int,
        event_size: int,
        key: PRNGKeyArray,
        width: int = 128,
        depth: int = 2,
        encoding: int = 32,
    ):
        k_theta, k_event, k_history = fresh_keys(key, 3)
        shape = {"width": width, "depth": depth}
        self.theta_coder = MLP(in_size=theta_size, out_size=encoding, key=k_theta, **shape)
        self.event_coder = MLP(in_size=event_size, out_size=width, key=k_event, **shape)
        self.history_coder = MLP(in_size=width, out_size=encoding, key=k_history, **shape)

    def theta_code(self, theta: Float[Array, " d"]) -> Float[Array, " e"]:
        """a(theta)."""
        return self.theta_coder(theta)

    def history_code(self, events: Float[Array, "n s"]) -> Float[Array, " e"]:
        """b(sum of c(event))."""
        return self.history_coder(jnp.sum(jax.vmap(self.event_coder)(events), axis=0))

    def __call__(self, theta: Float[Array, " d"], events: Float[Array, "n s"]) -> Float[Array, ""]:
        """The critic of one pair."""
        return jnp.dot(self.theta_code(theta), self.history_code(events))


class CriticisedPolicy(eqx.Module):
    """A policy and the critic by which it is judged, two networks that are trained as one."""

    policy: PolicyNetwork
    critic: HistoryCritic

    def __init__(self, *, policy: Spec, critic: Spec, key: PRNGKeyArray):
        k_policy, k_critic = fresh_keys(key, 2)
        self.policy = cast(PolicyNetwork, build(policy, key=k_policy))
        self.critic = cast(HistoryCritic, build(critic, key=k_critic))

    def __call__(self, theta: Float[Array, " d"], events: Float[Array, "n s"]) -> Float[Array, ""]:
        """The critic of one pair."""
        return self.critic(theta, events)


register("history_critic")(HistoryCritic)
register("criticised_policy")(CriticisedPolicy)
