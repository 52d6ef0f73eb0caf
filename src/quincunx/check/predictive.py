"""Could the model have produced the observation? Replicated data against the observed, before and after learning."""

import numpy as np
from jaxtyping import Float
from scipy.spatial.distance import cdist

from quincunx.check.result import TestResult
from quincunx.check.tail import tail_probability

MOST_REPLICATES = 2000


def tail_areas(replicates: Float[np.ndarray, "n F"], observed: Float[np.ndarray, " F"]) -> Float[np.ndarray, " F"]:
    """Two-sided tail area of each summary of the observation among the replicates, ties counted half.

    p_k = 2 min(P(rep_k <= obs_k), P(rep_k >= obs_k)), each (1/2 + #below + #ties / 2) / (n + 1).

    >>> import numpy as np
    >>> tail_areas(np.arange(99.0)[:, None], np.array([49.0])).tolist()
    [1.0]
    """
    n = len(replicates)
    ties = 0.5 * np.sum(replicates == observed, axis=0)
    below = np.sum(replicates < observed, axis=0) + ties
    above = np.sum(replicates > observed, axis=0) + ties
    return np.minimum(1.0, 2.0 * (np.minimum(below, above) + 0.5) / (n + 1))


def predictive_check(
    replicates: Float[np.ndarray, "n F"],
    observed: Float[np.ndarray, " F"],
    *,
    name: str = "posterior predictive",
    columns: tuple[str, ...] | None = None,
) -> TestResult:
    """Compare an observation with replicates of it, all together and column by column.

    Two statistics of the robustly scaled data, each against its own value for every replicate in the place of the
    observation: the energy term mean_j |x - x_j| and the most extreme column; p = 2 min of the two, at most 1. Drawn
    from the prior, replicates make p exact; drawn from the posterior, which has seen the observation, p is
    conservative. Effects: the farthest column in robust standard deviations and its tail area.

    >>> import numpy as np
    >>> rep = np.random.default_rng(0).normal(size=(300, 2))
    >>> predictive_check(rep, np.array([0.3, -1.0])).status, predictive_check(rep, np.array([0.3, 50.0])).status
    ('pass', 'fail')
    """
    replicates = np.asarray(replicates, float)[:MOST_REPLICATES]
    together = np.concatenate([np.asarray(observed, float)[None], replicates])
    centre = np.median(together, axis=0)
    spread = 1.4826 * np.median(np.abs(together - centre), axis=0)
    fallback = np.std(together, axis=0)
    spread = np.where(spread > 0, spread, np.where(fallback > 0, fallback, 1.0))
    scaled = (together - centre) / spread
    extreme = np.max(np.abs(scaled), axis=1)
    energy = cdist(scaled, scaled).sum(axis=1) / len(replicates)
    p_energy, p_extreme = (tail_probability(float(s[0]), s[1:]) for s in (energy, extreme))
    areas = tail_areas(replicates, together[0])
    worst = int(np.argmax(np.abs(scaled[0])))
    label = columns[worst] if columns is not None else f"column {worst}"
    return TestResult(
        name=name,
        question="Does replicated data look like the observation?",
        p_value=min(1.0, 2.0 * min(p_energy, p_extreme)),
        statistic=float(energy[0]),
        n=len(replicates),
        effects={
            "farthest column in robust sd": float(scaled[0, worst]),
            "its tail area": float(areas[worst]),
            "energy over that of a replicate": float(energy[0] / max(np.median(energy[1:]), 1e-300)),
        },
        note=f"farthest: {label}",
        detail={"tail_areas": areas, "energy": energy, "observed": together[0], "replicates": replicates},
    )
