"""A clock for long work: a few steps at a time, stopping at a budget or at Ctrl-C with what is done."""

import time
from collections.abc import Callable
from typing import Literal, TypeVar

import jax
import jax.numpy as jnp

S = TypeVar("S")


class Clock:
    """Run a resumable computation in strides; afterwards `reason` says why it ended and `seconds` how long it took.

    `advance(state, stop_at)` goes on until its own counter reaches `stop_at` or it is finished. A stride shrinks as the budget's end nears.

    >>> clock = Clock(None)
    >>> clock.run(lambda s, stop: min(int(stop), 7), 0, lambda s: s, 3, 7), clock.reason
    (7, 'finished')
    """

    def __init__(self, budget_seconds: float | None) -> None:
        self.budget = budget_seconds
        self.begin = time.monotonic()
        self.reason: Literal["finished", "budget", "interrupted"] = "finished"

    @property
    def seconds(self) -> float:
        """Seconds since the clock was made."""
        return time.monotonic() - self.begin

    def run(self, advance: Callable[..., S], state: S, count: Callable[[S], int], stride: int, limit: int) -> S:
        """Advance the state until it stops counting, reaches `limit`, exhausts the budget, or Ctrl-C."""
        done = count(state)
        while done < limit:
            if self.budget is not None and self.seconds > self.budget:
                self.reason = "budget"
                return state
            try:
                new = jax.block_until_ready(advance(state, jnp.asarray(min(done + stride, limit), jnp.int32)))
                now = count(new)
            except KeyboardInterrupt:
                self.reason = "interrupted"
                return state
            state = new
            if now < done + stride:
                return state
            done = now
        return state
