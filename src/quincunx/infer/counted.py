"""Likelihood ratios of learned scores by counting: histograms and kernel densities at one theta against a reference."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.stats import gaussian_kde

from quincunx.errors import ShapeMismatch, TooFewSimulations, UsageError
from quincunx.infer.local_score import LocalScore
from quincunx.notebook import fields_text, from_fields

__all__ = ["SummaryRatio", "summary_ratio"]

_FEWEST = 10
_MOST_BINS = 50


@dataclass(frozen=True, eq=False)
class SummaryRatio:
    """log p(t(x) | theta) / p(t(x) | reference), t the learned score, from simulations at both: the last step of SALLY and SALLINO (1805.00020).

    `direction` is theta - theta_ref where the score is projected on the way there (SALLINO), else None.
    """

    summary: LocalScore
    kind: str
    direction: Float[np.ndarray, " dim"] | None
    edges: tuple[Float[np.ndarray, " e"], ...]
    table: Float[np.ndarray, "..."] | None
    densities: tuple[Any, Any] | None

    def log_ratio(self, x: Any) -> Float[np.ndarray, " n"]:
        """The log-ratio of each of a batch of outcomes (N, ...)."""
        t = _projected(self.summary.score(x), self.direction)
        if self.densities is not None:
            numerator, reference = self.densities
            return numerator.logpdf(t.T) - reference.logpdf(t.T)
        assert self.table is not None
        return self.table[_cells(t, self.edges)]

    __repr__ = fields_text
    _repr_html_ = from_fields


def summary_ratio(
    summary: LocalScore,
    numerator: Any,
    reference: Any,
    *,
    kind: str = "histogram",
    toward: Float[np.ndarray, " dim"] | None = None,
    bins: int | None = None,
) -> SummaryRatio:
    """Count outcomes simulated at one theta (`numerator`) and at the reference, both (N, ...), by their learned scores.

    "histogram": bins of equal occupancy along each component, `bins` to an axis (default: so many that the average cell holds about 50 outcomes, at most
    50), half a count added to every cell. "kde": a Gaussian kernel density of each class, by Scott's rule; scores with few distinct
    values have none. With `toward`, the flat theta, h = t . (theta - theta_ref) takes the place of t, so that one histogram serves any
    number of parameters.

    Raises:
        TooFewSimulations: for fewer than ten outcomes of either class. ShapeMismatch: for `toward` of another size. UsageError: for another kind.

    >>> import quincunx as qx
    >>> from quincunx.infer.local_score import learn_score
    >>> from quincunx.learn import FitSettings
    >>> board = qx.gallery.load("galton_uniform")
    >>> at = lambda theta, key: qx.simulate(board.simulator, theta={"theta": np.full(4000, theta, np.float32)}, gold=True, key=key)
    >>> learned = learn_score(at(0.5, 0), board.prior, key=0, settings=FitSettings(epochs=20, learning_rate=1e-2))
    >>> ratio = summary_ratio(learned, at(0.6, 1).x, at(0.5, 2).x)
    >>> exact = 14 * np.log(0.6 / 0.5) + 6 * np.log(0.4 / 0.5)
    >>> bool(abs(ratio.log_ratio(np.array([[14.0]]))[0] - exact) < 0.3)
    True
    """
    if kind not in ("histogram", "kde"):
        raise UsageError(f"got kind {kind!r}; expected 'histogram' or 'kde'; choose one of those")
    direction = None
    if toward is not None:
        direction = np.asarray(toward, float) - np.asarray(summary.reference, float)
        if direction.shape != np.shape(summary.reference):
            raise ShapeMismatch(
                f"got toward of shape {np.shape(toward)}; expected {np.shape(summary.reference)}, a flat theta"
            )
    both = [_projected(summary.score(x), direction) for x in (numerator, reference)]
    if min(map(len, both)) < _FEWEST:
        raise TooFewSimulations(
            f"got {len(both[0])} and {len(both[1])} outcomes; expected at least {_FEWEST} of each; simulate more"
        )
    if kind == "kde":
        return SummaryRatio(summary, kind, direction, (), None, (gaussian_kde(both[0].T), gaussian_kde(both[1].T)))
    axes = both[0].shape[1]
    few = min(map(len, both))
    count = bins or int(np.clip((few / 50) ** (1 / axes), 2, _MOST_BINS))
    levels = np.linspace(0, 1, count + 1)[1:-1]
    pooled = np.concatenate(both)
    edges = tuple(np.unique(np.quantile(pooled[:, axis], levels)) for axis in range(axes))
    shape = tuple(len(edge) + 1 for edge in edges)
    counts = []
    for t in both:
        table = np.full(shape, 0.5)
        np.add.at(table, _cells(t, edges), 1.0)
        counts.append(table / table.sum())
    return SummaryRatio(summary, kind, direction, edges, np.log(counts[0]) - np.log(counts[1]), None)


def _projected(t: np.ndarray, direction: np.ndarray | None) -> np.ndarray:
    t = np.asarray(t, float)
    return t if direction is None else (t @ direction)[:, None]


def _cells(t: np.ndarray, edges: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    return tuple(np.searchsorted(edge, t[:, axis], side="right") for axis, edge in enumerate(edges))
