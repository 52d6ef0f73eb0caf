"""Networks by name: a specification in JSON and the network it builds."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray

from quincunx.errors import UnknownKind

_BUILDERS: dict[str, Callable[..., eqx.Module]] = {}

Spec = Mapping[str, Any]


def register(kind: str) -> Callable[[Callable[..., eqx.Module]], Callable[..., eqx.Module]]:
    """Name a builder, so that a network can be described by JSON and rebuilt from a file without pickle.

    The builder takes its options as keywords and a `key`, and returns an Equinox module.

    >>> import equinox as eqx, jax
    >>> @register("doc-linear")
    ... def linear(*, in_size, out_size, key):
    ...     return eqx.nn.Linear(in_size, out_size, key=key)
    >>> build({"kind": "doc-linear", "in_size": 2, "out_size": 1}, key=jax.random.key(0)).out_features
    1
    """

    def decorate(builder: Callable[..., eqx.Module]) -> Callable[..., eqx.Module]:
        _BUILDERS[kind] = builder
        return builder

    return decorate


def kinds() -> tuple[str, ...]:
    """The names that `build` knows, sorted."""
    _import_builders()
    return tuple(sorted(_BUILDERS))


def build(spec: Spec, *, key: PRNGKeyArray) -> eqx.Module:
    """Build the network that a specification describes, with fresh random parameters.

    `spec` is `{"kind": name, **options}`; every option is JSON. Raises `UnknownKind` when the name is not registered.
    """
    options = dict(spec)
    kind = options.pop("kind", None)
    if kind not in _BUILDERS:
        _import_builders()
    if kind not in _BUILDERS:
        raise UnknownKind(
            f"got a network of kind {kind!r}; expected one of {', '.join(sorted(_BUILDERS))}; "
            "register your own with quincunx.learn.register(kind)"
        )
    return _BUILDERS[kind](key=key, **options)


def skeleton(spec: Spec) -> eqx.Module:
    """The same network with shapes in place of arrays: what a loader fills with the saved ones."""
    return eqx.filter_eval_shape(build, spec, key=jax.eval_shape(lambda: jax.random.key(0)))


def _import_builders() -> None:
    import quincunx.learn.flows
    import quincunx.learn.networks  # noqa: F401
