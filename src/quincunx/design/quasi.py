"""Parameters that fill a prior evenly: scrambled Sobol points through its quantiles, in several independent scramblings."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Float, PRNGKeyArray
from scipy import special
from scipy.stats import qmc

from quincunx.errors import UsageError
from quincunx.model import Prior
from quincunx.model.precision import double_scope

__all__ = ["SCRAMBLINGS", "quasi_draws"]

SCRAMBLINGS = 16
"""Independent scramblings, between which the error is seen; each of a power of two points."""

_EDGE = 2.0**-33


def quasi_draws(prior: Prior, n: int, key: PRNGKeyArray) -> Float[np.ndarray, "m d"]:
    """m <= n draws of a prior, one scrambling after another: 16 of 2^k scrambled Sobol points each (Owen 1997), through the prior's quantiles.

    Every single row is a draw of the prior, so that means over rows have no bias. Rows of one scrambling avoid each other, which takes from a mean
    what varies smoothly with theta; scramblings are independent, so that their means have an error that can be seen.

    Raises:
        UsageError: for fewer than 32 draws, a restricted prior, or a distribution whose quantiles are not known.

    >>> import numpyro.distributions as dist
    >>> draws = quasi_draws(Prior(mu=dist.Normal(0.0, 1.0)), 1024, jax.random.key(0))
    >>> bool(abs(draws.mean()) < 0.005)                                      # the mean of 1024 random ones has an error of 0.03
    True
    """
    if n < 2 * SCRAMBLINGS:
        raise UsageError(f"got n={n} with draws='sobol'; expected at least {2 * SCRAMBLINGS}; choose a larger n")
    if prior.region is not None:
        raise UsageError(
            "got a restricted prior with draws='sobol'; expected one whose quantiles are known; take draws='random'"
        )
    each = 1 << int(np.log2(n // SCRAMBLINGS))
    parts = []
    for i in range(SCRAMBLINGS):
        rng = np.random.default_rng(np.asarray(jax.random.key_data(jax.random.fold_in(key, i))))
        parts.append(qmc.Sobol(prior.dim, rng=rng).random(each))
    u = np.clip(np.concatenate(parts), _EDGE, 1.0 - _EDGE)
    columns, first = [], 0
    for name, block in prior.distributions.items():
        size = int(np.prod(block.event_shape, dtype=int))
        columns.append(_quantiles(name, block, u[:, first : first + size]))
        first += size
    return np.concatenate(columns, axis=1)


def _quantiles(name: str, block: dist.Distribution, u: Float[np.ndarray, "n s"]) -> Float[np.ndarray, "n s"]:
    """Quantiles of the independent numbers of one parameter."""
    shaped = u.reshape(len(u), *block.event_shape)
    base = block
    while isinstance(base, dist.Independent):
        base = base.base_dist
    if isinstance(base, dist.MultivariateNormal):
        found = np.asarray(base.loc) + special.ndtri(shaped) @ np.asarray(base.scale_tril, np.float64).T
    elif isinstance(base, dist.Gamma):
        found = special.gammaincinv(np.asarray(base.concentration, np.float64), shaped) / np.asarray(base.rate)
    elif isinstance(base, dist.Beta):
        sizes = (np.asarray(c, np.float64) for c in (base.concentration1, base.concentration0))
        found = special.betaincinv(*sizes, shaped)
    elif isinstance(base, dist.StudentT):
        found = np.asarray(base.loc) + np.asarray(base.scale) * special.stdtrit(np.asarray(base.df, np.float64), shaped)
    else:
        try:
            with double_scope():
                found = np.asarray(base.icdf(jnp.asarray(shaped)), np.float64)
        except (NotImplementedError, ImportError) as error:
            raise UsageError(
                f"got a {type(base).__name__} for '{name}' with draws='sobol'; expected a distribution whose quantiles are known; take draws='random'"
            ) from error
    return found.reshape(u.shape)
