"""The compiled heart of posteriors from likelihood and ratio surrogates: one log-density in unconstrained space."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

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
        z = self.u_scale.forward(u)
        if self.term != "likelihood":
            one = jnp.ones(1)
            conditions = jax.vmap(lambda x, d: self.conditioning(x[None], one, d[None]))(events, design)
            logits = over_members(lambda member: jax.vmap(lambda c: member(z, c))(conditions), self.model)
            # members that know the ratio up to constants of their own are averaged in the logarithm, where these drop out
            return jnp.mean(logits, axis=0) if self.term == "relative" else log_mean_exp(logits)
        events = events + 0.5 * self.integers
        y = self.conditioning.x_scale.forward(events)
        settings = self.conditioning.design_scale.forward(design)

        def likelihood(member):
            return jax.vmap(lambda y, s: member.log_prob(y, jnp.concatenate([z, s])))(y, settings)

        return log_mean_exp(over_members(likelihood, self.model)) + self.conditioning.x_scale.log_det(events)


def log_likelihood_many(potential: Potential, u: Float[Array, "b n du"], data: Data) -> Float[Array, "b n"]:
    """The surrogate's log-likelihood of n points u for each of b observations; data has a leading axis of b."""
    batched = (data["events"], data["mask"], data["design"])
    return over_rows(lambda *a: _log_likelihood_block(potential, *a), u, batched)


@eqx.filter_jit
def _log_likelihood_block(potential: Potential, u: Any, events: Any, mask: Any, design: Any) -> Array:
    def one(rows, events, mask, design):
        data = {"events": events, "mask": mask, "design": design}
        return jax.vmap(lambda row: potential.log_likelihood(row, data))(rows)

    return jax.vmap(one)(u, events, mask, design)
