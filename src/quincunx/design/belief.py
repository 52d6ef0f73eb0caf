"""What is believed about the parameters before the next experiment, as draws."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from quincunx.errors import ImproperBelief, ShapeMismatch, UsageError
from quincunx.infer import Posterior
from quincunx.infer.likelihood import flat_double, named_double
from quincunx.model import Prior
from quincunx.notebook import from_repr
from quincunx.values import as_key

__all__ = ["Belief"]


@dataclass(frozen=True, eq=False, repr=False)
class Belief:
    """Draws of p(theta | history), (n, d) in the flat order of the prior and in no order among themselves.

    Whatever is learned from one experiment after others is learned with the posterior's draws in the place of the prior's. `from_prior` says that
    they are draws of the prior itself, whose density is known and whose parameters are independent.

    Raises:
        ImproperBelief: for draws that are not finite. ShapeMismatch: for draws of another dimension than the prior's.

    >>> import numpyro.distributions as dist
    >>> Belief.of(Prior(mu=dist.Normal(0.0, 1.0)), 100, 0)
    Belief(100 draws of mu)
    """

    prior: Prior
    draws: Float[np.ndarray, "n d"]
    from_prior: bool = False

    def __post_init__(self) -> None:
        if self.draws.shape[1] != self.prior.dim or not len(self.draws):
            raise ShapeMismatch(
                f"got draws of shape {self.draws.shape}; expected (n, {self.prior.dim}), at least one, for {list(self.prior.columns)}"
            )
        if not np.all(np.isfinite(self.draws)):
            raise ImproperBelief(
                "got draws that are not finite; expected those of a proper distribution: of an improper prior any experiment teaches "
                "infinitely much; bound the prior, or condition it on data first"
            )

    @classmethod
    def of(
        cls,
        source: Any,
        n: int,
        key: PRNGKeyArray | int,
        *,
        prior: Prior | None = None,
        weights: Float[np.ndarray, " m"] | None = None,
    ) -> "Belief":
        """n shuffled draws of a prior or a posterior, or of draws by name that were made before, with `weights` if they have any.

        Draws by name need `prior=`, which says their order; without weights they are all kept where there are fewer than n.

        Raises:
            ImproperBelief: for what cannot be drawn from, or has draws that are not finite. NameMismatch, ShapeMismatch: for draws that are
            not the prior's. UsageError: for draws without a prior.
        """
        k_draw, k_shuffle = jax.random.split(as_key(key))
        rng = np.random.default_rng(np.asarray(jax.random.key_data(k_shuffle)))
        if isinstance(source, Belief):
            return cls(source.prior, source.draws[:n], source.from_prior)
        if isinstance(source, Prior):
            draws = np.asarray(source.sample_flat(n, key=k_draw), np.float64)
            return cls(source, draws, True)
        if isinstance(source, Posterior):
            draws = np.asarray(source.run(n, key=k_draw).theta, np.float64)
            return cls(source.prior, rng.permutation(draws))
        if not isinstance(source, Mapping):
            raise ImproperBelief(
                f"got a {type(source).__name__} as belief; expected a Prior, a posterior or draws by name, of a proper distribution"
            )
        if prior is None:
            raise UsageError("got draws without a prior; expected one, for their order; pass prior=")
        draws = flat_double(prior, source)
        if draws.ndim != 2:
            raise ShapeMismatch(f"got draws with leading axes {draws.shape[:-1]}; expected one; flatten the chains")
        if weights is None:
            return cls(prior, rng.permutation(draws)[:n])
        share = np.asarray(weights, np.float64) / np.sum(weights)
        # systematic resampling: a draw of weight w comes floor(n w) or ceil(n w) times
        rows = np.searchsorted(np.cumsum(share), (rng.random() + np.arange(n)) / n).clip(max=len(draws) - 1)
        return cls(prior, rng.permutation(draws[rows]))

    def named(self) -> dict[str, Float[np.ndarray, "..."]]:
        """The draws by name."""
        return named_double(self.prior, self.draws)

    def __len__(self) -> int:
        return len(self.draws)

    def __repr__(self) -> str:
        return f"Belief({len(self)} draws of {', '.join(self.prior.names)})"

    _repr_html_ = from_repr
