"""What a policy is trained for: lower bounds on the information of a whole campaign, from a likelihood or from a critic."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.design.density import Density, above, log_each
from quincunx.design.policy.rollout import rolled
from quincunx.design.policy.rule import NetworkRule
from quincunx.learn import Scale
from quincunx.learn.networks import CriticisedPolicy, PolicyNetwork
from quincunx.model import Simulator
from quincunx.model.outcome import flatten_outcome

__all__ = ["Campaign", "CriticBound", "TotalInformation"]

STEEPEST = 2.0
"""No campaign's gradient with respect to one design is longer than this, in nats over the width of the space: longer ones are shortened."""
PICKED = 8
"""How many of a campaign's contrastive draws have their gradients taken."""


class Campaign(eqx.Module):
    """What is rolled out in training: the simulator, the rule around the network, and how many experiments of how many events."""

    simulator: Simulator
    scale: Scale
    low: Float[Array, " k"]
    span: Float[Array, " k"]
    names: tuple[str, ...] = eqx.field(static=True)
    rounds: int = eqx.field(static=True)
    events: int = eqx.field(static=True)
    inner: int = eqx.field(static=True)
    stop: bool = eqx.field(static=True)
    steepest: float = eqx.field(static=True, default=STEEPEST)

    def rule(self, network: PolicyNetwork, batch: int) -> NetworkRule:
        """The rule that a network gives; in a batch every campaign's gradient is one of its mean."""
        steepest = float("inf") if self.stop else self.steepest / batch
        return NetworkRule(network, self.scale, self.low, self.span, self.names, steepest)

    def run(
        self, network: PolicyNetwork, theta: Float[Array, "b d"], key: PRNGKeyArray
    ) -> tuple[dict[str, Array], Any]:
        """Settings (B, S) and outcomes (B, S, ...) of a campaign at each of B parameters."""
        rule, keys = self.rule(network, len(theta)), jax.random.split(key, len(theta))
        shape = {"rounds": self.rounds, "events": self.events, "stop": self.stop}
        return jax.vmap(lambda point, k: rolled(self.simulator, rule, point, k, **shape))(theta, keys)


class TotalInformation(eqx.Module):
    """Minus the sequential PCE bound on the total expected information of a campaign (2103.02438):

        E[ log p(h | theta_0) - log 1/(L+1) sum_{l=0..L} p(h | theta_l) ],   p(h | theta) = prod_t p(x_t | theta, design_t),

    whose maximum over policies is, for large L, the policy that teaches most; it cannot exceed log(L + 1). batch: "theta" (B, d), draws of the prior; the
    L others are drawn anew and shared by the batch. The gradient of the log-sum is a mean of gradients under the weights of its
    terms: it is taken at a few terms drawn by them (systematically), which is unbiased and saves nearly all of the derivative's cost. Where outcomes jump
    (`campaign.stop`), the gradient is that of the score function with the batch's other rows as baseline.
    """

    minimiser: ClassVar[str] = "the policy of highest total expected information"

    campaign: Campaign
    density: Density

    def __call__(self, model: PolicyNetwork, batch: dict[str, Array], *, key: PRNGKeyArray) -> Float[Array, ""]:
        """Minus the bound in nats, the mean over the batch."""
        own, campaign = batch["theta"], self.campaign
        k_run, k_inner, k_pick = jax.random.split(key, 3)
        designs, x = campaign.run(model, own, k_run)
        drawn = campaign.simulator.prior.sample_flat(campaign.inner, key=k_inner)
        fixed = jax.lax.stop_gradient((own, designs, x))
        offsets = jax.random.uniform(k_pick, (len(own),))
        values, picks = jax.lax.map(lambda row: self._weighed(*row[0], drawn.T, row[1]), (fixed, offsets))
        picked = jnp.where(picks[:, :, None] < 0, own[:, None], drawn[picks])

        def log_likelihoods(theta: Array, design: dict[str, Array], outcome: Any) -> Array:
            return jax.vmap(lambda point: jnp.sum(log_each(self.density, point, outcome, design)))(theta)

        both = jax.vmap(log_likelihoods)(jnp.concatenate([own[:, None], picked], axis=1), designs, x)
        ours, theirs = both[:, 0], jnp.mean(both[:, 1:], axis=1)
        if campaign.stop:
            baseline = (jnp.sum(values) - values) / max(1, len(values) - 1)
            gain = (values - baseline) * ours - theirs
        else:
            gain = ours - theirs
        # the value is the bound's, the gradient the surrogate's
        return -jnp.mean(values + gain - jax.lax.stop_gradient(gain))

    def _weighed(
        self, own: Array, design: dict[str, Array], x: Any, drawn: Float[Array, "d l"], offset: Array
    ) -> tuple[Array, Array]:
        """The bound of one campaign, and which others are drawn by their weights: -1 for its own parameters."""
        mask = jnp.ones(len(next(iter(design.values()))))
        reference = log_each(self.density, own, x, design)
        # the draws along the last axis, where compiled code is fast
        each = jax.vmap(
            lambda event, row: jax.vmap(lambda point: self.density(point, event, row), in_axes=-1, out_axes=-1)(drawn)
        )(x, design)
        r = jax.vmap(lambda column: above(column, reference, mask), in_axes=-1, out_axes=-1)(each)
        terms = jnp.concatenate([jnp.zeros(1), jnp.nan_to_num(r, nan=-jnp.inf)])
        total = logsumexp(terms)
        cumulative = jnp.cumsum(jnp.exp(terms - total))
        levels = (jnp.arange(PICKED) + offset) / PICKED * cumulative[-1]
        picks = jnp.searchsorted(cumulative, levels).clip(max=len(terms) - 1) - 1
        return jnp.log(float(len(terms))) - total, picks


class CriticBound(eqx.Module):
    """Minus a bound on the total information from a critic f that is trained beside the policy, for outcomes whose density nobody knows (2111.02329):

        InfoNCE:  E[ f(theta_0, h) - log 1/(L+1) sum_{l=0..L} e^f(theta_l, h) ],      NWJ:  E[ f(theta_0, h) ] - e^-1 E[ e^f(theta_l, h) ].

    The best critic is log p(h | theta) and a function of h, for NWJ 1 + log p(h | theta) / p(h). Gradients go through the outcomes, which must
    move smoothly with the designs.
    """

    minimiser: ClassVar[str] = (
        "the policy of highest total expected information, and its log-likelihood up to a function of the history"
    )

    campaign: Campaign
    theta_scale: Scale
    nwj: bool = eqx.field(static=True)

    def __call__(self, model: CriticisedPolicy, batch: dict[str, Array], *, key: PRNGKeyArray) -> Float[Array, ""]:
        """Minus the bound in nats, the mean over the batch."""
        own, campaign = batch["theta"], self.campaign
        k_run, k_inner = jax.random.split(key)
        designs, x = campaign.run(model.policy, own, k_run)
        drawn = campaign.simulator.prior.sample_flat(campaign.inner, key=k_inner)
        history = jax.vmap(lambda d, y: history_code(model, campaign.rule(model.policy, len(own)), d, y))(designs, x)
        code = jax.vmap(lambda point: model.critic.theta_code(self.theta_scale.forward(point)))
        ours, others = jnp.sum(code(own) * history, axis=1), history @ code(drawn).T
        if self.nwj:
            return -jnp.mean(ours) + jnp.mean(jnp.exp(others - 1.0))
        together = logsumexp(jnp.concatenate([ours[:, None], others], axis=1), axis=1)
        return -jnp.mean(ours - together) - jnp.log(campaign.inner + 1.0)


def history_code(model: CriticisedPolicy, rule: NetworkRule, design: dict[str, Array], x: Any) -> Float[Array, " e"]:
    """The critic's code of one campaign, of settings (S,) by name and outcomes (S, ...)."""
    flat = flatten_outcome(x, 1)
    events = jax.vmap(lambda row, event: rule.events(row, event[None])[0])(design, flat)
    return model.critic.history_code(events)
