"""Data of any shape as a few columns that classifiers, regressions and distances can use."""

from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Float

from quincunx.model import flatten_outcome

_QUANTILES = (0.1, 0.5, 0.9)


def data_columns(x: Any, *, sets: bool = False, single: bool = False) -> Float[np.ndarray, "N F"]:
    """Outcomes (array or dict of arrays with leading axis N) as columns (N, F).

    With `sets` the second axis counts independent events, and a set is described by the mean, standard deviation and
    quantiles of each of its columns. `single` says that there is no leading axis: one outcome gives one row.

    >>> import numpy as np
    >>> data_columns({"b": np.zeros((4, 2, 2)), "a": np.ones((4, 1))}).shape
    (4, 5)
    >>> data_columns(np.zeros((4, 30, 2)), sets=True).shape
    (4, 10)
    """
    batch = (0 if single else 1) + (1 if sets else 0)
    flat = np.asarray(flatten_outcome(x, batch), dtype=float)
    if single:
        flat = flat[None]
    if not sets:
        return flat
    quantiles = np.quantile(flat, _QUANTILES, axis=1)
    return np.concatenate([flat.mean(axis=1), flat.std(axis=1), *quantiles], axis=1)


class Features(eqx.Module):
    """A fixed map of data columns to at most `most` standardised features: robust scaling, asinh, principal components.

    asinh((x - median) / scaled MAD) tames tails that have no variance; constant columns are left out.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_t(2, size=(200, 30))
    >>> Features.fit(x, most=5)(x).shape
    (200, 5)
    """

    kept: np.ndarray
    centre: np.ndarray
    width: np.ndarray
    mean: np.ndarray
    directions: np.ndarray

    @classmethod
    def fit(cls, x: Float[np.ndarray, "N F"], *, most: int = 20) -> "Features":
        """Fit to the rows of x."""
        kept = np.ptp(x, axis=0) > 0
        columns = x[:, kept]
        centre = np.median(columns, axis=0)
        mad = 1.4826 * np.median(np.abs(columns - centre), axis=0)
        width = np.where(mad > 0, mad, np.maximum(np.std(columns, axis=0), 1e-300))
        warped = np.arcsinh((columns - centre) / width)
        mean = warped.mean(axis=0)
        centred = warped - mean
        if centred.shape[1] <= most:
            directions = np.diag(1.0 / np.maximum(centred.std(axis=0), 1e-12))
        else:
            _, singular, rows = np.linalg.svd(centred, full_matrices=False)
            spread = np.maximum(singular[:most] / np.sqrt(len(x)), 1e-12)
            directions = rows[:most].T / spread
        return cls(kept, centre, width, mean, directions)

    def __call__(self, x: Float[np.ndarray, "M F"]) -> Float[np.ndarray, "M G"]:
        """The features of other rows, on the same scale."""
        return (np.arcsinh((x[:, self.kept] - self.centre) / self.width) - self.mean) @ self.directions
