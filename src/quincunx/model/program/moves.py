"""What all ways of running a program again rest on: one compiled run with given values, and refusals of values that cannot be."""

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.errors import NameMismatch, NonFiniteObservation, ShapeMismatch, ZeroProbability
from quincunx.model.program.execution import execute
from quincunx.model.program.trace import Trace

__all__ = ["check_addresses", "check_single", "refuse_impossible", "refuse_nan", "run", "total"]


@eqx.filter_jit
def run(
    program: Any,
    theta: dict[str, Array],
    design: dict[str, Array] | None,
    key: PRNGKeyArray | None,
    given: dict[str, Array],
) -> Trace:
    """A trace of a program with these values given and the other draws made with the key; compiled once for a program and its shapes."""
    done, returned = execute(program, theta, design, key, given)
    values = {name: drawn.value for name, drawn in done.drawn.items()}
    log_probs = {name: drawn.log_prob for name, drawn in done.drawn.items()}
    result = jax.tree.map(jnp.asarray, program.outcome_of(returned, values))
    return Trace(tuple(done.sites.values()), values, log_probs, result, theta, design, done.tags)


def total(terms: Sequence[Array]) -> Float[Array, ""]:
    """The sum of some log-probabilities, zero of none.

    >>> total([])
    Array(0., dtype=float32)
    """
    return sum(terms[1:], terms[0]) if terms else jnp.zeros(())


def check_addresses(addresses: Sequence[str], trace: Trace) -> None:
    """Refuse addresses that a trace does not have.

    Raises:
        NameMismatch: naming them.
    """
    unknown = [name for name in addresses if name not in trace.values]
    if unknown:
        raise NameMismatch(
            f"got the addresses {unknown}; expected some of {list(trace.addresses)}; use the sites' names"
        )


def check_single(trace: Trace) -> Trace:
    """Return a trace, refusing a batch of them.

    Raises:
        ShapeMismatch: for a trace with leading axes.
    """
    if shape := jnp.shape(trace.log_prob):
        raise ShapeMismatch(f"got {shape} traces at once; expected one; use jax.vmap over them")
    return trace


def refuse_nan(name: str, value: Any) -> None:
    """Refuse a value that is not a number.

    Raises:
        NonFiniteObservation: naming the site.

    >>> refuse_nan("x", float("nan"))
    Traceback (most recent call last):
    quincunx.errors.NonFiniteObservation: got NaN as a value of the site 'x'; ...
    """
    if not isinstance(value, jax.core.Tracer) and np.isnan(np.asarray(value, float)).any():
        raise NonFiniteObservation(
            f"got NaN as a value of the site '{name}'; expected a number; leave the site out, and it is drawn"
        )


def refuse_impossible(trace: Trace, given: Mapping[str, Any], name: str) -> None:
    """Refuse given values that the program can nowhere draw; where it may depend, the log-probability says minus infinity.

    Raises:
        ZeroProbability: naming the site.
        NonFiniteObservation: for NaN.
    """
    for site in trace.sites:
        log_prob = trace.log_probs[site.address]
        if site.address not in given or isinstance(log_prob, jax.core.Tracer):
            continue
        refuse_nan(site.address, given[site.address])
        if site.anywhere and np.isneginf(np.asarray(log_prob)).any():
            raise ZeroProbability(
                f"got {np.asarray(given[site.address]).tolist()} for the site '{site.address}' of '{name}', which has probability zero; expected "
                f"a value that its {site.family} can take; correct the value, or the distribution"
            )
