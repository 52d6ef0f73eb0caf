"""Draws as flat columns: parameters, and what is derived from them."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from quincunx.errors import NameMismatch, ShapeMismatch


class Columns:
    """Names, units and bounds of the columns, and draws by name brought into them, wherever they come from.

    `derive` takes one draw by name to numbers by name, in JAX.

    Raises:
        NameMismatch: if a derived quantity takes a parameter's name.
        ShapeMismatch: if it is more than one number.

    >>> import numpyro.distributions as dist
    >>> from quincunx.model import Prior
    >>> prior = Prior(beta=dist.Uniform(0.0, 5.0), gamma=dist.Uniform(0.0, 2.0))
    >>> table = Columns(prior, lambda theta: {"R0": theta["beta"] / theta["gamma"]}, {})
    >>> table.columns, table.of({"beta": np.ones(1), "gamma": np.full(1, 0.5)}, "draws").tolist()
    (['beta', 'gamma', 'R0'], [[1.0, 0.5, 2.0]])
    """

    def __init__(self, prior: Any, derive: Callable[..., Any] | None, derived_units: dict[str, str]):
        self.prior, self.derive = prior, derive
        one = prior.unflatten(np.zeros(len(prior.columns), np.float32))
        said = {} if derive is None else jax.eval_shape(derive, one)
        clash = [name for name in said if name in prior.names or name in prior.columns]
        if clash:
            raise NameMismatch(f"got derived {', '.join(clash)}; expected names that no parameter has; rename them")
        wrong = {name: value.shape for name, value in said.items() if value.shape != ()}
        if wrong:
            raise ShapeMismatch(f"got derived {wrong}; expected one number each of one draw; name every component")
        self.columns = [*prior.columns, *said]
        self.units = {**dict(prior.units or {}), **derived_units}
        self.bounds = prior.bounds + [(-np.inf, np.inf)] * len(said)

    def of(self, theta: Mapping[str, Any], what: str) -> Float[np.ndarray, "n d"]:
        """Draws by name as columns (n, d)."""
        missing = [name for name in self.prior.names if name not in theta]
        if missing:
            wanted = ", ".join(self.prior.names)
            raise NameMismatch(f"got {what} without {', '.join(missing)}; expected {wanted}; add them")
        named = {name: np.asarray(theta[name], np.float32) for name in self.prior.names}
        n = len(next(iter(named.values())))
        columns = [np.asarray(theta[name], float).reshape(n, -1) for name in named]
        if self.derive is not None:
            columns += [np.asarray(values, float)[:, None] for values in jax.vmap(self.derive)(named).values()]
        return np.concatenate(columns, axis=1)
