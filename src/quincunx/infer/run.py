"""Draws of a posterior with the record of how they were made."""

from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from quincunx.notebook import from_fields


class Run(eqx.Module):
    """n flat draws, and everything needed to judge them.

    `diagnostics` always has `sampler` and `reason`; samplers that are not direct add `ess_bulk`, `ess_tail`, `rhat`, `divergences`,
    `acceptance`, `pareto_k` and `log_evidence` where they have them. `warnings` are sentences.

    >>> import jax.numpy as jnp
    >>> Run(jnp.zeros((3, 1)), {"sampler": "direct", "reason": "finished"}).ess is None
    True
    """

    theta: Float[Array, "n d"]
    diagnostics: dict[str, Any]
    warnings: tuple[str, ...] = eqx.field(static=True, default=())

    @property
    def ess(self) -> np.ndarray | None:
        """Bulk effective sample size by column, or None if the draws are independent."""
        return self._by_column("ess_bulk")

    @property
    def r_hat(self) -> np.ndarray | None:
        """Rank-normalised split R-hat by column, or None if the draws are independent."""
        return self._by_column("rhat")

    def _by_column(self, name: str) -> np.ndarray | None:
        values = self.diagnostics.get(name)
        if values is None:
            return None
        values = np.asarray(values, float)
        # coordinates of a simplex have one fewer in unconstrained space: the worst of them speaks for all
        if values.shape == (self.theta.shape[-1],):
            return values
        worst = np.nanmax(values) if name == "rhat" else np.nanmin(values)
        return np.full(self.theta.shape[-1], worst)

    _repr_html_ = from_fields
