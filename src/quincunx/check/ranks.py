"""Ranks of the truth among draws, ties broken at random."""

import jax
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray
from scipy.stats import norm


def random_ranks(
    truth: Float[np.ndarray, " n"], draws: Float[np.ndarray, "n L"], *, key: PRNGKeyArray
) -> Int[np.ndarray, " n"]:
    """The rank of each truth among its own L draws, in {0, ..., L}: #{draws < truth} and a random share of its equals.

    Uniform whenever truth and draws are exchangeable, whether or not they are continuous. NaN draws count as below
    everything.

    >>> import jax, numpy as np
    >>> random_ranks(np.array([0.5, 2.0]), np.array([[0.0, 1.0], [0.0, 1.0]]), key=jax.random.key(0)).tolist()
    [1, 2]
    """
    truth = np.where(np.isnan(truth), -np.inf, truth)[:, None]
    draws = np.where(np.isnan(draws), -np.inf, draws)
    below = np.sum(draws < truth, axis=1)
    tied = np.sum(draws == truth, axis=1)
    share = np.asarray(jax.random.uniform(key, (len(truth),)), dtype=float)
    return below + np.minimum(np.floor(share * (tied + 1)).astype(below.dtype), tied)


def jittered(ranks: Int[np.ndarray, " n"], draws: int, *, key: PRNGKeyArray) -> Float[np.ndarray, " n"]:
    """(rank + U) / (L + 1) with U uniform: exactly U(0, 1) under exchangeability, so that continuous tests apply.

    >>> import jax, numpy as np
    >>> u = jittered(np.array([0, 9]), 9, key=jax.random.key(0))
    >>> bool(u[0] < 0.1), bool(u[1] > 0.9)
    (True, True)
    """
    noise = np.asarray(jax.random.uniform(key, (len(ranks),)), dtype=float)
    return (np.asarray(ranks) + noise) / (draws + 1)


def rank_effects(ranks: Int[np.ndarray, " n"], draws: int) -> dict[str, float]:
    """How wrong a one-dimensional posterior is, as a bias and an inflation.

    With z = Phi^{-1}((rank + 1/2) / (L + 1)), a Gaussian answer displaced by b and wider by a factor s has z ~ N(-b /
    sd_q, 1 / s^2), so the bias is -mean(z) in units of the answer's standard deviation and the inflation of the
    standard deviation is 1 / sd(z), corrected for what uniform ranks give.

    >>> import numpy as np
    >>> effects = rank_effects(np.arange(100), 99)
    >>> round(effects["bias in sd"], 3), round(effects["sd inflation"], 3)
    (0.0, 1.0)
    """
    cells = draws + 1
    scores = norm.ppf((np.arange(cells) + 0.5) / cells)
    z = scores[np.asarray(ranks)]
    spread = float(np.std(z))
    nominal = float(np.sqrt(np.mean(scores**2)))
    return {"bias in sd": float(-np.mean(z)), "sd inflation": nominal / spread if spread > 0 else float("inf")}
