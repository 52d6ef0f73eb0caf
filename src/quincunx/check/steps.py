"""Steps to either side of a parameter point, for finite differences of a simulator's own averages."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from quincunx.check.mined import outcomes
from quincunx.model import Prior, Simulator

__all__ = ["step_lengths", "stepped"]

STEP = 0.4
"""The shorter step, in units of 1 / sd(t), which no statistic of x can resolve with one simulation."""

_HALVINGS = 60
_THINNER = 2.0


def step_lengths(
    prior: Prior, point: Float[np.ndarray, " dim"], score: Float[np.ndarray, "n dim"]
) -> Float[np.ndarray, " dim"]:
    """The shorter step of each parameter: `STEP` / sd(t), halved until both steps end where the prior is not much thinner.

    >>> import numpyro.distributions as dist
    >>> score = np.array([[-2.0], [2.0]])
    >>> step_lengths(Prior(a=dist.Uniform(0.0, 1.0)), np.array([0.5]), score), step_lengths(Prior(a=dist.Uniform(0.0, 9.0)), np.array([0.5]), score)
    (array([0.2]), array([0.2]))
    """
    starts = STEP / np.maximum(score.std(axis=0), 1e-6 / (1 + np.abs(point)))
    halved = starts * 0.5 ** np.arange(_HALVINGS)[:, None]
    found = []
    for i, axis in enumerate(np.eye(len(point))):
        shifts = 2 * halved[:, i, None, None] * axis * np.array([[1.0], [-1.0]])
        levels = np.asarray(
            prior.log_prob_flat(np.concatenate([(point + shifts).reshape(-1, len(point)), point[None]]))
        )
        near = (levels[:-1].reshape(-1, 2) >= levels[-1] - _THINNER).all(axis=1)
        found.append(halved[int(np.argmax(near)), i])
    return np.array(found)


def stepped(
    simulator: Simulator,
    here: Float[np.ndarray, "n dim"],
    lengths: Float[np.ndarray, " dim"],
    design: Mapping[str, Any] | None,
    key: PRNGKeyArray,
) -> Float[np.ndarray, "dim 4 n F"]:
    """Outcomes one and two steps to either side of theta in each parameter, with common keys: at +h, -h, +2h, -2h.

    >>> import numpyro.distributions as dist
    >>> from quincunx.model import wrap
    >>> bell = wrap(lambda theta, *, key: theta["mu"] + jax.random.normal(key, (1,)), Prior(mu=dist.Normal(0.0, 1.0)))
    >>> steps = stepped(bell, np.zeros((5, 1)), np.array([0.5]), None, jax.random.key(0))
    >>> steps.shape, (steps[0, 0] - steps[0, 3]).round(3).ravel().tolist()
    ((1, 4, 5, 1), [1.5, 1.5, 1.5, 1.5, 1.5])
    """
    found = []
    for i, length in enumerate(lengths):
        keys = jax.random.split(jax.random.fold_in(key, i), len(here))
        shift = np.eye(len(lengths))[i] * length
        found.append([outcomes(simulator, here + by * shift, keys=keys, design=design) for by in (1, -1, 2, -2)])
    return np.array(found)
