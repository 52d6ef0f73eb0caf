"""The part of a prior in which simulations are likely to succeed, as a classifier has learned it."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Num

from quincunx.learn import Surrogate
from quincunx.notebook import from_fields
from quincunx.values import pack, register, unpack

__all__ = ["Region", "log_odds"]


@register("region")
class Region(eqx.Module):
    """All u, unconstrained parameters, with p(ok | u) > `at_least`, where the logit of p is the mean of a learned ensemble's.

    `share` is the part of the prior's mass inside and `share_error` its standard error, both by Monte Carlo; `learned_from` says how many
    simulations the classifier has seen.
    """

    kind: ClassVar[str]

    surrogate: Surrogate
    at_least: float = eqx.field(static=True)
    share: float = eqx.field(static=True)
    share_error: float = eqx.field(static=True)
    learned_from: int = eqx.field(static=True)

    def p_ok(self, u: Num[ArrayLike, "*batch du"]) -> Float[Array, "*batch"]:
        """The chance that a simulation at u gives a finite outcome."""
        return jax.nn.sigmoid(log_odds(self.surrogate, u))

    def contains(self, u: Num[ArrayLike, "*batch du"]) -> Bool[Array, "*batch"]:
        """Which points are inside."""
        return self.p_ok(u) > self.at_least

    @property
    def note(self) -> str:
        """What every answer under a prior so restricted has to say."""
        return (
            f"the prior is restricted to P(ok | theta) > {self.at_least:g} as learned from {self.learned_from} simulations: "
            f"{100 * self.share:.3g} % (+- {100 * self.share_error:.1g}) of its mass is left, and the answer knows nothing of the rest"
        )

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a file holds of it."""
        spec, arrays = pack(self.surrogate, "surrogate")
        numbers = {name: getattr(self, name) for name in ("at_least", "share", "share_error", "learned_from")}
        return {"surrogate": spec, **numbers}, arrays

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Region":
        """The inverse of `to_state`."""
        numbers = {name: spec[name] for name in ("at_least", "share", "share_error", "learned_from")}
        return cls(unpack(spec["surrogate"], arrays, "surrogate"), **numbers)

    _repr_html_ = from_fields


def log_odds(surrogate: Surrogate, u: Num[ArrayLike, "*batch du"]) -> Float[Array, "*batch"]:
    """The logit of p(ok | u) by a fitted classifier whose input is called theta: the mean over its members."""
    arrays, static = eqx.partition(surrogate.model, eqx.is_array)
    rows = surrogate.scales["theta"].forward(jnp.asarray(u, jnp.float32)).reshape(-1, jnp.shape(u)[-1])

    def member(parts: Any) -> Array:
        return jax.vmap(lambda row: eqx.combine(parts, static)(row)[0])(rows)

    return jnp.mean(jax.vmap(member)(arrays), axis=0).reshape(jnp.shape(u)[:-1])
