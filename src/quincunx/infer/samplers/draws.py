"""What every sampler returns."""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Float


class Draws(eqx.Module):
    """Draws of a target in unconstrained space, with everything needed to judge them.

    `u` has shape (n, d). `weights` sum to one, or are None where the draws are equally weighted. `diagnostics` holds plain numbers and arrays by
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
