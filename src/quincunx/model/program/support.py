"""Which values a draw can take: the bounds of its support, whether a value lies inside, and the values where they are few."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Bool

__all__ = ["bounds", "choices", "fixed_bounds", "inside", "is_discrete", "unwrapped"]

_WRAPPERS = (dist.Independent, dist.ExpandedDistribution, dist.MaskedDistribution)


def bounds(fn: dist.Distribution) -> tuple[Any, ...]:
    """What a distribution says of the edges of its support: none, one or two numbers or arrays; a `Delta` is its own edge.

    >>> bounds(dist.Uniform(0.0, 2.0)), bounds(dist.Normal(3.0, 1.0))
    ((0.0, 2.0), ())
    """
    inner = unwrapped(fn)
    if isinstance(inner, dist.Delta):
        return (inner.v,)
    parts = getattr(inner, "component_distributions", None)
    if parts is not None:
        return tuple(edge for part in parts for edge in bounds(part))
    constraint = _constraint(inner)
    found = (getattr(constraint, edge, None) for edge in ("lower_bound", "upper_bound"))
    return tuple(edge for edge in found if edge is not None)


def fixed_bounds(fn: dist.Distribution) -> bool:
    """Whether the edges are plain numbers, the same wherever the program has come from.

    >>> fixed_bounds(dist.Poisson(2.0))
    True
    """
    return not any(isinstance(edge, jax.core.Tracer) for edge in bounds(fn))


def is_discrete(fn: dist.Distribution) -> bool:
    """Whether a distribution has probabilities rather than densities.

    >>> is_discrete(dist.Bernoulli(0.5)), is_discrete(dist.Beta(1.0, 1.0))
    (True, False)
    """
    constraint = _constraint(unwrapped(fn))
    return bool(constraint is not None and constraint.is_discrete)


def inside(fn: dist.Distribution, value: Any) -> Bool[Array, ""] | None:
    """Whether every number of a value is in the support, or None where only rounding could tell (a simplex, a correlation).

    NumPyro's log-densities are not minus infinity outside.

    >>> inside(dist.Exponential(1.0), jnp.array(-1.0))
    Array(False, dtype=bool)
    """
    inner = unwrapped(fn)
    constraint = _constraint(inner)
    edged = any(hasattr(constraint, edge) for edge in ("lower_bound", "upper_bound"))
    exact = edged or constraint is dist.constraints.boolean
    if constraint is None or not exact or inner.event_dim or isinstance(inner, dist.Delta):
        return None
    return jnp.all(constraint(jnp.asarray(value)))


def choices(fn: dist.Distribution) -> tuple[float, ...] | None:
    """The values that each number of a draw can take, or None where they are not finitely many plain numbers.

    >>> choices(dist.Categorical(jnp.ones(3) / 3)), choices(dist.Poisson(1.0))
    ((0.0, 1.0, 2.0), None)
    """
    inner = unwrapped(fn)
    if inner.event_dim or not getattr(inner, "has_enumerate_support", False):
        return None
    try:
        with jax.ensure_compile_time_eval():
            values = np.asarray(inner.enumerate_support(expand=False))
    # Each distribution refuses in its own way when its values depend on what is traced.
    except Exception:
        return None
    return tuple(float(value) for value in np.unique(values))


def unwrapped(fn: Any) -> Any:
    """The distribution without what only changes its shape."""
    while isinstance(fn, _WRAPPERS):
        fn = fn.base_dist
    return fn


def _constraint(inner: Any) -> Any:
    constraint: Any = getattr(inner, "support", None)
    while hasattr(constraint, "base_constraint"):
        constraint = constraint.base_constraint
    return constraint
