"""The compiled heart of direct posteriors: draws and densities for many observations at once."""

import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from quincunx.errors import SamplerWarning
from quincunx.infer.blocks import chunk_of, in_blocks, over_rows
from quincunx.infer.conditioning import Conditioning
from quincunx.infer.ensemble import deal, log_mean_exp, member_count, mixture_sample, over_members
from quincunx.learn import Scale
from quincunx.model import Prior

_ATTEMPTS = 50


class Amortised(eqx.Module):
    """q(theta | x) as an equal mixture of conditional densities of the scaled, unconstrained parameters.

    log q(theta | x) = log 1/M sum_m q_m(z | x) + log|dz/du| - log|dtheta/du|, with u = T(theta) and z = scaled u; minus
    infinity outside the prior's support. Every draw is inside it, because T^-1 leads nowhere else; where the prior is restricted to
    a region, the density outside is cut off without renormalising what is left.
    """

    model: PyTree
    u_scale: Scale
    conditioning: Conditioning
    prior: Prior

    def draw(
        self, events: Float[Array, "m dx"], mask: Float[Array, " m"], design: Float[Array, "m dd"], *noise: Array
    ) -> Float[Array, "n d"]:
        """Draws for one observation, for random numbers from `deal`."""
        condition = self.conditioning(events, mask, design)
        z = mixture_sample(lambda member, k: member.sample(condition, key=k), self.model, *noise)
        return self.prior.to_constrained(self.u_scale.inverse(z))

    def log_prob(
        self,
        theta: Float[Array, "n d"],
        events: Float[Array, "m dx"],
        mask: Float[Array, " m"],
        design: Float[Array, "m dd"],
    ) -> Float[Array, " n"]:
        """log q(theta | x) of several theta for one observation."""
        condition = self.conditioning(events, mask, design)
        u = self.prior.to_unconstrained(theta)
        z = self.u_scale.forward(u)
        each = over_members(lambda member: jax.vmap(lambda row: member.log_prob(row, condition))(z), self.model)
        density = log_mean_exp(each) + self.u_scale.log_det(u) - self.prior.log_det(u)
        return jnp.where(jnp.isneginf(self.prior.log_prob_flat(theta)), -jnp.inf, density)

    def log_density(self, u: Float[Array, " du"], data: dict[str, Array]) -> Float[Array, ""]:
        """log q(u | x) in unconstrained space, for an observation as `events`, `mask` and `design`."""
        condition = self.conditioning(data["events"], data["mask"], data["design"])
        z = self.u_scale.forward(u)
        each = over_members(lambda member: member.log_prob(z, condition), self.model)
        return log_mean_exp(each) + self.u_scale.log_det(u)

    def to_base(
        self,
        theta: Float[Array, "n d"],
        events: Float[Array, "m dx"],
        mask: Float[Array, " m"],
        design: Float[Array, "m dd"],
    ) -> Float[Array, "n du"]:
        """Base coordinates of theta under the first member: standard normal where that member is right."""
        first = jax.tree.map(lambda leaf: leaf[0] if eqx.is_array(leaf) else leaf, self.model)
        return _to_base(
            first, self.u_scale.forward(self.prior.to_unconstrained(theta)), self.conditioning(events, mask, design)
        )


@eqx.filter_jit
def _to_base(member: PyTree, z: Any, condition: PyTree) -> Array:
    return jax.vmap(lambda row: member.to_base(row, condition)[0])(z)


def draw_many(
    core: Amortised,
    events: Float[np.ndarray, "b m dx"],
    mask: Float[np.ndarray, "b m"],
    design: Float[np.ndarray, "b m dd"],
    n: int,
    *,
    key: PRNGKeyArray,
) -> Float[np.ndarray, "b n d"]:
    """n draws for each of b observations; where the prior is restricted to a region, those outside are drawn again.

    Warns with `SamplerWarning` if some are outside however often they are drawn.
    """
    drawn = _draw_many(core, events, mask, design, n, key=key)
    if core.prior.region is None:
        return drawn
    for attempt in range(1, _ATTEMPTS):
        outside = np.isneginf(np.asarray(core.prior.log_prob_flat(drawn)))
        if not outside.any():
            return drawn
        again = _draw_many(core, events, mask, design, n, key=jax.random.fold_in(key, attempt))
        drawn = np.where(outside[..., None], again, drawn)
    warnings.warn(
        f"{100 * float(outside.mean()):.2g} % of the draws are outside the region that the prior is restricted to, however often they are "
        "drawn; expected them inside; the observation is one of where simulations fail: do not believe the answer",
        SamplerWarning,
        stacklevel=2,
    )
    return drawn


def _draw_many(core: Amortised, events: Any, mask: Any, design: Any, n: int, *, key: PRNGKeyArray) -> np.ndarray:
    chunk = chunk_of(n)
    parts = []
    for c in range(-(-n // chunk)):
        noise = deal(chunk, member_count(core.model), batch=len(events), key=key, chunk=c)
        parts.append(in_blocks(lambda *a: _draw_block(core, *a), (events, mask, design, *noise), rows=chunk))
    return (parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1))[:, :n]


def log_prob_many(
    core: Amortised,
    theta: Float[Array | np.ndarray, "b n d"],
    events: Float[np.ndarray, "b m dx"],
    mask: Float[np.ndarray, "b m"],
    design: Float[np.ndarray, "b m dd"],
) -> Float[np.ndarray, "b n"]:
    """log q(theta | x) of n theta for each of b observations."""
    return over_rows(lambda *a: _log_prob_block(core, *a), theta, (events, mask, design))


@eqx.filter_jit
def _draw_block(core: Amortised, *batched: Any) -> Array:
    return jax.vmap(core.draw)(*batched)


@eqx.filter_jit
def _log_prob_block(core: Amortised, theta: Any, events: Any, mask: Any, design: Any) -> Array:
    return jax.vmap(core.log_prob)(theta, events, mask, design)
