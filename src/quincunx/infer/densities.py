"""Conditional densities by a short name, with their sizes filled in."""

from typing import Any

from quincunx.errors import UnknownKind
from quincunx.learn.build import Spec

_SHORT: dict[str, dict[str, Any]] = {
    "spline": {"kind": "autoregressive", "transform": "spline"},
    "affine": {"kind": "autoregressive", "transform": "affine"},
    "coupling": {"kind": "coupling"},
    "gaussian": {"kind": "gaussian"},
    "mixture": {"kind": "mixture"},
}


def conditional_spec(
    density: Spec | str, *, dim: int, condition_dim: int, embedding: Spec | None
) -> dict[str, Any]:
    """The specification of a conditional density: a short name, or a specification of one's own without its sizes.

    Raises:
        UnknownKind: for a short name that is none.

    >>> conditional_spec("gaussian", dim=2, condition_dim=3, embedding=None)["density"]
    {'kind': 'gaussian', 'dim': 2, 'condition_dim': 3}
    """
    if isinstance(density, str):
        if density not in _SHORT:
            raise UnknownKind(f"got density '{density}'; expected one of {', '.join(_SHORT)}, or a specification as a dict")
        density = _SHORT[density]
    full = {**density, "dim": dim, "condition_dim": condition_dim}
    return {"kind": "conditional", "density": full, "embedding": None if embedding is None else dict(embedding)}
