"""log p of every event as a function of the parameters: exact, or learned, behind one interface for compiled code."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from quincunx.infer.potential import Potential
from quincunx.model import Prior
from quincunx.model.precision import single_scope


class Terms(eqx.Module):
    """The terms of log L(theta) = sum_i w_i log p(x_i | theta) + n log nu(theta) - nu(theta), for flat theta in float64.

    `rate` is nu(theta), the expected number of events; without one the last two terms are absent. Everything here is traced: the events, their
    weights and theta are arguments.
    """

    prior: eqx.AbstractVar[Prior]
    rate: eqx.AbstractVar[Callable[..., Any] | None]

    @abc.abstractmethod
    def each_of_members(self, theta: Float[Array, " d"], x: Any) -> Float[Array, "members m"]:
        """log p(x_i | theta) of m events by every member of an ensemble; one row for an exact likelihood."""

    @abc.abstractmethod
    def combined(self, each: Float[Array, "members *rest"]) -> Float[Array, "*rest"]:
        """What the members say together."""

    def log_rate(self, theta: Float[Array, " d"], n: Float[Array, ""]) -> Float[Array, ""]:
        """n log nu - nu: the Poisson probability of n events up to log n!, and zero where there is no rate."""
        if self.rate is None:
            return jnp.zeros((), theta.dtype)
        expected = jnp.asarray(self.rate(self.prior.unflatten(theta)), theta.dtype).reshape(())
        # n log nu at n = 0 is 0 whatever nu is
        return jax.scipy.special.xlogy(n, expected) - expected

    def totals(self, theta: Float[Array, " d"], x: Any, weight: Float[Array, "blocks m"]) -> Float[Array, " rows"]:
        """log L of the members together, and then that of each member if there are several; events come in blocks."""

        def of_block(block: tuple[Any, Array]) -> Array:
            each = self.each_of_members(theta, block[0])
            rows = self.combined(each)[None] if len(each) == 1 else jnp.concatenate([self.combined(each)[None], each])
            return jnp.sum(jnp.where(block[1] > 0, block[1] * rows, 0.0), axis=1)

        return _sum_over_blocks(of_block, x, weight) + self.log_rate(theta, jnp.sum(weight))

    def total(self, theta: Float[Array, " d"], x: Any, weight: Float[Array, "blocks m"]) -> Float[Array, ""]:
        """log L(theta)."""

        def of_block(block: tuple[Any, Array]) -> Array:
            return self.block_total(theta, *block)

        return _sum_over_blocks(of_block, x, weight) + self.log_rate(theta, jnp.sum(weight))

    def block_total(self, theta: Float[Array, " d"], x: Any, weight: Float[Array, " m"]) -> Float[Array, ""]:
        """The weighted sum of log p over the events of one block."""
        each = self.combined(self.each_of_members(theta, x))
        return jnp.sum(jnp.where(weight > 0, weight * each, 0.0))


class ExactTerms(Terms):
    """A function log p(x | theta) of named parameters and one event; without a function, events carry no shape and only the rate counts."""

    prior: Prior
    function: Callable[..., Any] | None = eqx.field(static=True)
    rate: Callable[..., Any] | None = eqx.field(static=True)

    def each_of_members(self, theta: Float[Array, " d"], x: Any) -> Float[Array, "1 m"]:
        """log p of every event."""
        if self.function is None:
            return jnp.zeros((1, len(jax.tree.leaves(x)[0])), theta.dtype)
        function, named = self.function, self.prior.unflatten(theta)
        each = jax.vmap(lambda event: jnp.asarray(function(named, event)).reshape(()))(x)
        return each.astype(theta.dtype)[None]

    def combined(self, each: Float[Array, "1 *rest"]) -> Float[Array, "*rest"]:
        """The one row."""
        return each[0]


class LearnedTerms(Terms):
    """A learned likelihood or ratio, up to a term free of theta: networks in float32, their sums in float64."""

    prior: Prior
    potential: Potential
    rate: Callable[..., Any] | None = eqx.field(static=True)

    def each_of_members(self, theta: Float[Array, " d"], x: Any) -> Float[Array, "members m"]:
        """What every member says of every event; where some simulations failed, given that it did not."""
        with single_scope():
            u = self.prior.to_unconstrained(theta.astype(jnp.float32))
            each = self.potential.log_each_of_members(u, x["events"], x["settings"])
            if self.potential.validity is not None:
                each = each + self.potential.validity.log_valid(u, x["settings"][0])
        return each.astype(theta.dtype)

    def combined(self, each: Float[Array, "members *rest"]) -> Float[Array, "*rest"]:
        """The mean over members as the estimator takes it."""
        return self.potential.combined(each)


def _sum_over_blocks(function: Callable[[Any], Array], x: Any, weight: Float[Array, "blocks m"]) -> Array:
    """The sum of `function` over blocks of events, one after another, so that memory does not grow with their number."""
    first = jax.tree.map(lambda a: a[0], (x, weight))
    if len(weight) == 1:
        return function(first)
    shape = jax.eval_shape(function, first)
    zero = jnp.zeros(shape.shape, shape.dtype)
    return jax.lax.scan(lambda total, block: (total + function(block), None), zero, (x, weight))[0]
