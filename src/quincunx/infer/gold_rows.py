"""Gold as a network sees it: joint log-ratios, and joint scores in the network's own coordinates of theta."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from quincunx.errors import NoGold
from quincunx.infer.preparation import Preparation, scaled
from quincunx.learn import Scale
from quincunx.model import Prior

MOST_LOG_RATIO = 100.0
MOST_SCORE = 50.0
"""In units of the network's coordinates, which have unit spread: without a bound a few events decide the fit."""


def gold_of(prepared: Preparation, *names: str, method: str) -> Mapping[str, np.ndarray]:
    """The gold of some rows, or a refusal that says how to mine it.

    Raises:
        NoGold: if one of the names is not there.
    """
    have = dict(prepared.rows.gold or {})
    missing = [name for name in names if name not in have]
    if missing:
        ratio = "gold=Reference.spread(prior, 8, key=0)" if set(missing) - {"joint_score"} else "gold=True"
        raise NoGold(
            f"got simulations with the gold {sorted(have)}; expected {list(names)} for {method}; simulate with {ratio}, or let "
            "qx.infer do it"
        )
    return have


def log_ratios(gold: Mapping[str, np.ndarray]) -> Float[np.ndarray, " n"]:
    """Joint log-ratios within +-100.

    >>> log_ratios({"joint_log_ratio": np.array([-np.inf, 3.0], np.float32)}).tolist()
    [-100.0, 3.0]
    """
    return np.clip(np.asarray(gold["joint_log_ratio"], np.float32), -MOST_LOG_RATIO, MOST_LOG_RATIO)


def network_scores(
    score: Float[np.ndarray, "n d"], prior: Prior, scale: Scale, z: Float[np.ndarray, "n du"]
) -> Float[np.ndarray, "n du"]:
    """d log p / dz from d log p / dtheta, by the chain rule through theta(z), within +-50.

    >>> import numpyro.distributions as dist
    >>> prior, scale = Prior(a=dist.Normal(0.0, 1.0)), Scale.fit(np.array([[-2.0], [2.0]]))
    >>> network_scores(np.array([[3.0]], np.float32), prior, scale, np.array([[0.5]], np.float32)).tolist()
    [[6.0]]
    """
    return np.clip(np.asarray(_pulled_back(prior, scale, z, score)), -MOST_SCORE, MOST_SCORE)


def network_points(theta: Float[np.ndarray, "n d"], prior: Prior, scale: Scale) -> Float[np.ndarray, "n du"]:
    """Flat parameters in the network's coordinates.

    >>> import numpyro.distributions as dist
    >>> prior, scale = Prior(a=dist.Normal(0.0, 1.0)), Scale.fit(np.array([[-2.0], [2.0]]))
    >>> network_points(np.array([[4.0]], np.float32), prior, scale).tolist()
    [[2.0]]
    """
    return np.asarray(scaled(scale, np.asarray(prior.to_unconstrained(theta), np.float32)))


@eqx.filter_jit
def _pulled_back(prior: Prior, scale: Scale, z: Any, score: Any) -> Array:
    def one(z: Array, score: Array) -> Array:
        return jax.vjp(lambda point: prior.to_constrained(scale.inverse(point)), z)[1](score)[0]

    return jax.vmap(one)(jnp.asarray(z), jnp.asarray(score, jnp.float32))
