"""Test functions of an outcome whose means tell one distribution of it from another."""

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float

from quincunx.check.features import Features

BINS = 6
WAVES = 8


class Witnesses(eqx.Module):
    """Functions phi_j(x): bins of every marginal, first and second moments, random cosines of all columns, each minus a fixed constant.

    Columns are put on one scale by `Features` (robust, asinh; principal components where there are more than `most`). A bin is an interval
    between two quantiles of the sample they are fitted to; one of each column's is redundant and left out. The constants are the
    means over that sample: they change no identity, and make averages of phi_j times a weight less noisy. Where x is not
    finite all are zero but one, which says so.

    >>> x = np.random.default_rng(0).normal(size=(1000, 2))
    >>> witnesses = Witnesses.fit(x, seed=0)
    >>> witnesses(x).shape, len(witnesses.names), bool(np.abs(witnesses(x).mean(axis=0)).max() < 1e-12)
    ((1000, 22), 22, True)
    """

    features: Features
    edges: tuple[np.ndarray, ...]
    waves: np.ndarray
    phases: np.ndarray
    centre: np.ndarray
    counts_failures: bool = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)

    @classmethod
    def fit(cls, x: Float[np.ndarray, "N F"], *, seed: int, most: int = 12) -> "Witnesses":
        """Choose scales, bins and cosines for the rows of x, which should be no part of what is tested."""
        finite = np.isfinite(x).all(axis=1)
        features = Features.fit(x[finite], most=most) if finite.any() else Features.fit(np.zeros((2, x.shape[1])))
        columns = features(x[finite])
        dim = columns.shape[1]
        edges = tuple(_edges(column) for column in columns.T)
        rng = np.random.default_rng(seed)
        waves = rng.normal(size=(dim, WAVES if dim else 0)) * np.sqrt(2 / (dim + 1))
        phases = rng.uniform(0, 2 * np.pi, waves.shape[1])
        names = [f"bin {b + 1} of column {i + 1}" for i, some in enumerate(edges) for b in range(len(some))]
        names += [f"{what} of column {i + 1}" for what in ("mean", "square") for i in range(dim)]
        names += [f"cosine {j + 1}" for j in range(waves.shape[1])]
        counts = not finite.all()
        names += ["failures"] if counts else []
        blank = np.zeros(len(names))
        raw = cls(features, edges, waves, phases, blank, counts, tuple(names))
        return cls(features, edges, waves, phases, raw(x).mean(axis=0), counts, tuple(names))

    def __call__(self, x: Float[np.ndarray, "M F"]) -> Float[np.ndarray, "M J"]:
        """phi_j of every row."""
        finite: Bool[np.ndarray, " M"] = np.isfinite(x).all(axis=1)
        columns = self.features(np.where(finite[:, None], x, 0.0))
        parts = [
            np.digitize(column, some)[:, None] == np.arange(len(some)) for column, some in zip(columns.T, self.edges)
        ]
        parts += [columns, columns**2, np.cos(columns @ self.waves + self.phases)]
        found = np.concatenate(parts, axis=1).astype(float) * finite[:, None]
        if self.counts_failures:
            found = np.concatenate([found, ~finite[:, None]], axis=1)
        return found - self.centre


def _edges(column: Float[np.ndarray, " N"]) -> Float[np.ndarray, " e"]:
    """Quantiles between which lies about the same number of rows; of whole numbers, those with something on both sides."""
    found = np.unique(np.quantile(column, np.arange(1, BINS) / BINS, method="closest_observation"))
    return found[found > column.min()]
