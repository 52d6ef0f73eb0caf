"""Expected information by nested Monte Carlo: a lower and an upper bound from one matrix of likelihoods."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from quincunx.design.density import Density, above, distinct, log_each
from quincunx.design.experiment import Question, Slots
from quincunx.design.found import Found
from quincunx.model.precision import double_scope

__all__ = ["GROWTH", "Sums", "nested", "own_log_likelihoods", "row_sums"]

GROWTH = 16
"""By what factor the inner draws may grow until a bracket closes."""

BLOCK = 1 << 19
"""How many densities of single events are held in memory together."""


ROUNDING = 1e-13
"""What differs from zero by less is zero: an outcome that does not depend on theta teaches nothing, not 1e-16 nats."""


@dataclass(frozen=True, eq=False)
class Sums:
    """Of r_ij = l_ij - l_i over the inner draws so far, (N,) each: log mean_j e^r, log mean_j e^{2 r}, and the mean of r under weights e^r."""

    first: Float[np.ndarray, " n"]
    second: Float[np.ndarray, " n"]
    mean: Float[np.ndarray, " n"]
    count: int

    def __add__(self, other: "Sums") -> "Sums":
        n = self.count + other.count
        a, b = np.log(self.count / n), np.log(other.count / n)
        first, second = np.logaddexp(self.first + a, other.first + b), np.logaddexp(self.second + a, other.second + b)
        with np.errstate(invalid="ignore"):
            share = np.nan_to_num(np.exp(other.first + b - first), nan=0.5)
        return Sums(first, second, self.mean + share * (other.mean - self.mean), n)

    @property
    def with_own(self) -> Float[np.ndarray, " n"]:
        """log of the mean of e^r over the inner draws and the row's own, whose r is zero."""
        n = self.count + 1
        return np.logaddexp(-np.log(n), self.first + np.log(self.count / n))

    @property
    def mean_with_own(self) -> Float[np.ndarray, " n"]:
        """The mean of r under weights e^r over the inner draws and the row's own."""
        n = self.count + 1
        return self.mean * np.exp(self.first + np.log(self.count / n) - self.with_own)

    def ess(self, ok: np.ndarray) -> float:
        """(sum w)^2 / sum w^2, averaged over rows."""
        with np.errstate(invalid="ignore"):
            share = np.exp(2.0 * self.first - self.second)
        return float(self.count * np.mean(np.nan_to_num(share, nan=0.0)[ok]))


def nested(
    question: Question,
    slots: Slots,
    *,
    inner: int,
    tolerance: float = 0.02,
    held: Float[np.ndarray, " d"] | None = None,
) -> Found:
    """NMC (upper) and PCE (lower) from one N x L matrix of l_ij = log p(x_i | theta_j), l_i = log p(x_i | theta_i) (1709.06181, 1911.00294).

        upper = mean_i [ l_i - log 1/L sum_j e^{l_ij} ],    lower = mean_i [ l_i - log (e^{l_i} + sum_j e^{l_ij}) / (L + 1) ]

    The lower one cannot exceed log(L + 1). The biases are opposite at order 1/L, so the middle of a bracket that has closed has neither. L doubles,
    from `inner`, until the bracket is narrower than `tolerance` and its standard error, or the inner draws are used up; nothing is compiled again.
    Given x_i and the L + 1 parameters without their order, the one that x_i came from is each with probability
    w_k = e^{l_ik} / sum e^{l_ik}: under an exact density l_i is therefore replaced by sum_k w_k l_ik, which leaves both
    expectations as they are and takes most of the variance where little is learned.
    With `held` (1 for columns of psi, a subset of independent parameters) it is I(psi; x): l_i becomes log p(x_i | psi_i), the log of a mean over fresh
    draws of the others, without the row's own in the lower bound and with it in the upper.
    """
    over, ok, most = _summer(question, slots, inner)
    nothing = np.zeros(question.outer.shape[1])
    learned = question.density is not None and question.density.learned
    everything = over(0, nothing)
    others = None if held is None else over(0, held)
    done = 1
    while True:
        lower, upper = _bounds(everything, others, learned)
        lower, upper = np.where(ok, lower, np.nan), np.where(ok, upper, np.nan)
        ok = ok & ~np.isnan(lower)
        rows = (upper - lower)[ok]
        noise = float(np.std(lower[ok]) / np.sqrt(max(1, ok.sum())))
        closed = np.mean(rows) <= max(tolerance, 0.5 * noise)
        if closed or 2 * done > min(most, GROWTH):
            break
        for chunk in range(done, 2 * done):
            everything = everything + over(chunk, nothing)
            others = None if others is None or held is None else others + over(chunk, held)
        done *= 2
    said: tuple[str, ...] = ()
    ceiling = float(np.log(everything.count + 1))
    if not closed and np.nanmean(lower) > ceiling - 1.5:
        said = (
            f"the lower bound is near its ceiling log({everything.count + 1}) = {ceiling:.3g} nats: the information may be much larger",
        )
    return Found(
        "nested",
        lower,
        upper,
        n_inner=everything.count,
        ess=everything.ess(ok),
        pool=len(question.inner),
        warnings=said,
    )


def row_sums(question: Question, slots: Slots, *, inner: int, chunks: int) -> tuple[list[Sums], np.ndarray]:
    """The sums of several sets of inner draws that have no draw in common, and which rows are good."""
    over, ok, most = _summer(question, slots, min(inner, len(question.inner) // chunks))
    return [over(chunk, np.zeros(question.outer.shape[1])) for chunk in range(min(chunks, most))], ok


def own_log_likelihoods(question: Question, slots: Slots, x: Any) -> Float[np.ndarray, " n"]:
    """log p(x_i | theta_i) (N,) of outcomes at the parameters that they came from, over all events."""
    with double_scope():
        x64 = jax.tree.map(lambda a: np.asarray(a, np.float64), x)
        return np.asarray(_own(question.density, question.outer, x64, distinct(slots.settings), slots.mask))


@eqx.filter_jit
def _own(density: Density, theta: Any, x: Any, settings: Any, mask: Any) -> Array:
    settings = jax.tree.map(jnp.asarray, settings)

    def one(row: Array, events: Any) -> Array:
        return jnp.sum(jnp.where(jnp.asarray(mask) > 0, log_each(density, row, events, settings), 0.0))

    return jax.vmap(one)(jnp.asarray(theta), jax.tree.map(jnp.asarray, x))


def _summer(question: Question, slots: Slots, inner: int) -> tuple[Callable[[int, np.ndarray], Sums], np.ndarray, int]:
    """Sums over a chunk of inner draws by its number, which rows are good, and how many chunks there are."""
    x, ok = question.outcomes(slots)
    x = jax.tree.map(lambda a: a.astype(np.float64), x)
    density, theta, pool = question.density, question.outer, question.inner
    settings = distinct(slots.settings)
    size = min(inner, len(pool))
    # every row begins elsewhere in the pool of inner draws, so that rows share few of them and are nearly independent
    starts = (np.arange(len(theta)) * len(pool)) // len(theta)
    rolled = np.concatenate([pool, pool[:size]])

    def over(chunk: int, fixed: np.ndarray) -> Sums:
        begin = ((starts + chunk * size) % len(pool)).astype(np.int32)
        with double_scope():
            parts = _sums(density, theta, x, settings, slots.mask, rolled, begin, fixed, size)
        return Sums(*map(np.asarray, parts), size)

    return over, ok, len(pool) // size


def _bounds(everything: Sums, others: Sums | None, learned: bool) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(invalid="ignore"):
        if others is None:
            lower = -everything.with_own if learned else everything.mean_with_own - everything.with_own
            upper = lower + (everything.with_own - everything.first)
        else:
            lower, upper = others.first - everything.with_own, others.with_own - everything.first
    return tuple(np.where(np.abs(rows) < ROUNDING, 0.0, rows) for rows in (lower, upper))  # type: ignore[return-value]


@eqx.filter_jit
def _sums(
    density: Density, theta: Any, x: Any, settings: Any, mask: Any, pool: Any, starts: Any, held: Any, size: int
) -> tuple[Array, ...]:
    pool, settings = jnp.asarray(pool), jax.tree.map(jnp.asarray, settings)

    def one(row: tuple[Array, Any, Array]) -> tuple[Array, ...]:
        inner = jax.lax.dynamic_slice_in_dim(pool, row[2], size)
        points = jnp.where(jnp.asarray(held) > 0, row[0], inner)
        own = log_each(density, row[0], row[1], settings)
        r = jax.vmap(lambda point: above(log_each(density, point, row[1], settings), own, mask))(points)
        top = jnp.max(r)
        top = jnp.where(jnp.isneginf(top), 0.0, top)
        w = jnp.exp(r - top)
        mean = jnp.sum(jnp.where(w > 0, w * r, 0.0)) / jnp.where(jnp.sum(w) > 0, jnp.sum(w), 1.0)
        return top + jnp.log(jnp.mean(w)), 2.0 * top + jnp.log(jnp.mean(w * w)), mean

    rows = (jnp.asarray(theta), jax.tree.map(jnp.asarray, x), jnp.asarray(starts))
    return jax.lax.map(one, rows, batch_size=_rows_at_once(size, mask))


def _rows_at_once(inner: int, mask: Any) -> int:
    return max(1, BLOCK // (inner * len(mask)))
