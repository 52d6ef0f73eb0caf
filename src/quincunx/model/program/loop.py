"""Loops of a program: numpyro's `scan`, with the randomness of all steps made before the first."""

from typing import Any

import jax
import jax.numpy as jnp
from numpyro import handlers
from numpyro.ops.pytree import PytreeTrace

from quincunx.errors import ShapeMismatch
from quincunx.model.program.noise import supply

__all__ = ["run_scan"]


def run_scan(outer: Any, f: Any, init: Any, xs: Any, length: int | None, reverse: bool) -> Any:
    """Run `scan(f, init, xs)` under the `Execution` `outer`; its sites get a leading axis, one entry for each step.

    NumPyro's own scan splits the key within each step, twice, which costs more than a simple draw. Here a look at one step, without running
    it, says what its draws are made of, and the noise or the keys of all steps are made before the loop. Loops within loops work.

    Returns what numpyro's primitive expects: ((steps, key, carry), (trace, outputs)), with the sites already written down.

    Raises:
        ShapeMismatch: for a given value without one entry for each step.
    """
    steps = int(length if length is not None else jnp.shape(jax.tree.leaves(xs)[0])[0])
    first = jax.tree.map(lambda a: jax.ShapeDtypeStruct(jnp.shape(a)[1:], jnp.asarray(a).dtype), xs)
    looked: list[Any] = []

    def run(carry: Any, x: Any, next_key: Any, given: Any) -> tuple[Any, Any]:
        inner = outer.in_a_loop(next_key, given)
        with handlers.block(), inner:
            out = f(carry, x)
        looked.append(inner)
        return out, (inner.drawn, inner.tags)

    # The step is only looked at: no number of this key is ever used.
    jax.eval_shape(lambda carry, x: run(carry, x, lambda _: jax.random.key(0), {}), init, first)
    look = looked[-1]
    key = outer.random()
    made = None
    if key is not None:
        keys = jax.random.split(key, max(1, len(look.needs)))
        made = [supply(need, keys[i], steps) for i, need in enumerate(look.needs)]
    given = {name: jnp.asarray(outer.given[name]) for name in look.names if name in outer.given}
    for name, value in given.items():
        if value.shape[:1] != (steps,):
            raise ShapeMismatch(
                f"got the site '{name}' of a loop of {steps} steps with a value of shape {value.shape}; expected a leading axis of "
                f"{steps}; give one value for each step"
            )

    def step(carry: Any, row: Any) -> tuple[Any, Any]:
        x, own, values = row
        (carry, y), kept = run(carry, x, None if own is None else own.__getitem__, values)
        return carry, (y, kept)

    carry, (y, (drawn, tags)) = jax.lax.scan(step, init, (xs, made, given), length=steps, reverse=reverse)
    outer.record_loop(looked[-1], drawn, tags, steps)
    return (jnp.asarray(steps), key, carry), (PytreeTrace({}), y)
