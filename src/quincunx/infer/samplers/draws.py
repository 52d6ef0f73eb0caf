"""What every sampler returns."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from quincunx.notebook import from_fields
from quincunx.values import register


@register("draws")
class Draws(eqx.Module):
    """Draws of a target in unconstrained space, with everything needed to judge them.

    `u` has shape (n, d), or (B, n, d) for B observations. `weights` sum to one, or are None where the draws are equally weighted.
    `diagnostics` holds plain numbers and arrays by
    name: always `reason` ("finished", "budget" or "interrupted"), `seconds`, `ess_bulk` and `ess_tail` (d,), `rhat` (d,), `acceptance`
    and `divergences`; `log_evidence` and `pareto_k` where the sampler has them. `warnings` are sentences, empty if nothing is wrong.

    >>> import jax.numpy as jnp
    >>> draws = Draws(jnp.zeros((3, 2)), None, {"reason": "finished"}, "smc")
    >>> draws.n, draws.dim
    (3, 2)
    """

    u: Float[Array, "*B n d"]
    weights: Float[Array, "*B n"] | None
    diagnostics: dict[str, Any]
    sampler: str = eqx.field(static=True)
    warnings: tuple[str, ...] = eqx.field(static=True, default=())

    @property
    def n(self) -> int:
        """How many draws there are."""
        return self.u.shape[-2]

    @property
    def dim(self) -> int:
        """The dimension of the unconstrained space."""
        return self.u.shape[-1]

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What is written to a file: numbers and words as JSON, arrays as arrays."""
        plain = {name: value for name, value in self.diagnostics.items() if np.ndim(value) == 0}
        arrays = {
            f"diagnostics/{name}": np.asarray(value) for name, value in self.diagnostics.items() if np.ndim(value) > 0
        }
        arrays["u"] = np.asarray(self.u)
        if self.weights is not None:
            arrays["weights"] = np.asarray(self.weights)
        return {"sampler": self.sampler, "warnings": list(self.warnings), "diagnostics": plain}, arrays

    @classmethod
    def from_state(cls, spec: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Draws":
        """Rebuild the value that `to_state` described."""
        head = "diagnostics/"
        diagnostics = spec["diagnostics"] | {
            name[len(head) :]: value for name, value in arrays.items() if name.startswith(head)
        }
        weights = jnp.asarray(arrays["weights"]) if "weights" in arrays else None
        return cls(jnp.asarray(arrays["u"]), weights, diagnostics, spec["sampler"], tuple(spec["warnings"]))

    _repr_html_ = from_fields
