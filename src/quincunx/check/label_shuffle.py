"""What a method learns where there is nothing to learn: trained on shuffled labels, a ratio must be one."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray
from scipy.stats import t as student_t

from quincunx.check.features import Features, data_columns
from quincunx.check.learned_identities import with_bias
from quincunx.check.result import TestResult
from quincunx.errors import TooFewSimulations, UsageError
from quincunx.infer.method import Method, method_named
from quincunx.model import Prior
from quincunx.run import Simulations
from quincunx.values import as_key

__all__ = ["label_shuffle", "shuffled"]

_FEWEST = 200
_COLUMNS = 3


def label_shuffle(
    method: str | Method | Callable[..., Any],
    sims: Simulations,
    prior: Prior,
    *,
    key: int | PRNGKeyArray,
    refits: int = 4,
) -> TestResult:
    """Refit a method on simulations whose outcomes have been dealt out at random, so that x knows nothing of theta, label or gold: r^ = 1.

    Every refit has its own shuffle, learns from three quarters of the rows, and is asked at the others for a = tanh(log r^ / 2), the difference of the
    chances that it gives to either class, bounded and zero for r^ = 1. Noise of training has no preferred sign: over `refits` the mean of a, and its
    products with the parameters and the first columns of x, are zero by Student's t (with Bonferroni's correction). Offsets that always have the same sign
    are not noise: wrong odds of the classes, labels that leak by the order of rows, a loss whose minimiser is not the ratio.

    `method` is a method, its name, or a function fit(sims, prior, key=) of an estimator. A ratio is asked as it was learned; a likelihood at two theta.
    "spread of log r^" is the root mean square, the noise itself: below it, no learned log-ratio of as many simulations means anything.

    Raises:
        UsageError: for fewer than three refits, or an estimator without ratios.
        TooFewSimulations: for fewer than 200 finite simulations. Others as the method's `fit`.

    >>> import numpyro.distributions as dist
    >>> class Guess:
    ...     term = "ratio"
    ...     def __init__(self, offset): self.offset = offset
    ...     def log_likelihood(self, theta, x): return self.offset + 0.0 * theta["mu"]
    >>> rng, prior = np.random.default_rng(0), Prior(mu=dist.Normal(0.0, 1.0))
    >>> sims = Simulations.of({"mu": rng.normal(size=400)}, rng.normal(size=(400, 1)), prior=prior)
    >>> fair = lambda sims, prior, *, key: Guess(0.1 * float(jax.random.normal(key)))
    >>> odd = lambda sims, prior, *, key: Guess(1.0 + 0.1 * float(jax.random.normal(key)))
    >>> label_shuffle(fair, sims, prior, key=0).status, label_shuffle(odd, sims, prior, key=0).status
    ('pass', 'fail')

    Source: 1805.00020.
    """
    if refits < 3:
        raise UsageError(f"got refits = {refits}; expected at least 3, whose scatter can be told; leave it out for 4")
    sims = sims.valid()
    if len(sims) < _FEWEST:
        raise TooFewSimulations(
            f"got {len(sims)} finite simulations to shuffle; expected at least {_FEWEST}; simulate more"
        )
    fit = method.fit if isinstance(method, Method) else method_named(method).fit if isinstance(method, str) else method
    scale = Features.fit(data_columns(sims.x, sets=sims.events), most=_COLUMNS)
    averages, squares, logs = [], [], []
    k_split, k_refits = jax.random.split(as_key(key))
    # The same rows in every refit: what depends on their labels alone is compiled once.
    order = np.random.default_rng(np.asarray(jax.random.key_data(k_split)).ravel()).permutation(len(sims))
    first, last = np.split(order, [3 * len(order) // 4])
    for each in jax.random.split(k_refits, refits):
        k_shuffle, k_fit = jax.random.split(each)
        rng = np.random.default_rng(np.asarray(jax.random.key_data(k_shuffle)).ravel())
        dealt = shuffled(sims, rng.permutation(len(sims)))
        train, held = dealt[first], dealt[last]
        log_r = _log_ratio(fit(train, prior, key=k_fit), held, rng)
        told = np.tanh(log_r / 2)
        averages.append(_weights(held, scale).T @ told / len(told))
        squares.append(np.mean(log_r**2))
        logs.append(np.mean(log_r))
    found = np.array(averages)
    names = (
        "the mean",
        *sims.columns,
        *(f"column {i + 1} of x" for i in range(found.shape[1] - 1 - len(sims.columns))),
    )
    mean, error = found.mean(axis=0), found.std(axis=0, ddof=1) / refits**0.5
    z = np.where(np.abs(mean) < 1e-9, 0.0, mean / np.maximum(error, 1e-9))
    at = int(np.argmax(np.abs(z)))
    result = TestResult(
        name="label shuffle",
        question="Trained on shuffled labels, is the ratio one?",
        p_value=float(min(1.0, 2 * len(z) * student_t.sf(abs(z[at]), refits - 1))),
        statistic=float(z[at]),
        n=refits,
        effects={"spread of log r^": float(np.sqrt(np.mean(squares))), "largest t": float(z[at])},
        note=f"largest for {names[at]}",
        detail={"averages": found},
    )
    return with_bias(result, float(np.mean(logs)), float(np.std(logs, ddof=1) / refits**0.5))


def shuffled(sims: Simulations, order: Any) -> Simulations:
    """The same parameters, labels and gold with the outcomes (and settings) of other rows.

    >>> sims = Simulations.of({"a": np.arange(3.0)}, np.arange(3.0)[:, None])
    >>> shuffled(sims, np.array([2, 0, 1])).x[:, 0].tolist()
    [2.0, 0.0, 1.0]
    """

    def dealt(part: Any) -> Any:
        return None if part is None else jax.tree.map(lambda a: a[order], part)

    parts = {name: dealt(getattr(sims, name)) for name in ("x", "design", "latents")}
    return replace(sims, **parts, status=sims.status[order])


def _log_ratio(estimator: Any, held: Simulations, rng: np.random.Generator) -> Float[np.ndarray, " n"]:
    options = {} if not held.design else {"design": held.design}
    theta = dict(held.theta)
    if getattr(estimator, "term", None) == "ratio":
        return np.asarray(estimator.log_likelihood(theta, held.x, **options), float)
    if not hasattr(estimator, "log_ratio"):
        raise UsageError(
            f"got a {type(estimator).__name__}, which has no ratio; expected a method that learns ratios or likelihoods, such as carl, alice, nre or nle"
        )
    order = rng.permutation(len(held))
    other = {name: value[order] for name, value in theta.items()}
    return np.asarray(estimator.log_ratio(theta, other, held.x, **options), float)


def _weights(held: Simulations, scale: Features) -> Float[np.ndarray, "n J"]:
    theta = held.theta_flat().astype(float)
    spread = np.where(theta.std(axis=0) > 0, theta.std(axis=0), 1.0)
    columns = [np.ones((len(held), 1)), (theta - theta.mean(axis=0)) / spread]
    return np.concatenate([*columns, scale(data_columns(held.x, sets=held.events))], axis=1)
