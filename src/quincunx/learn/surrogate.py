"""What learning leaves behind: fitted networks, the functional they minimise, and the scales they were fitted under."""

import json
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from quincunx.errors import CorruptFile
from quincunx.learn.build import Spec, skeleton
from quincunx.learn.fit import Fit
from quincunx.learn.scale import Scale
from quincunx.notebook import from_repr
from quincunx.values import pack, register, unpack


@register("surrogate")
class Surrogate(eqx.Module):
    """A fitted ensemble with all that is needed to use it elsewhere.

    `model` is the network with a leading member axis on every array; `spec` describes it, so that a file needs no code;
    `functional` names what was minimised; `scales` holds the standardisation of each of its inputs, by name.

    >>> import jax
    >>> from quincunx.learn import FitSettings, build, fit
    >>> from quincunx.learn.functionals import NegativeLogDensity
    >>> spec = {"kind": "gaussian", "dim": 1, "condition_dim": 1, "width": 4, "depth": 1}
    >>> data = {"y": jax.numpy.ones((64, 1)), "c": jax.numpy.zeros((64, 1))}
    >>> result = fit(NegativeLogDensity(), lambda k: build(spec, key=k), data, key=jax.random.key(0),
    ...              settings=FitSettings(epochs=1, batch_size=32), members=2)
    >>> Surrogate.of(result, spec, "negative_log_density", {})
    Surrogate(gaussian, minimises negative_log_density, 2 members, 1 epochs)
    """

    model: PyTree
    spec_json: str = eqx.field(static=True)
    functional: str = eqx.field(static=True)
    scales: dict[str, Scale]
    history: dict[str, np.ndarray]
    best_loss: np.ndarray
    best_epoch: np.ndarray
    stopped: str = eqx.field(static=True)
    cpu_seconds: float = eqx.field(static=True)

    @classmethod
    def of(cls, result: Fit, spec: Spec, functional: str, scales: dict[str, Scale]) -> "Surrogate":
        """Close a finished fit over the specification and the scales it was made with."""
        return cls(
            result.model,
            json.dumps(spec, sort_keys=True),
            functional,
            scales,
            result.history,
            result.best_loss,
            result.best_epoch,
            result.stopped,
            result.cpu_seconds,
        )

    @property
    def spec(self) -> dict[str, Any]:
        """The network's specification."""
        return json.loads(self.spec_json)

    @property
    def members(self) -> int:
        """How many networks the ensemble has."""
        return len(self.best_loss)

    def __repr__(self) -> str:
        kind = self.spec.get("density", self.spec)["kind"]
        return (
            f"Surrogate({kind}, minimises {self.functional}, {self.members} members, "
            f"{len(self.history['train'])} epochs)"
        )

    def to_state(self) -> tuple[dict, dict[str, np.ndarray]]:
        """What a file holds of it."""
        leaves = jax.tree.leaves(eqx.filter(self.model, eqx.is_array))
        arrays = {f"model/{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
        arrays |= {f"history/{name}": values for name, values in self.history.items()}
        arrays |= {"best_loss": self.best_loss, "best_epoch": self.best_epoch}
        packed = {}
        for name, scale in self.scales.items():
            packed[name], more = pack(scale, f"scales/{name}")
            arrays |= more
        spec = {
            "network": self.spec,
            "functional": self.functional,
            "scales": packed,
            "history": sorted(self.history),
            "stopped": self.stopped,
            "cpu_seconds": self.cpu_seconds,
        }
        return spec, arrays

    @classmethod
    def from_state(cls, spec: dict, arrays: dict[str, np.ndarray]) -> "Surrogate":
        """The inverse of `to_state`. Raises `CorruptFile` when the arrays do not fit the network described."""
        members = len(arrays["best_loss"])
        shapes, static = eqx.partition(skeleton(spec["network"]), lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))
        slots, structure = jax.tree.flatten(shapes)
        saved = [arrays[f"model/{i}"] for i in range(len(slots))]
        for i, (slot, array) in enumerate(zip(slots, saved, strict=True)):
            if array.shape != (members, *slot.shape):
                raise CorruptFile(
                    f"array {i} of the saved network has shape {array.shape}, expected {(members, *slot.shape)}; "
                    "the file is damaged or was edited: fit and save again"
                )
        model = eqx.combine(jax.tree.unflatten(structure, [jnp.asarray(a) for a in saved]), static)
        scales = {name: unpack(packed, arrays, f"scales/{name}") for name, packed in spec["scales"].items()}
        history = {name: arrays[f"history/{name}"] for name in spec["history"]}
        return cls(
            model,
            json.dumps(spec["network"], sort_keys=True),
            spec["functional"],
            scales,
            history,
            arrays["best_loss"],
            arrays["best_epoch"],
            spec["stopped"],
            spec["cpu_seconds"],
        )

    _repr_html_ = from_repr
