"""Local classifier two-sample test: is the answer right at this observation?"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from quincunx.check.classifier import Labels, mean_squared_margin, train_classifiers
from quincunx.check.features import Features
from quincunx.check.result import TestResult
from quincunx.check.tail import tail_probability
from quincunx.check.trials import Trials
from quincunx.values import as_key

NULLS = 100
NEGATIVES = 2
_QUESTION = "Can a classifier tell the truth from draws of the answer{where}?"


def lc2st(
    trials: Trials,
    *,
    key: int | PRNGKeyArray,
    x_o: Float[np.ndarray, " F"] | None = None,
    draws_o: Float[np.ndarray, "M U"] | None = None,
    nulls: int = NULLS,
    epochs: int = 40,
) -> TestResult:
    """L-C2ST (2306.03580) with label permutations: statistic mean (d(theta, x_o) - 1/2)^2 over draws of q(. | x_o).

    d is the probability, by a small network trained on the trials, that (theta, x) is a simulated pair and not (draw,
    x). `x_o` is the observation in the columns of `trials.x`, `draws_o` draws of q(. | x_o) in unconstrained space;
    without them the statistic is averaged over the trials (a global test). `nulls` networks are trained, in one
    compiled call, with labels exchanged inside trials, and as many with the observed labels, whose statistics are
    averaged; p = (1 + #{null >= observed}) / (1 + nulls), refined by a Pareto tail where nearly all lie below
    (`detail["p_counted"]` has the plain count). The networks see the data's columns and theta in units of the answer's
    own mean and spread for that x.

    The null supposes an answer that is right for every x: where it is wrong elsewhere, a small p here may be an echo of that,
    and the size of the effect says more.
    """
    return _local_test(
        trials.position_truth, trials.position_draws, trials.x, x_o, draws_o, "lc2st", "exchanged", nulls, epochs, key
    )


def lc2st_base(
    base_truth: Float[np.ndarray, "N U"],
    x: Float[np.ndarray, "N F"],
    *,
    key: int | PRNGKeyArray,
    x_o: Float[np.ndarray, " F"] | None = None,
    nulls: int = NULLS,
    epochs: int = 40,
) -> TestResult:
    """L-C2ST for normalising flows: z_i = f^{-1}(theta_i; x_i) against N(0, I) at x_o.

    Under an exact flow z is standard normal and independent of x, so that the null networks know nothing of the answer
    or of x_o.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(300, 1))
    >>> result = lc2st_base(1.5 + rng.normal(size=(300, 1)), x, x_o=np.zeros(1), key=0, nulls=20)
    >>> bool(result.detail["p_counted"] < 0.05)
    True
    """
    k_draws, k_eval, k_test = jax.random.split(as_key(key), 3)
    n, dim = base_truth.shape
    draws = np.asarray(jax.random.normal(k_draws, (n, NEGATIVES, dim)), float)
    at = None if x_o is None else np.asarray(jax.random.normal(k_eval, (500, dim)), float)
    return _local_test(base_truth, draws, x, x_o, at, "lc2st (base)", "normal", nulls, epochs, k_test)


def _local_test(truth, draws, x, x_o, draws_o, name, labels: Labels, nulls, epochs, key) -> TestResult:
    k_observed, k_null = jax.random.split(as_key(key))
    features = Features.fit(x)
    columns = features(x)
    own = labels == "exchanged" and draws.shape[1] > NEGATIVES + 10
    points = np.concatenate([truth[:, None], draws[:, :NEGATIVES]], axis=1)
    if own:
        # The moments come from draws that are in neither class, so the points of a row stay exchangeable given them.
        centre, spread = draws[:, NEGATIVES:].mean(axis=1), np.maximum(draws[:, NEGATIVES:].std(axis=1), 1e-12)
        points = (points - centre[:, None]) / spread[:, None]
        middle, reach = truth.mean(axis=0), np.maximum(truth.std(axis=0), 1e-12)
        columns = np.concatenate([columns, np.clip((centre - middle) / reach, -5.0, 5.0)], axis=1)
    points = np.clip(np.nan_to_num(points, nan=10.0), -10.0, 10.0)
    if x_o is not None and draws_o is not None:
        where = " at the observation"
        at_points = draws_o
        at_columns = features(np.asarray(x_o, float)[None])
        if own:
            at_centre = draws_o.mean(axis=0)
            at_points = (draws_o - at_centre) / np.maximum(draws_o.std(axis=0), 1e-12)
            at_summary = np.clip((at_centre - middle) / reach, -5.0, 5.0)
            at_columns = np.concatenate([at_columns, at_summary[None]], axis=1)
        at_points = np.clip(np.nan_to_num(at_points, nan=10.0), -10.0, 10.0)
        at_columns = np.repeat(at_columns, len(at_points), axis=0)
    else:
        where = ""
        at_points, at_columns = points[:, 1], columns
    evaluate = (jnp.asarray(at_points, jnp.float32), jnp.asarray(at_columns, jnp.float32))
    statistics = {}
    # As many networks for the observed labels as for the null: an ensemble that costs less than compiling another size.
    for label, k in (("observed", k_observed), (labels, k_null)):
        trained = train_classifiers(points, columns, labels=label, members=nulls, key=k, epochs=epochs)
        statistics[label] = np.asarray(mean_squared_margin(trained.model, *evaluate), float)
    observed, null = float(statistics["observed"].mean()), statistics[labels]
    excess = np.sqrt(max(observed - float(null.mean()), 0.0))
    return TestResult(
        name=name,
        question=_QUESTION.format(where=where),
        p_value=tail_probability(observed, null),
        statistic=observed,
        n=len(points),
        effects={"typical margin of the classifier": float(excess)},
        note="few simulations: only large errors are seen" if len(points) < 2000 else "",
        detail={"null": null, "p_counted": np.array((1 + np.sum(null >= observed)) / (1 + len(null)))},
    )
