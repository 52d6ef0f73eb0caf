"""Writing distributions down without pickle: a class's name from an allow-list and the numbers it was made from.

Only public classes of `numpyro.distributions` (and our own `Truncated`) are ever built from a file, and only out of
numbers, further such classes, NumPyro's transforms and its constraints.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import numpyro.distributions as dist
from jaxtyping import PRNGKeyArray
from numpyro.distributions import constraints, transforms

from quincunx.errors import CorruptFile, UnsupportedPrior
from quincunx.model.truncated import Truncated

__all__ = ["distribution_from_state", "distribution_to_state"]

Arrays = dict[str, np.ndarray]

_SINGLE = (
    "real",
    "positive",
    "nonnegative",
    "unit_interval",
    "real_vector",
    "simplex",
    "ordered_vector",
    "corr_cholesky",
    "lower_cholesky",
    "circular",
)
# Classes whose constructor offers several ways to say the same thing: the one stored.
_CHOSEN = {
    "MultivariateNormal": ("loc", "scale_tril"),
    "LKJ": ("dimension", "concentration"),
    "LKJCholesky": ("dimension", "concentration"),
}
_RENAMED = {"base_distribution": "base_dist"}


def _allowed_distributions() -> dict[str, type]:
    found = {name: getattr(dist, name) for name in dist.__all__}
    found = {name: c for name, c in found.items() if inspect.isclass(c) and issubclass(c, dist.Distribution)}
    return {**found, "Truncated": Truncated}


def _allowed_transforms() -> dict[str, type]:
    found = {name: getattr(transforms, name) for name in transforms.__all__}
    return {name: c for name, c in found.items() if inspect.isclass(c) and issubclass(c, transforms.Transform)}


def distribution_to_state(name: str, distribution: dist.Distribution) -> tuple[dict[str, Any], Arrays]:
    """The spec and arrays which rebuild a distribution.

    Raises:
        UnsupportedPrior: if it cannot be rebuilt exactly from numbers.

    >>> import numpyro.distributions as dist
    >>> distribution_to_state("a", dist.Normal(0.0, 2.0))
    ({'distribution': 'Normal', 'with': {'loc': {'number': 0.0}, 'scale': {'number': 2.0}}}, {})
    """
    arrays: Arrays = {}
    try:
        spec = _write(distribution, name, arrays)
        again = distribution_from_state(spec, arrays)
        same = _draw(again, jax.random.key(0)), _draw(distribution, jax.random.key(0))
        faithful = np.array_equal(*same)
    except (TypeError, ValueError, AttributeError, CorruptFile) as error:
        raise _unwritable(name, distribution, str(error)) from error
    if not faithful:
        raise _unwritable(name, distribution, "the copy draws other values")
    return spec, arrays


def _draw(distribution: dist.Distribution, key: PRNGKeyArray) -> np.ndarray:
    return np.asarray(distribution.sample(key, (3,)))


def _unwritable(name: str, distribution: dist.Distribution, why: str) -> UnsupportedPrior:
    return UnsupportedPrior(
        f"the distribution {type(distribution).__name__} of '{name}' cannot be written to a file ({why}); "
        "expected a public class of numpyro.distributions made from numbers; rewrite it from these to save it"
    )


def _write(thing: Any, path: str, arrays: Arrays) -> Any:
    if thing is None or isinstance(thing, bool | str):
        return {"plain": thing}
    if isinstance(thing, int | float):
        return {"number": thing}
    if isinstance(thing, dist.Distribution):
        return _write_parts("distribution", thing, _allowed_distributions(), path, arrays)
    if isinstance(thing, transforms.Transform):
        return _write_parts("transform", thing, _allowed_transforms(), path, arrays)
    if isinstance(thing, constraints.Constraint):
        return _write_constraint(thing, path, arrays)
    if isinstance(thing, list | tuple):
        parts = [_write(part, f"{path}.{i}", arrays) for i, part in enumerate(thing)]
        return {"tuple" if isinstance(thing, tuple) else "list": parts}
    array = np.asarray(thing)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{path} holds {type(thing).__name__}")
    arrays[path] = array
    return {"array": path}


def _write_parts(what: str, thing: Any, allowed: Mapping[str, type], path: str, arrays: Arrays) -> dict[str, Any]:
    name = type(thing).__name__
    if allowed.get(name) is not type(thing):
        raise TypeError(f"{name} is not a public NumPyro class")
    wanted = _CHOSEN.get(name) or tuple(
        p for p in inspect.signature(type(thing).__init__).parameters if p not in ("self", "validate_args")
    )
    parts = {}
    for part in wanted:
        value = getattr(thing, _RENAMED.get(part, part))
        parts[part] = _write(value, f"{path}.{part}", arrays)
    return {what: name, "with": parts}


def _write_constraint(thing: constraints.Constraint, path: str, arrays: Arrays) -> dict[str, Any]:
    for name in _SINGLE:
        if getattr(constraints, name) is thing:
            return {"constraint": name}
    if isinstance(thing, constraints._Interval):
        ends = [_write(end, f"{path}.{i}", arrays) for i, end in enumerate((thing.lower_bound, thing.upper_bound))]
        return {"constraint": "interval", "with": ends}
    raise TypeError(f"constraint {thing} has no name")


def distribution_from_state(spec: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Any:
    """Rebuild what `distribution_to_state` wrote.

    Raises:
        CorruptFile: if the spec names anything outside the allow-list.

    >>> numbers = {"loc": {"number": 0.0}, "scale": {"number": 2.0}}
    >>> distribution_from_state({"distribution": "Normal", "with": numbers}, {}).scale
    2.0
    """
    if "plain" in spec:
        return spec["plain"]
    if "number" in spec:
        return spec["number"]
    if "array" in spec:
        return arrays[spec["array"]]
    if "list" in spec:
        return [distribution_from_state(part, arrays) for part in spec["list"]]
    if "tuple" in spec:
        return tuple(distribution_from_state(part, arrays) for part in spec["tuple"])
    if "constraint" in spec and spec["constraint"] in _SINGLE:
        return getattr(constraints, spec["constraint"])
    if spec.get("constraint") == "interval":
        return constraints.interval(*(distribution_from_state(end, arrays) for end in spec["with"]))
    for what, allowed in (("distribution", _allowed_distributions()), ("transform", _allowed_transforms())):
        if spec.get(what) in allowed:
            parts = {name: distribution_from_state(part, arrays) for name, part in spec["with"].items()}
            return allowed[spec[what]](**parts)
    raise CorruptFile(
        f"got the distribution spec {spec}, which names nothing this version can build; take it from a backup"
    )
