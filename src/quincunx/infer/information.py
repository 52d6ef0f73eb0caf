"""Fisher information: its matrix with errors, and what follows from it: profiling, projecting, constraints, expected limits."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from scipy.stats import chi2

from quincunx.errors import NameMismatch, UsageError
from quincunx.notebook import card
from quincunx.values import register, save


@register("information")
@dataclass(frozen=True, eq=False)
class Information:
    """I_ij = E[t_i t_j], t the score: a matrix (d, d) over named numbers, with the covariance of its entries (d, d, d, d).

    `what` says which information it is. Information adds: `rate + shape`, and `50 * per_event`. The inverse is the smallest covariance an
    unbiased estimator can have (Cramer-Rao). Every transformation carries the errors of the entries with it, to first order.

    >>> both = Information.exact([[4.0, 2.0], [2.0, 2.0]], ("mu", "nu"))
    >>> both.profiled("mu")["mu"], both.projected("mu")["mu"]
    (2.0, 4.0)
    >>> both.constrained(nu=1.0).profiled("mu")
    Information(constrained exact, mu: 2.66667)
    """

    kind: ClassVar[str]

    matrix: Float[np.ndarray, "d d"]
    columns: tuple[str, ...]
    covariance_of_entries: Float[np.ndarray, "d d d d"]
    what: str = "full"

    @classmethod
    def exact(cls, matrix: Any, columns: Sequence[str], what: str = "exact") -> "Information":
        """A matrix that is known without error.

        Raises:
            UsageError: if the matrix is not symmetric, or has another size than there are columns.
        """
        matrix = np.asarray(matrix, np.float64)
        d = len(columns)
        if matrix.shape != (d, d) or not np.allclose(matrix, matrix.T, rtol=1e-6, atol=0.0):
            raise UsageError(
                f"got a matrix of shape {matrix.shape} for {list(columns)}; expected a symmetric ({d}, {d}) one"
            )
        return cls(matrix, tuple(columns), np.zeros((d,) * 4), what)

    @property
    def error(self) -> Float[np.ndarray, "d d"]:
        """The standard error of every entry."""
        d = len(self.columns)
        return np.sqrt(np.clip(np.diag(self.covariance_of_entries.reshape(d * d, d * d)), 0.0, None)).reshape(d, d)

    @property
    def covariance(self) -> Float[np.ndarray, "d d"]:
        """The inverse: the smallest covariance of unbiased estimates.

        Raises:
            UsageError: if the matrix is singular: some combination of parameters is not constrained at all.
        """
        self._check_regular(self.matrix)
        return np.linalg.inv(self.matrix)

    @property
    def standard_errors(self) -> dict[str, float]:
        """The square roots of the covariance's diagonal. Raises: as `covariance`."""
        return dict(zip(self.columns, np.sqrt(np.diag(self.covariance)).tolist(), strict=True))

    def __getitem__(self, column: str) -> float:
        return float(self.matrix[self._index([column])[0], self._index([column])[0]])

    def __mul__(self, n: float | int) -> "Information":
        return Information(n * self.matrix, self.columns, n**2 * self.covariance_of_entries, self.what)

    __rmul__ = __mul__

    def __add__(self, other: "Information") -> "Information":
        """The information of both, taken as independent of each other in their errors."""
        if self.columns != other.columns:
            raise NameMismatch(
                f"got informations of {list(self.columns)} and {list(other.columns)}; expected the same numbers in one order"
            )
        what = " + ".join(dict.fromkeys([self.what, other.what]))
        return Information(
            self.matrix + other.matrix, self.columns, self.covariance_of_entries + other.covariance_of_entries, what
        )

    def profiled(self, *keep: str) -> "Information":
        """I_AA - I_AB I_BB^-1 I_BA: the information on `keep` (A) when the others (B) are measured along with them.

        Raises:
            NameMismatch: for unknown columns. UsageError: if I_BB is singular: constrain or fix what cannot be measured.
        """
        a = self._index(keep)
        b = [i for i in range(len(self.columns)) if i not in a]
        self._check_regular(self.matrix[np.ix_(b, b)])
        # d I_profiled = P^T dI P, with P = (1, -I_BB^-1 I_BA)
        carry = np.zeros((len(self.columns), len(a)))
        carry[a, range(len(a))] = 1.0
        carry[b] = -np.linalg.solve(self.matrix[np.ix_(b, b)], self.matrix[np.ix_(b, a)]) if b else 0.0
        return self._carried(carry, keep)

    def projected(self, *keep: str) -> "Information":
        """I_AA: the information on `keep` when the others are known. Raises `NameMismatch` for unknown columns."""
        carry = np.zeros((len(self.columns), len(keep)))
        carry[self._index(keep), range(len(keep))] = 1.0
        return self._carried(carry, keep)

    def constrained(self, **sigma: float | int) -> "Information":
        """With independent measurements of some numbers to standard deviations sigma: I_ii + 1 / sigma_i^2.

        Raises:
            NameMismatch: for unknown columns. UsageError: for a sigma that is not positive.
        """
        added = np.zeros(len(self.columns))
        for name, value in sigma.items():
            if not value > 0:
                raise UsageError(f"got sigma = {value} for '{name}'; expected a positive standard deviation")
            added[self._index([name])] = 1.0 / value**2
        what = self.what if self.what.startswith("constrained ") else f"constrained {self.what}"
        return Information(self.matrix + np.diag(added), self.columns, self.covariance_of_entries, what)

    def expected_q(self, theta: Mapping[str, Any], reference: Mapping[str, Any]) -> Float[np.ndarray, "..."]:
        """(theta - ref)^T I (theta - ref): q(theta) expected of data from `reference`, to lowest order. Raises `NameMismatch` for missing columns."""
        missing = [c for c in self.columns if c not in theta or c not in reference]
        if missing:
            raise NameMismatch(f"got points without {missing}; expected values of {list(self.columns)}")
        away = np.stack([np.asarray(theta[c], float) - np.asarray(reference[c], float) for c in self.columns], axis=-1)
        return np.einsum("...i,ij,...j->...", away, self.matrix, away)

    def expected_interval(self, column: str, level: float = 0.95) -> float:
        """Half the width of the interval expected for one number at a level, the others profiled. Raises: as `profiled`."""
        return float(np.sqrt(chi2.ppf(level, 1) / self.profiled(column)[column]))

    def ellipse(
        self, first: str, second: str, level: float = 0.6827, *, points: int = 200
    ) -> Float[np.ndarray, "points 2"]:
        """{delta : delta^T I delta = c_level} in two numbers, the others profiled, c from the chi-squared law with two degrees. Raises: as `profiled`."""
        pair = self.profiled(first, second)
        self._check_regular(pair.matrix)
        values, vectors = np.linalg.eigh(pair.matrix)
        angle = np.linspace(0.0, 2.0 * np.pi, points)
        circle = np.sqrt(chi2.ppf(level, 2)) * np.stack([np.cos(angle), np.sin(angle)])
        return (vectors @ (circle / np.sqrt(values)[:, None])).T

    def excess_over(self, other: "Information") -> tuple[float, float]:
        """The smallest eigenvalue of this matrix minus the other, and its standard error: not negative when this one is never less informative.

        Errors are taken as independent, which overstates them where both come from the same events. Raises `NameMismatch` for other columns.
        """
        difference = self + (-1.0) * other
        values, vectors = np.linalg.eigh(difference.matrix)
        v = vectors[:, 0]
        variance = np.einsum("i,j,k,l,ijkl->", v, v, v, v, difference.covariance_of_entries)
        return float(values[0]), float(np.sqrt(max(variance, 0.0)))

    def plot(
        self,
        first: str,
        second: str,
        *,
        at: Mapping[str, Any] | None = None,
        level: float = 0.6827,
        **others: "Information",
    ) -> Any:
        """The error ellipses of this and other informations in two numbers, around `at`: a Matplotlib figure."""
        from quincunx.plot import information_ellipses

        centre = np.asarray([0.0 if at is None else float(at[c]) for c in (first, second)])
        drawn = {self.what: self, **others}
        curves = {name: centre + one.ellipse(first, second, level) for name, one in drawn.items()}
        return information_ellipses(curves, [first, second], centre=centre, level=level)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it to one file; `quincunx.load` reads it back."""
        return save(self, path)

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a file holds of it."""
        return {"columns": list(self.columns), "what": self.what}, {
            "matrix": self.matrix,
            "entries": self.covariance_of_entries,
        }

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Information":
        """The inverse of `to_state`."""
        return cls(arrays["matrix"], tuple(spec["columns"]), arrays["entries"], spec["what"])

    def __repr__(self) -> str:
        if len(self.columns) == 1:
            error = f" +- {self.error[0, 0]:.2g}" if self.error[0, 0] > 0 else ""
            return f"Information({self.what}, {self.columns[0]}: {self.matrix[0, 0]:.6g}{error})"
        rows = [
            f"  {c}  " + "  ".join(f"{v:>11.5g}" for v in row) for c, row in zip(self.columns, self.matrix, strict=True)
        ]
        return "\n".join([f"Information({self.what}, {len(self.columns)} numbers)", *rows])

    def _repr_html_(self) -> str:
        body = [[c, *(f"{v:.5g}" for v in row)] for c, row in zip(self.columns, self.matrix, strict=True)]
        one = self.error[0, 0] if len(self.columns) == 1 else 0.0
        error = [("standard error", f"{one:.2g}")] if one > 0 else []
        return card(f"Information ({self.what})", facts=error, head=["", *self.columns], body=body)

    def _carried(self, carry: Float[np.ndarray, "d a"], keep: Sequence[str]) -> "Information":
        entries = np.einsum(
            "ijkl,ia,jb,kc,ld->abcd", self.covariance_of_entries, carry, carry, carry, carry, optimize=True
        )
        return Information(carry.T @ self.matrix @ carry, tuple(keep), entries, self.what)

    def _index(self, columns: Sequence[str]) -> list[int]:
        unknown = [c for c in columns if c not in self.columns]
        if unknown or not columns:
            raise NameMismatch(f"got {unknown or 'no columns'}; expected some of {list(self.columns)}")
        return [self.columns.index(c) for c in columns]

    def _check_regular(self, matrix: np.ndarray) -> None:
        scale = np.sqrt(np.clip(np.diag(matrix), 1e-300, None))
        if matrix.size and np.linalg.eigvalsh(matrix / np.outer(scale, scale)).min() < 1e-10:
            raise UsageError(
                "got an information matrix that is singular: some combination of parameters is not measured at all; expected a regular one; "
                "use projected() to fix parameters, or constrained() to add what is known of them"
            )
