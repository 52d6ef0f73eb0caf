"""From simulations that tell their log-probabilities at declared points to the labelled table that ratios are learned from."""

from dataclasses import replace

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from quincunx.errors import NoGold, UsageError
from quincunx.model.simulator import Simulator
from quincunx.model.told import Told
from quincunx.run.mining import check_gold_values
from quincunx.run.simulations import Simulations
from quincunx.values import as_key

__all__ = ["pair_told"]


def pair_told(
    sims: Simulations, simulator: Simulator, *, reference: int = 0, key: int | np.integer | PRNGKeyArray
) -> Simulations:
    """Label simulations of the points at which a simulator tells log p(x, z | theta_k), one of which is the reference.

    Rows simulated at the point of the number `reference` get the label 0 and as theta another point, drawn in proportion to the rows there are of
    each; rows simulated at any other point get the label 1 and keep theirs. Both get

        joint_log_ratio = log p(x, z | theta) - log p(x, z | theta_reference).

    Rows labelled 0 keep no score (zeros): theirs was told at another theta. Failed rows stay, and say nothing.

    Args:
        sims: simulations at the declared points with gold=True, any number of each: `simulate(simulator, theta=..., gold=True, key=0)`.
        simulator: the one they are of, with its `Told`.

    Raises:
        NoGold: if the simulator declares no log-probabilities, or the simulations carry none.
        UsageError: for a reference that is no number of a point, a row at none of the points, or rows at fewer than two of them.
        OutsideReference: for a row that cannot happen under the reference. NonFiniteGold: for a ratio that is NaN.

    >>> import numpyro.distributions as dist, quincunx as qx
    >>> from quincunx.model import Told
    >>> points = np.array([0.0, 1.0])
    >>> def bell(theta, *, rng):
    ...     x = theta["mu"] + rng.normal()
    ...     return {"x": [x], "terms": -0.5 * (x - points) ** 2}
    >>> simulator = qx.wrap(bell, qx.Prior(mu=dist.Normal(0.0, 1.0)), gold=Told(log_probs="terms", at=[{"mu": 0.0}, {"mu": 1.0}]))
    >>> sims = qx.simulate(simulator, theta={"mu": np.repeat(points, 50)}, gold=True, key=0)
    >>> table = pair_told(sims, simulator, key=1)
    >>> sorted(table.gold), np.unique(table.theta["mu"]).tolist(), float(table.gold["label"].mean())
    (['joint_log_ratio', 'label'], [1.0], 0.5)
    """
    told = simulator.gold
    if not isinstance(told, Told) or told.log_probs is None:
        raise NoGold(
            f"simulator '{simulator.name}' tells no log-probabilities; expected gold=Told(log_probs=..., at=[...]); declare them"
        )
    if sims.gold is None or "log_probs" not in sims.gold:
        raise NoGold(
            f"got simulations with the gold {sorted(sims.gold or {})}; expected log_probs; simulate with gold=True"
        )
    points = told.points(simulator.prior)
    if not 0 <= reference < len(points):
        raise UsageError(
            f"got reference={reference}; expected the number of one of the {len(points)} declared points, counted from 0; choose one"
        )
    own = _numbers(sims, points)
    counts = np.bincount(own, minlength=len(points)).astype(float)
    counts[reference] = 0.0
    drawn_from = own == reference
    if not counts.any() or not drawn_from.any():
        raise UsageError(
            f"got {int(drawn_from.sum())} rows at the reference and {int(counts.sum())} at other points; expected some of both; simulate at the "
            "reference and at one other declared point at least"
        )
    others = jax.random.choice(as_key(key), len(points), (len(sims),), p=counts / counts.sum())
    numerator = np.where(drawn_from, np.asarray(others), own)
    log_probs = np.asarray(sims.gold["log_probs"])
    if log_probs.ndim != 2:
        raise UsageError(
            f"got log-probabilities of shape {log_probs.shape}, of sets of events; expected single outcomes; leave events out"
        )
    rows = np.arange(len(sims))
    with np.errstate(invalid="ignore"):
        ratio = log_probs[rows, numerator] - log_probs[rows, reference]
    label = (~drawn_from).astype(np.float32)
    gold = {"joint_log_ratio": ratio, "label": label}
    if "joint_score" in sims.gold:
        gold["joint_score"] = np.where(drawn_from[:, None], np.float32(0.0), np.asarray(sims.gold["joint_score"]))
    theta = {name: np.asarray(value) for name, value in simulator.prior.unflatten(points[numerator]).items()}
    check_gold_values(gold, theta, ~sims.failed, simulator.name)
    return replace(sims, theta=theta, gold=gold)


def _numbers(sims: Simulations, points: np.ndarray) -> np.ndarray:
    """Which of the points each row was simulated at."""
    same = (sims.theta_flat()[:, None] == points[None]).all(axis=2)
    strange = np.flatnonzero(~same.any(axis=1))
    if strange.size:
        at = sims.theta_flat()[strange[0]].tolist()
        raise UsageError(
            f"got {strange.size} of {len(sims)} rows at other parameters than the declared points, first row {int(strange[0])} at {at}; expected "
            f"one of {points.tolist()}; simulate with theta= these points"
        )
    return same.argmax(axis=1)
