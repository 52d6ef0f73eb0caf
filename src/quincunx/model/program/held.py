"""Values at which sites of a program are held, compared by content so that a program that has them can be compared too."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Held"]


@dataclass(frozen=True, eq=False)
class Held:
    """Arrays by address, hashable: two are equal when their bytes are.

    >>> Held.of({"z": 1.0}) == Held.of({"z": 1.0}), len(Held())
    (True, 0)
    """

    values: Mapping[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Held":
        """Numbers or arrays by address."""
        arrays = {}
        for name, value in sorted(values.items()):
            array = np.asarray(value)
            arrays[name] = array.astype(np.float32) if isinstance(value, float) else array
        return cls(arrays)

    def and_also(self, values: Mapping[str, Any]) -> "Held":
        """These, and others, which win."""
        return Held(dict(sorted({**self.values, **Held.of(values).values}.items())))

    def without(self, names: Any) -> "Held":
        """Those that are not named."""
        return Held({name: value for name, value in self.values.items() if name not in names})

    def __len__(self) -> int:
        return len(self.values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Held) and self._content() == other._content()

    def __hash__(self) -> int:
        return hash(self._content())

    def _content(self) -> tuple[Any, ...]:
        return tuple((name, a.dtype.str, a.shape, a.tobytes()) for name, a in self.values.items())
