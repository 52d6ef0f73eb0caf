"""What is exactly known of something hidden, once parameters and outcome are given."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, PRNGKeyArray

from quincunx.model.simulator import rng_from_key
from quincunx.notebook import from_repr
from quincunx.values import as_key


@dataclasses.dataclass(frozen=True, eq=False)
class LatentPosterior:
    """p(latent | theta, x) of one hidden quantity, in float64: its moments, density, distribution function and exact draws.

    `density` and `cdf` take an array of values; `draw(size, rng)` is behind `sample`.

    >>> wait = LatentPosterior(1.0, 1.0, lambda t: np.exp(-t), lambda t: -np.expm1(-t), lambda n, rng: rng.exponential(size=n))
    >>> wait.sample(3, key=0).shape
    (3,)
    """

    mean: float
    sd: float
    density: Callable[[Float[np.ndarray, " t"]], Float[np.ndarray, " t"]]
    cdf: Callable[[Float[np.ndarray, " t"]], Float[np.ndarray, " t"]]
    draw: Callable[[int, np.random.Generator], Float[np.ndarray, " n"]]

    def sample(self, n: int, *, key: int | PRNGKeyArray) -> Float[np.ndarray, " n"]:
        """n independent exact draws."""
        return self.draw(n, rng_from_key(as_key(key)))

    def __repr__(self) -> str:
        return f"LatentPosterior(mean {self.mean:.6g}, sd {self.sd:.6g})"

    _repr_html_ = from_repr


Latents = Callable[[Any, Any], dict[str, LatentPosterior]]
