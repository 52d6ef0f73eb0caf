"""How an observation becomes what a network sees: scaled, with its settings beside it, in the shape that an embedding takes."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from quincunx.errors import ShapeMismatch, UsageError
from quincunx.learn import Scale
from quincunx.learn.build import Spec

_SETS = ("deepset",)
_SERIES = ("conv1d", "gru", "attention")
_IMAGES = ("conv2d",)


class Conditioning(eqx.Module):
    """(events (n, d_x), mask (n,), design (n, d_design)) -> the condition of a network.

    Three forms: "vector", one scaled outcome with its settings appended; "array", one scaled outcome in the shape
    that the simulator gave it, settings as further channels; "set", `{"events", "mask"}` with the settings of each event
    appended to it.
    """

    x_scale: Scale
    design_scale: Scale
    form: str = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, events: Float[Array, "n dx"], mask: Float[Array, " n"], design: Float[Array, "n dd"]) -> PyTree:
        """The condition for one observation."""
        x = self.x_scale.forward(events)
        settings = self.design_scale.forward(design)
        if self.form == "set":
            return {"events": jnp.concatenate([x, settings], axis=-1), "mask": mask}
        if self.form == "vector":
            return jnp.concatenate([x[0], settings[0]])
        array = x[0].reshape(self.shape)
        channels = jnp.broadcast_to(settings[0], (*self.shape[:-1], settings.shape[-1]))
        return jnp.concatenate([array, channels], axis=-1)


def plan_embedding(
    embedding: Spec | str | None,
    *,
    shape: tuple[int, ...],
    x_size: int,
    design_size: int,
    sets: bool,
    theta_size: int,
) -> tuple[str, tuple[int, ...], dict[str, Any] | None, int]:
    """Fill in the sizes of an embedding: (form, shape of the array, its specification, size of what the network sees).

    Without one, a set gets a deep set and a single outcome goes in as a vector. `out_size` is four numbers a parameter
    unless given. An embedding of one's own takes a vector, or, with `"form": "array"` or `"set"` in its
    specification, those.

    Raises:
        UsageError: for an embedding that cannot take a set, or a set network for single outcomes.
        ShapeMismatch: if the outcome's shape is not one that the embedding takes.

    >>> form, _, spec, size = plan_embedding("conv1d", shape=(50,), x_size=50, design_size=0, sets=False, theta_size=2)
    >>> form, spec, size
    ('array', {'kind': 'conv1d', 'channels': 1, 'out_size': 8}, 8)
    """
    if embedding is None:
        if not sets:
            return "vector", (), None, x_size + design_size
        embedding = "deepset"
    spec = {"kind": embedding} if isinstance(embedding, str) else dict(embedding)
    kind = spec.get("kind")
    form = spec.pop("form", None)
    if form is None:
        attends = kind == "attention" and sets
        form = "set" if kind in _SETS or attends else "array" if kind in (*_SERIES, *_IMAGES) else "vector"
        if attends:
            spec.setdefault("position", False)
    if sets and form != "set":
        raise UsageError(
            f"got embedding '{kind}' for simulations that are sets of events; expected one that takes sets; use "
            "embedding='deepset' or 'attention', or simulate without events="
        )
    if form == "set" and not sets:
        raise UsageError(
            f"got embedding '{kind}', which takes sets, for simulations of single outcomes; expected sets; simulate with "
            "events=n, or leave the embedding out"
        )
    size = max(8, 4 * theta_size)
    array_shape: tuple[int, ...] = ()
    if form == "array":
        array_shape = _with_channels(kind, shape)
        spec.setdefault("channels" if kind in ("conv1d", *_IMAGES) else "in_size", array_shape[-1] + design_size)
    else:
        spec.setdefault("in_size", x_size + design_size)
    spec.setdefault("out_size", size)
    return form, array_shape, spec, int(spec["out_size"])


def _with_channels(kind: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    axes = 1 if kind in _SERIES else 2 if kind in _IMAGES else max(1, len(shape) - 1)
    if len(shape) == axes:
        return (*shape, 1)
    if len(shape) == axes + 1:
        return tuple(shape)
    wanted = "(T,) or (T, channels)" if axes == 1 else "(H, W) or (H, W, channels)"
    raise ShapeMismatch(
        f"got outcomes of shape {tuple(shape)} for embedding '{kind}'; expected {wanted}; reshape the simulator's outcome, "
        "or choose another embedding"
    )
