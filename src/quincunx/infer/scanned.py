"""The likelihood ratio over a grid of parameters: q(theta), its best point, and what an ensemble's members say of it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from quincunx.errors import UsageError
from quincunx.infer.maximum import Maximum
from quincunx.notebook import card
from quincunx.values import pack, register, save, unpack


@register("scan")
@dataclass(frozen=True, eq=False)
class Scan:
    """q(theta) = -2 [log L(theta) - log L(theta_hat)] over a grid or a list of points, where other parameters are held or maximised over.

    `axes` holds the values of each scanned parameter; on a grid q has one axis for each of them, (n_1, ..., n_k), and for a list of points (`listed`)
    it is (n,). `theta` holds all parameters at each point, with what was maximised over (`profiled`) at its best. `members` (M, ...) is the
    same q by every member of an ensemble, relative to the common theta_hat, or None. `n` is the number of events.
    """

    kind: ClassVar[str]

    axes: dict[str, Float[np.ndarray, " _"]]
    q: Float[np.ndarray, "..."]
    theta: dict[str, Float[np.ndarray, "..."]]
    best: Maximum
    n: float
    profiled: tuple[str, ...] = ()
    units: Mapping[str, str] | None = None
    members: Float[np.ndarray, "..."] | None = None
    listed: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The scanned parameters."""
        return tuple(self.axes)

    @property
    def centre(self) -> Float[np.ndarray, " k"]:
        """theta_hat in the scanned parameters."""
        return np.asarray([float(self.best.theta[name]) for name in self.names])

    @property
    def spread(self) -> Float[np.ndarray, "..."] | None:
        """The standard deviation over members of q, or None where there is one member only."""
        return None if self.members is None else np.std(self.members, axis=0, ddof=1)

    @property
    def points(self) -> Float[np.ndarray, "n k"]:
        """The scanned parameters of every point, in the order of q."""
        if self.listed:
            return np.stack(list(self.axes.values()), axis=1)
        return np.stack([a.reshape(-1) for a in np.meshgrid(*self.axes.values(), indexing="ij")], axis=1)

    def plot(self, **options: Any) -> Any:
        """q along one parameter, or over two: a Matplotlib figure.

        Raises:
            UsageError: for a list of points or more than two parameters.
        """
        from quincunx.plot import scan_curve, scan_map

        if self.listed or len(self.axes) > 2:
            raise UsageError(
                f"got a scan of {len(self.axes)} parameters{' at listed points' if self.listed else ''}; expected a grid of one or two; "
                "profile over one or two of them"
            )
        label = "profile likelihood ratio" if self.profiled else "likelihood ratio"
        drawn = scan_curve if len(self.axes) == 1 else scan_map
        return drawn(
            list(self.axes.values()) if len(self.axes) == 2 else next(iter(self.axes.values())),
            self.q,
            list(self.names) if len(self.axes) == 2 else self.names[0],
            best=self.centre if len(self.axes) == 2 else float(self.centre[0]),
            members=self.members,
            units=self.units,
            label=label,
            **options,
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it to one file; `quincunx.load` reads it back."""
        return save(self, path)

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a file holds of it."""
        best, arrays = pack(self.best, "best")
        spec = {
            "names": list(self.axes),
            "parameters": list(self.theta),
            "best": best,
            "n": self.n,
            "profiled": list(self.profiled),
            "units": dict(self.units or {}),
            "listed": self.listed,
        }
        arrays |= {f"axes/{name}": value for name, value in self.axes.items()}
        arrays |= {f"theta/{name}": value for name, value in self.theta.items()}
        arrays |= {"q": self.q} | ({} if self.members is None else {"members": self.members})
        return spec, arrays

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Scan":
        """The inverse of `to_state`."""
        return cls(
            {name: arrays[f"axes/{name}"] for name in spec["names"]},
            arrays["q"],
            {name: arrays[f"theta/{name}"] for name in spec["parameters"]},
            unpack(spec["best"], arrays, "best"),
            spec["n"],
            tuple(spec["profiled"]),
            spec["units"],
            arrays.get("members"),
            spec["listed"],
        )

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.q.shape))
        over = f", {', '.join(self.profiled)} profiled" if self.profiled else ""
        at = ", ".join(f"{name} = {value:.4g}" for name, value in zip(self.names, self.centre, strict=True))
        return f"Scan({shape} points of {', '.join(self.names)}{over}; {self.n:g} events; best at {at})"

    def _repr_html_(self) -> str:
        from quincunx.plot import inline_svg

        drawable = not self.listed and len(self.axes) <= 2
        return card(repr(self), picture=(lambda: inline_svg(self.plot(), alt=repr(self))) if drawable else "")
