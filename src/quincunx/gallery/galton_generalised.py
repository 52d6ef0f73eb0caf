"""The Galton board whose nails depend on where they are: no binomial, yet exactly known (1805.12244)."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Array, Float, Int, PRNGKeyArray

from quincunx.gallery.catalogue import entry
from quincunx.gallery.grid import grid_log_evidence, grid_log_posterior, grid_posterior_sample
from quincunx.gallery.problem import Problem, Truth
from quincunx.model import Gold, Prior, simulator

LOW, HIGH = -1.0, -0.4


def problem(*, rows: int = 20, nails: int = 31) -> Problem:
    """A ball falls from position nails // 2 through `rows` rows of `nails` nails; x is where it ends.

    At nail i of row l it goes left with probability (1 - sin(pi v)) / 2 + sin(pi v) sigmoid(10 theta h), where
    v = l / (rows - 1) and h = 2 i / (nails - 1) - 1. In even rows left keeps the position and right adds one; in odd
    rows left takes one away and right keeps it, and the walls push inwards. theta ~ U(-1, -0.4).

    The likelihood comes from pushing the distribution of positions through the rows (`outcome_probabilities`), score and
    the Fisher information from its derivative. The board is not mirror symmetric for theta != 0.

    >>> board = problem()
    >>> board.truth.fisher({"theta": -0.7})
    Array([[1.695]], dtype=float32)
    """

    def probabilities(theta: dict) -> Float[Array, " outcomes"]:
        return outcome_probabilities(jnp.asarray(theta["theta"]), rows, nails)

    def log_likelihood(theta: dict, x: Float[Array, " 1"]) -> Float[Array, ""]:
        return _log_at(probabilities(theta), x)

    def fisher(theta: dict) -> Float[Array, "1 1"]:
        p, dp = jax.jvp(
            lambda value: outcome_probabilities(value, rows, nails),
            (jnp.asarray(theta["theta"]),),
            (jnp.ones_like(jnp.asarray(theta["theta"])),),
        )
        return jnp.sum(jnp.where(p > 0, dp**2 / jnp.where(p > 0, p, 1.0), 0.0)).reshape(1, 1)

    truth = Truth(
        kind="posterior",
        log_likelihood=log_likelihood,
        fisher=fisher,
        log_evidence=grid_log_evidence("theta", log_likelihood, LOW, HIGH),
        log_posterior=grid_log_posterior("theta", log_likelihood, LOW, HIGH),
        posterior_sample=grid_posterior_sample("theta", log_likelihood, LOW, HIGH),
    )
    prior = Prior(theta=dist.Uniform(LOW, HIGH))

    def trace(theta: dict, *, key: PRNGKeyArray) -> tuple[Float[Array, " 1"], dict[str, Int[Array, " rows"]]]:
        uniforms = jax.random.uniform(key, (rows,))

        def fall(position, row):
            level, uniform = row
            right = (uniform >= _left(theta["theta"], level, position, rows, nails)).astype(jnp.int32)
            return position + right - level % 2, {"nail": position, "right": right}

        end, path = jax.lax.scan(fall, jnp.asarray(nails // 2), (jnp.arange(rows), uniforms))
        return end[None].astype(jnp.float32), path

    def joint_log_prob(theta: dict, x: Float[Array, " 1"], z: dict[str, Int[Array, " rows"]]) -> Float[Array, ""]:
        levels = jnp.arange(rows)
        left = _left(theta["theta"], levels, z["nail"], rows, nails)
        taken = jnp.where(z["right"] == 1, 1 - left, left)
        end = nails // 2 + jnp.sum(z["right"] - levels % 2)
        return jnp.where(end == x[0], jnp.sum(jnp.log(taken)), -jnp.inf)

    gold = Gold(trace, joint_log_prob)

    @simulator(prior, name="galton_generalised", observables=["position"], units="nails", tractable=truth, gold=gold)
    def simulate(theta, *, key, design=None):
        return trace(theta, key=key)[0]

    return Problem(entry("galton_generalised"), simulate, truth, {"theta": jnp.asarray(-0.8)})


def outcome_probabilities(theta: Float[Array, ""], rows: int = 20, nails: int = 31) -> Float[Array, " outcomes"]:
    """p(x | theta) for x = 0..nails, by dynamic programming over the rows, in the precision of theta.

    >>> outcome_probabilities(jnp.zeros(()))[15]
    Array(0.176197, dtype=float32)
    """
    positions = np.arange(nails + 1)

    def fall(p, level):
        left = p * _left(theta, level, positions, rows, nails)
        right = p - left
        even = left + jnp.roll(right, 1)
        odd = jnp.roll(left, -1) + right
        return jnp.where(level % 2 == 0, even, odd), None

    start = jnp.zeros(nails + 1, theta.dtype).at[nails // 2].set(1.0)
    return jax.lax.scan(fall, start, jnp.arange(rows))[0]


def _left(theta, level, position, rows: int, nails: int):
    """The probability of going left at a nail; in odd rows the walls decide."""
    height = level / (rows - 1)
    across = 2 * position / (nails - 1) - 1
    strength = jnp.sin(jnp.pi * height)
    free = (1 - strength) / 2 + strength * jax.nn.sigmoid(10 * theta * across)
    walled = jnp.where(position == 0, 0.0, jnp.where(position == nails, 1.0, free))
    return jnp.where(level % 2 == 1, walled, free)


def _log_at(probabilities: Float[Array, " outcomes"], x: Float[Array, " 1"]) -> Float[Array, ""]:
    index = jnp.round(x[0]).astype(jnp.int32)
    possible = (index == x[0]) & (index >= 0) & (index < probabilities.shape[0])
    p = jnp.where(possible, probabilities[jnp.clip(index, 0, probabilities.shape[0] - 1)], 0.0)
    # The inner choice keeps the gradient finite where the outcome is impossible.
    return jnp.where(p > 0, jnp.log(jnp.where(p > 0, p, 1.0)), -jnp.inf)
