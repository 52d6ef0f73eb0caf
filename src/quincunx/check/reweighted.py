"""A classifier's word on reweighting: can anything tell weighted reference events from events at theta?"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from quincunx.check.averages import LEAST_TERMS, effective_terms, judge, variance_of_mean
from quincunx.check.classifier import LabelledClassifier, train_classifiers
from quincunx.check.features import Features
from quincunx.check.gold_identities import weights_of
from quincunx.check.mined import Mined
from quincunx.check.result import TestResult
from quincunx.values import as_key

__all__ = ["reweighting"]

PAIRS = 2000


def reweighting(
    at_reference: Mined, fresh: Float[np.ndarray, "n F"], *, key: int | PRNGKeyArray, epochs: int = 10
) -> TestResult:
    """The area under the curve of a classifier of weighted reference events against events at theta, which must be 1/2.

    It is trained on `PAIRS` pairs out of the first half (reference events drawn by their weights) and judged on pairs of the
    second half: with s = 1 where the event at theta scores higher, 1/2 at a tie, E_reference[r (s - 1/2)] = 0 if and only if the ratio closes
    for what the classifier has found, and exactly so for any classifier. x that is not finite is left out of both.

    >>> rng = np.random.default_rng(0)
    >>> x, fresh = rng.normal(size=(4000, 1)), 0.5 + rng.normal(size=(4000, 1))
    >>> told = Mined(x, 0.5 * x[:, 0] - 0.125, np.zeros(4000), x)
    >>> silent = Mined(x, np.zeros(4000), np.zeros(4000), x)
    >>> reweighting(told, fresh, key=0).status, reweighting(silent, fresh, key=0).status
    ('pass', 'fail')
    """
    k_draw, k_train = jax.random.split(as_key(key))
    weight, ess = weights_of(at_reference.log_ratio)
    half = len(weight) // 2
    both = np.concatenate([at_reference.x[:half], fresh[:half]])
    finite = np.isfinite(both).all(axis=1)
    features = Features.fit(both[finite]) if finite.any() else Features.fit(np.zeros((2, both.shape[1])))

    def columns(x: Float[np.ndarray, "m F"]) -> Float[np.ndarray, "m G"]:
        # What is not finite becomes an ordinary point: rows are judged by what can be seen in them.
        return np.clip(features(np.where(np.isfinite(x), x, 0.0)), -10.0, 10.0)

    rng = np.random.default_rng(np.asarray(jax.random.key_data(k_draw)).ravel())
    first = weight[:half]
    share = first / first.sum() if first.sum() > 0 else None
    weighted = columns(at_reference.x[rng.choice(half, PAIRS, p=share)])
    plain = columns(fresh[rng.choice(half, PAIRS)])
    pairs = np.stack([plain, weighted], axis=1)
    trained = train_classifiers(pairs, np.zeros((PAIRS, 0)), labels="observed", members=1, key=k_train, epochs=epochs)
    theirs, ours = (
        np.asarray(_logits(trained.model, jnp.asarray(columns(x[half:]), jnp.float32)), float)
        for x in (fresh, at_reference.x)
    )
    second = weight[half:]
    terms = (second * ((theirs > ours) + 0.5 * (theirs == ours) - 0.5))[:, None]
    total = max(float(second.mean()), 1e-300)
    return judge(
        "reweighting",
        "Can a classifier tell weighted reference events from events at theta?",
        terms.mean(axis=0),
        variance_of_mean(terms),
        effective_terms(terms),
        ("area",),
        n=len(second),
        effects={"area under the curve": 0.5 + float(terms.mean()) / total, "effective simulations": ess},
        trusted=ess >= LEAST_TERMS,
    )


@eqx.filter_jit
def _logits(model: LabelledClassifier, points: Float[Array, "m G"]) -> Float[Array, " m"]:
    one = jax.tree.map(lambda leaf: leaf[0] if eqx.is_array(leaf) else leaf, model)
    return jax.vmap(lambda point: one(point, jnp.zeros(0)))(points)
