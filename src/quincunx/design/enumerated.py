"""Expected information of experiments with finitely many outcomes, by adding them all up."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.special import gammaln

from quincunx.design.density import Density
from quincunx.design.experiment import Question, Slots
from quincunx.design.found import Found
from quincunx.design.quadrature import quadrature
from quincunx.errors import NoDensity, UsageError
from quincunx.infer.sets import padded_size
from quincunx.model.precision import double_scope

__all__ = ["enumerated", "log_probabilities"]

MOST = 10_000
"""So many outcomes of all events together are added up at most."""
CELLS = 1 << 22
"""How many probabilities are held in memory together."""


def enumerated(question: Question, slots: Slots, outcomes: Any) -> Found:
    """EIG = sum_x E_theta[p(x | theta) log p(x | theta) / p(x)], exact in x, (K, ...) outcomes of one event.

    n events at one design are counted: the counts of the K outcomes are multinomial. Over a prior of at most two numbers theta is integrated by quadrature, and the
    value is exact; otherwise over draws, with each one's own probability in p(x) for the lower bound and without it for the upper.

    Raises:
        NoDensity: for a density known up to a constant only, or outcomes that are not all. UsageError: for more than ten thousand outcomes of all
        events together, or events at different designs.
    """
    if any(np.any(np.ptp(value, axis=0) > 0) for value in slots.settings.values()):
        raise UsageError(
            "got events at different designs; expected one design to count outcomes at; use method='nested'"
        )
    exact = question.belief.from_prior and question.belief.prior.dim <= 2 and question.belief.prior.region is None
    if exact and question.belief.prior.unconstrained_dim == question.belief.prior.dim:
        theta, weights = quadrature(question.belief.prior)
    else:
        exact, theta = False, question.outer
        weights = np.full(len(theta), 1.0 / len(theta))
    table = log_probabilities(question.density, theta, slots, outcomes)
    counts = _counts(slots.count, table.shape[1])
    shared = gammaln(slots.count + 1) - gammaln(counts + 1).sum(axis=1)
    rows_own, rows_without = np.zeros(len(theta)), np.zeros(len(theta))
    step = max(1, CELLS // len(theta))
    for i in range(0, len(counts), step):
        # a probability of zero to the power of zero is one
        log_p = np.maximum(table, -1e30) @ counts[i : i + step].T + shared[i : i + step]
        p = np.exp(log_p)
        mean = weights @ p
        with np.errstate(divide="ignore", invalid="ignore"):
            rows_own += np.where(p > 0, p * (log_p - np.log(mean)), 0.0).sum(axis=1)
            if not exact:
                without = np.log(np.maximum((mean - weights[:, None] * p) / (1.0 - weights[:, None]), 1e-300))
                rows_without += np.where(p > 0, p * (log_p - without), 0.0).sum(axis=1)
    if exact:
        value = np.array([max(0.0, float(weights @ rows_own))])
        return Found("enumerated", value, value, n_inner=len(theta), exact=True)
    return Found("enumerated", rows_own, rows_without, n_inner=len(theta))


def log_probabilities(
    density: Density | None, theta: Float[np.ndarray, "t d"], slots: Slots, outcomes: Any
) -> Float[np.ndarray, "t k"]:
    """log p(x_k | theta_t, design) of all outcomes of one event.

    Raises:
        NoDensity: if they do not add up to one at some theta.
    """
    size = len(theta)
    rows = np.minimum(np.arange(padded_size(size)), size - 1)
    design = {name: value[0] for name, value in slots.settings.items()}
    x = jax.tree.map(lambda a: np.asarray(a, np.float64), outcomes)
    x = jax.tree.map(lambda a: a[:, None] if a.ndim == 1 else a, x)
    with double_scope():
        table = np.asarray(_table(density, theta[rows], x, design))[:size]
    sums = np.exp(table).sum(axis=1)
    if not np.allclose(sums, 1.0, atol=1e-5):
        raise NoDensity(
            f"got outcomes whose probabilities add up to {sums.min():.5g} to {sums.max():.5g}; expected 1 at every theta: all outcomes of one "
            "event, under a normalised log_likelihood"
        )
    return table


def _counts(n: int, k: int) -> np.ndarray:
    """All (c_1 .. c_k) with sum n, one row each."""
    size = np.exp(gammaln(n + k) - gammaln(n + 1) - gammaln(k))
    if size > MOST + 0.5:
        raise UsageError(
            f"got {n} events with {k} outcomes, {size:.3g} combinations; expected at most {MOST}; use method='nested', or outcomes of all events"
        )
    rows = np.zeros((1, 0), int)
    for _ in range(k - 1):
        left = n - rows.sum(axis=1)
        rows = np.concatenate(
            [np.column_stack([np.repeat(row[None], m + 1, axis=0), np.arange(m + 1)]) for row, m in zip(rows, left)]
        )
    return np.column_stack([rows, n - rows.sum(axis=1)]).astype(float)


@eqx.filter_jit
def _table(density: Any, theta: Any, x: Any, design: Any) -> Array:
    x, design = jax.tree.map(jnp.asarray, x), jax.tree.map(jnp.asarray, design)
    each = jax.vmap(lambda row: jax.vmap(lambda event: density(row, event, design))(x))(jnp.asarray(theta))
    return jnp.where(jnp.isnan(each), -jnp.inf, each)
