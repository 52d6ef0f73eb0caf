"""What a simulator returns, described: names, shapes, columns and units of an outcome, and its flat view."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Num

from quincunx.errors import NameMismatch, NonFiniteObservation, ShapeMismatch
from quincunx.model.prior import check_names, columns_of
from quincunx.notebook import from_repr
from quincunx.values import register

__all__ = ["Outcome", "flatten_outcome"]

AnyArray = Array | np.ndarray
X = Num[AnyArray, "..."] | Mapping[str, Num[AnyArray, "..."]]
Observables = str | Sequence[str] | Mapping[str, Sequence[str]] | None


def flatten_outcome(x: X, batch_ndim: int) -> Num[AnyArray, "..."]:
    """One array whose last axis holds every number of an outcome; dict entries follow in sorted order.

    The first `batch_ndim` axes are kept. NumPy arrays stay NumPy, and one that is flat already is not copied.

    >>> import numpy as np
    >>> flatten_outcome({"b": np.ones((5, 2)), "a": np.zeros((5,))}, 1).shape
    (5, 3)
    """
    arrays = [x[name] for name in sorted(x)] if isinstance(x, Mapping) else [x]
    parts = [a.reshape((*a.shape[:batch_ndim], math.prod(a.shape[batch_ndim:]))) for a in arrays]
    if len(parts) == 1:
        return parts[0]
    on_host = all(isinstance(part, np.ndarray) for part in parts)
    return np.concatenate(parts, axis=-1) if on_host else jnp.concatenate(parts, axis=-1)


@register("outcome")
@dataclass(frozen=True)
class Outcome:
    """The names, shapes, columns and units of one outcome x; `keyed` when it is a dict of arrays rather than one array.

    >>> outcome = Outcome.of(jnp.zeros(2), observables=["height", "mass"])
    >>> outcome.columns, outcome.dim
    (('height', 'mass'), 2)
    """

    kind: ClassVar[str]

    names: tuple[str, ...]
    shape_list: tuple[tuple[int, ...], ...]
    columns: tuple[str, ...]
    keyed: bool
    unit_pairs: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, x: Any, *, observables: Observables = None, units: Mapping[str, str] | str | None = None) -> "Outcome":
        """Describe an outcome, or the shapes of one.

        `observables` names the array (a string), its numbers (a sequence), or the numbers of each entry (a mapping).

        Raises:
            NameMismatch: if `observables` does not fit.
        """
        keyed = isinstance(x, Mapping)
        if keyed and isinstance(observables, str):
            raise NameMismatch(
                f"got the single name '{observables}' for a dict of {sorted(x)}; expected a mapping; leave "
                "observables out"
            )
        single = observables if isinstance(observables, str) else "x"
        arrays = {name: x[name] for name in sorted(x)} if keyed else {single: x}
        shapes = {name: tuple(a.shape) for name, a in arrays.items()}
        columns = [column for name, shape in shapes.items() for column in columns_of(name, shape)]
        if isinstance(observables, Mapping):
            check_names(sorted(observables), sorted(arrays), "observables")
            columns = [column for name in arrays for column in observables[name]]
        elif observables is not None and not isinstance(observables, str):
            columns = list(observables)
        dim = sum(math.prod(shape) for shape in shapes.values())
        if len(columns) != dim or len(set(columns)) != dim:
            raise NameMismatch(
                f"got {len(set(columns))} different observables {columns}; expected {dim}, one for each number "
                "of an outcome "
                f"with shapes {shapes}; correct `observables`"
            )
        said = dict.fromkeys(arrays, units) if isinstance(units, str) else dict(units or {})
        unknown = [name for name in said if name not in arrays and name not in columns]
        if unknown:
            raise NameMismatch(f"got units of {unknown}; expected some of {[*arrays, *columns]}; use these names")
        return cls(tuple(arrays), tuple(shapes.values()), tuple(columns), keyed, tuple(said.items()))

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each entry."""
        return dict(zip(self.names, self.shape_list))

    @property
    def units(self) -> dict[str, str]:
        """Units by entry or column."""
        return dict(self.unit_pairs)

    @property
    def dim(self) -> int:
        """How many numbers one outcome has."""
        return sum(math.prod(shape) for shape in self.shape_list)

    def flatten(self, x: X, batch_ndim: int = 0) -> Num[AnyArray, "..."]:
        """One array whose last axis holds every number, in the order of `columns`."""
        return flatten_outcome(x, batch_ndim)

    def unflatten(self, flat: Num[AnyArray, "*batch dim"]) -> Any:
        """From the flat view back to an array, or a dict of arrays.

        >>> Outcome.of({"a": np.zeros(2), "b": np.zeros((1, 3))}).unflatten(np.zeros((7, 5)))["b"].shape
        (7, 1, 3)
        """
        if flat.shape[-1] != self.dim:
            raise ShapeMismatch(f"got flat outcomes of shape {flat.shape}; expected (..., {self.dim}); reshape them")
        start, parts = 0, {}
        for name, shape in self.shapes.items():
            size = math.prod(shape)
            parts[name] = flat[..., start : start + size].reshape(flat.shape[:-1] + shape)
            start += size
        return parts if self.keyed else parts[self.names[0]]

    def check(self, x_o: Any, *, finite: bool = True) -> tuple[Any, bool]:
        """An observation as float32 arrays of the right shapes, and whether it is a set of events (one more leading
        axis).

        Raises:
            NameMismatch: for missing or unknown entries.
            ShapeMismatch: for a shape that is neither one outcome's nor a set of outcomes'.
            NonFiniteObservation: for NaN or infinity, naming the columns.

        >>> x, events = Outcome.of(np.zeros(2)).check([[1, 2], [3, 4], [5, 6]])
        >>> x.shape, events
        ((3, 2), True)
        """
        if self.keyed:
            if not isinstance(x_o, Mapping):
                raise NameMismatch(
                    f"got a {type(x_o).__name__} as observation; expected a dict with {list(self.names)}; name "
                    "its entries"
                )
            check_names(list(x_o), self.names, "observed entries")
        given = {name: x_o[name] for name in self.names} if self.keyed else {self.names[0]: x_o}
        arrays, extra = {}, {}
        for name, shape in self.shapes.items():
            arrays[name], extra[name] = self._fit(name, given[name], shape)
        if len(set(extra.values())) > 1:
            raise ShapeMismatch(
                f"got numbers of events {extra}; expected the same for every entry; give each the same leading axis"
            )
        count = next(iter(extra.values()))
        if finite:
            self._check_finite(np.asarray(flatten_outcome(arrays, 0 if count is None else 1)))
        return (arrays if self.keyed else arrays[self.names[0]]), count is not None

    def _fit(self, name: str, value: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, int | None]:
        try:
            array = np.asarray(value, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise ShapeMismatch(
                f"got an observation '{name}' that is not an array of numbers ({error}); expected shape "
                f"{shape}; convert it"
            ) from error
        # A simulator's single number is stored as (1,): a bare number or a list of them means the same.
        if shape == (1,) and array.ndim <= 1 and array.shape != (1,):
            array = array[..., None]
        if array.shape == shape:
            return array, None
        if array.ndim == len(shape) + 1 and array.shape[1:] == shape and len(array) > 0:
            return array, len(array)
        raise ShapeMismatch(
            f"got an observation '{name}' of shape {array.shape}; expected {shape} for one outcome, or (events, "
            f"{', '.join(map(str, shape))}) for a set of independent ones; reshape it, or change the simulator "
            "to return it"
        )

    def _check_finite(self, flat: np.ndarray) -> None:
        bad = ~np.isfinite(flat).reshape(-1, self.dim)
        if bad.any():
            columns = [self.columns[i] for i in np.flatnonzero(bad.any(axis=0))[:5]]
            raise NonFiniteObservation(
                f"got {int(bad.sum())} NaN or infinite numbers in the observation, at {columns}; expected "
                "finite numbers; "
                "fill them in, or leave the same entries out of the simulator's outcome"
            )

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        spec = {
            "names": list(self.names),
            "shapes": [list(shape) for shape in self.shape_list],
            "columns": list(self.columns),
            "keyed": self.keyed,
            "units": dict(self.unit_pairs),
        }
        return spec, {}

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Outcome":
        shapes = tuple(tuple(shape) for shape in spec["shapes"])
        return cls(tuple(spec["names"]), shapes, tuple(spec["columns"]), spec["keyed"], tuple(spec["units"].items()))

    def __repr__(self) -> str:
        return f"Outcome({', '.join(f'{name}: {shape}' for name, shape in self.shapes.items())})"

    _repr_html_ = from_repr
