"""Repaired regions cover as promised, for every estimator, at every size of the calibration set."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import beta

import quincunx as qx
from quincunx.check import conformal, run_trials
from quincunx.check.conformal import Repair, nonconformity
from quincunx.errors import TooFewSimulations, UsageError


@pytest.mark.parametrize("kind", ["exact", "overconfident", "underconfident", "biased", "prior only"])
@pytest.mark.parametrize("level", [0.5, 0.9])
def test_finite_sample_coverage(make_trials, kind, level):
    # 60 repairs of 49 pairs each, with 40 new pairs each
    hits = []
    for seed in range(60):
        trials = make_trials(kind, seed, n=89, draws=39, dim=1)
        repair = conformal(trials[:49], key=seed)
        fresh = trials[49:]
        score = nonconformity(fresh.log_q_truth, fresh.log_q_draws, key=qx.values.as_key(10_000 + seed))
        hits.append(np.mean(score <= repair.threshold(level)))
    # given its calibration set the coverage is Beta(k, N + 1 - k), k = ceil(50 level): its spread and the binomial one
    k = int(np.ceil(50 * level - 1e-9))
    law = beta(k, 50 - k)
    error = ((law.var() + law.mean() * (1 - law.mean()) / 40) / 60) ** 0.5
    assert np.mean(hits) > level - 3.3 * error
    assert np.mean(hits) < law.mean() + 3.3 * error


def test_an_overconfident_answer_gets_wider_regions(make_trials):
    thresholds = [
        conformal(make_trials(k, 0), key=0).threshold(0.8) for k in ("underconfident", "exact", "overconfident")
    ]
    assert thresholds == sorted(thresholds)
    assert thresholds[0] < 0.75 < 0.85 < thresholds[2]
    assert thresholds[1] == pytest.approx(0.8, abs=3.3 * (0.16 / 300) ** 0.5)


def test_region_of_one_observation(gaussian):
    simulator, make = gaussian
    posterior = make("overconfident")
    repair = conformal(run_trials(posterior, simulator, key=0, n=200), key=1)
    region = repair.region(posterior, jnp.array([1.0, -1.0]), 0.8, key=2)
    assert region.mass > 0.8
    inside = region.sample()["theta"]
    assert len(inside) == int(np.ceil(region.mass * 99))
    assert region.contains({"theta": inside[:50]}, key=3).all()
    far = {"theta": np.array([[30.0, 30.0], [0.5, -0.5]], np.float32)}
    assert region.contains(far, key=3).tolist() == [False, True]


def test_region_covers_over_repeats(gaussian, nominal):
    simulator, make = gaussian
    posterior = make("overconfident")
    repair = conformal(run_trials(posterior, simulator, key=0, n=999), key=1)
    fresh = run_trials(posterior, simulator, key=5, n=30)
    hits = sum(
        bool(repair.region(posterior, x, 0.9, key=i).contains({"theta": t[None]}, key=100 + i)[0])
        for i, (t, x) in enumerate(zip(fresh.truth.astype(np.float32), fresh.outcomes))
    )
    assert nominal(30 - hits, 30, 0.1)


def test_too_few_pairs_for_the_level_are_refused():
    with pytest.raises(TooFewSimulations, match="at least 99"):
        Repair(np.arange(50) / 50, 99).threshold(0.99)
    with pytest.raises(UsageError, match="between 0 and 1"):
        Repair(np.arange(50) / 50, 99).threshold(1.0)


def test_saves(tmp_path, make_trials):
    repair = conformal(make_trials("exact", 0, n=50), key=0)
    qx.save(repair, tmp_path / "repair.qx")
    assert qx.load(tmp_path / "repair.qx").threshold(0.9) == repair.threshold(0.9)
