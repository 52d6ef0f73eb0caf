"""The compiled heart of posteriors from likelihood and ratio surrogates: one log-density in unconstrained space."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from quincunx.infer.blocks import over_rows
from quincunx.infer.conditioning import Conditioning
from quincunx.infer.ensemble import log_mean_exp, over_members
from quincunx.infer.validity import Validity
from quincunx.learn import Scale
from quincunx.model import Prior

Data = dict[str, Any]
"""An observation as arrays: `events` (m, d_x), `mask` (m,), `design` (m, d_design)."""


class Potential(eqx.Module):
    """log p(u | x_o) up to a constant of x_o, for an observation of any number of independent events:

        sum_i log 1/M sum_m s_m(x_i | u, design_i) + n log p(valid | u) + log p(u)

    with s_m the m-th member's likelihood q(x | theta) ("likelihood") or ratio p(x | theta) / p(x) ("ratio", or "relative" if known up to a factor of x), p(u) the
    prior's density in unconstrained space, and p(valid | u) the chance that the simulator gives a finite outcome, which is there
    only where some simulations failed: the surrogate was learned from those that did not. Counts are moved to the middle of their unit cell.
    """

    model: PyTree
    u_scale: Scale
    conditioning: Conditioning
    integers: Bool[Array, " dx"]
    validity: Validity | None
    prior: Prior
    term: str = eqx.field(static=True)

    def __call__(self, u: Float[Array, " du"], data: Data) -> Float[Array, ""]:
        """The unnormalised log-density of u given the observation."""
        value = self.log_likelihood(u, data) + self.prior.log_prob_unconstrained(u)
        return jnp.where(jnp.isnan(value), -jnp.inf, value)

    def log_likelihood(self, u: Float[Array, " du"], data: Data) -> Float[Array, ""]:
        """log p(x_o | u), or log p(x_o | u) / p(x_o) for a ratio, summed over events."""
        each = self.log_each(u, data["events"], data["design"])
        total = jnp.sum(jnp.where(data["mask"] > 0, each, 0.0))
        if self.validity is not None:
            total = total + jnp.sum(data["mask"]) * self.validity.log_valid(u, data["design"][0])
        return total

    def log_each(
        self, u: Float[Array, " du"], events: Float[Array, "m dx"], design: Float[Array, "m dd"]
    ) -> Float[Array, " m"]:
        """The surrogate's log-likelihood or log-ratio of every event."""
        return self.combined(self.log_each_of_members(u, events, design))

    def combined(self, each: Float[Array, "members *rest"]) -> Float[Array, "*rest"]:
        """What the members say together: the mean of likelihoods or ratios, in the logarithm."""
        # members that know the ratio up to constants of their own are averaged in the logarithm, where these drop out
        return jnp.mean(each, axis=0) if self.term == "relative" else log_mean_exp(each)

    def log_each_of_members(
        self, u: Float[Array, " du"], events: Float[Array, "m dx"], design: Float[Array, "#m dd"]
    ) -> Float[Array, "members m"]:
        """What every member of the ensemble says of every event."""
        return self.log_each_at(self.u_scale.forward(u), events, design)

    def log_each_at(
        self, z: Float[Array, " dz"], events: Float[Array, "m dx"], design: Float[Array, "#m dd"]
    ) -> Float[Array, "members m"]:
        """The same at a point in the network's coordinates; one row of `design` serves all events."""
        if self.term != "likelihood":
            one = jnp.ones(1)
            design = jnp.broadcast_to(design, (len(events), design.shape[1]))
            conditions = jax.vmap(lambda x, d: self.conditioning(x[None], one, d[None]))(events, design)
            return over_members(lambda member: jax.vmap(lambda c: member(z, c))(conditions), self.model)
        events = events + 0.5 * self.integers
        y = self.conditioning.x_scale.forward(events)
        settings = self.conditioning.design_scale.forward(design)
        if len(settings) == 1:
            # what a network makes of parameters and settings is the same for all events
            whole = jnp.concatenate([z, settings[0]])
            each = over_members(lambda member: jax.vmap(lambda y: member.log_prob(y, whole))(y), self.model)
            return each + self.conditioning.x_scale.log_det(events)

        def likelihood(member):
            return jax.vmap(lambda y, s: member.log_prob(y, jnp.concatenate([z, s])))(y, settings)

        return over_members(likelihood, self.model) + self.conditioning.x_scale.log_det(events)


def log_density(u: Float[Array, " du"], data: tuple[Potential, Data]) -> Float[Array, ""]:
    """The potential as samplers want it: one function for all, with the surrogate and the observation as its data."""
    potential, observation = data
    return potential(u, observation)


def log_likelihood_many(
    potential: Potential, theta: Float[Array | np.ndarray, "b n d"], batch: tuple[np.ndarray, ...]
) -> Float[np.ndarray, "b n"]:
    """The surrogate's log-likelihood of n theta for each of b observations, given as (events, mask, design)."""
    return over_rows(lambda *a: _block(potential, False, *a), theta, batch)


def log_joint_many(
    potential: Potential, theta: Float[Array | np.ndarray, "b n d"], batch: tuple[np.ndarray, ...]
) -> Float[np.ndarray, "b n"]:
    """log-likelihood plus log-prior of n theta for each of b observations; minus infinity outside the support."""
    return over_rows(lambda *a: _block(potential, True, *a), theta, batch)


def log_ratio_many(
    potential: Potential,
    theta: Float[Array | np.ndarray, "b n d"],
    other: Float[Array | np.ndarray, "b n d"],
    batch: tuple[np.ndarray, ...],
) -> Float[np.ndarray, "b n"]:
    """The log-ratio between n pairs of parameters for each of b observations, by a network that takes both."""
    both = jnp.concatenate([jnp.asarray(theta), jnp.asarray(other)], axis=-1)
    return over_rows(lambda *a: _pair_block(potential, *a), both, batch)


@eqx.filter_jit
def _pair_block(potential: Potential, both: Any, events: Any, mask: Any, design: Any) -> Array:
    pairs = eqx.tree_at(lambda p: p.model, potential, potential.model.pair)

    def one(both, events, mask, design):
        theta, other = jnp.split(both, 2, axis=-1)
        u, v = potential.prior.to_unconstrained(theta), potential.prior.to_unconstrained(other)
        z = jnp.concatenate([potential.u_scale.forward(u), potential.u_scale.forward(v)], axis=-1)
        each = jax.vmap(lambda row: pairs.combined(pairs.log_each_at(row, events, design)))(z)
        return jnp.sum(jnp.where(mask > 0, each, 0.0), axis=-1)

    return jax.vmap(one)(both, events, mask, design)


@eqx.filter_jit
def _block(potential: Potential, with_prior: bool, theta: Any, events: Any, mask: Any, design: Any) -> Array:
    def one(theta, events, mask, design):
        data = {"events": events, "mask": mask, "design": design}
        u = potential.prior.to_unconstrained(theta)
        value = jax.vmap(lambda row: potential.log_likelihood(row, data))(u)
        if not with_prior:
            return value
        log_prior = potential.prior.log_prob_flat(theta)
        return jnp.where(jnp.isneginf(log_prior) | jnp.isnan(value), -jnp.inf, value + log_prior)

    return jax.vmap(one)(theta, events, mask, design)


@eqx.filter_jit
def constrained(prior: Prior, u: Float[Array, "*batch du"]) -> Float[Array, "*batch d"]:
    """theta(u), compiled."""
    return prior.to_constrained(u)


@eqx.filter_jit
def prior_start(prior: Prior, n: int, key: PRNGKeyArray) -> Float[Array, "n du"]:
    """n prior draws in unconstrained space, compiled: where samplers begin."""
    return prior.to_unconstrained(prior.sample_flat(n, key=key))
