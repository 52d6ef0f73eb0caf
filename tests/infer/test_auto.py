"""The choice among methods: scores are the mean log-posterior of the truth, and the better candidate wins."""

import jax
import numpy as np
import numpyro.distributions as dist
import pytest

from quincunx.infer.auto import Auto, default_candidates, score
from quincunx.infer.nle import NLE
from quincunx.infer.npe import NPE
from quincunx.learn import FitSettings
from quincunx.model import Prior, simulator
from quincunx.run import simulate
from quincunx.values import as_key

NOISE = 0.5
PRIOR = Prior(mu=dist.Normal(0.0, 1.0))
GOOD = FitSettings(epochs=30, batch_size=100, learning_rate=1e-2, weight_decay=1.0)
UNTRAINED = FitSettings(epochs=1, batch_size=1500, learning_rate=1e-9)


@simulator(PRIOR)
def bell(theta, *, key):
    return theta["mu"] + NOISE * jax.random.normal(key, (2,))


@pytest.fixture(scope="module")
def sims():
    return simulate(bell, 2000, key=0)


@pytest.fixture(scope="module")
def chosen(sims):
    candidates = (NPE(density="linear", settings=UNTRAINED), NLE(density="linear", settings=GOOD))
    return Auto(candidates=candidates).fit(sims, PRIOR, key=1)


def test_the_better_candidate_wins_and_the_scores_are_told(chosen):
    assert chosen.method["method"] == "nle"
    assert "chosen from 2 candidates" in chosen.notes[-1] and "npe linear x5" in chosen.notes[-1]


def test_scores_are_the_mean_log_posterior_of_the_truth(sims):
    npe, nle = (m(density="linear", settings=GOOD).fit(sims, PRIOR, key=2) for m in (NPE, NLE))
    test = simulate(bell, 200, key=9)
    variance = 1 / (1 + 2 / NOISE**2)
    mean = variance * test.x_flat().sum(axis=1) / NOISE**2
    exact = np.asarray(dist.Normal(mean, np.sqrt(variance)).log_prob(test.theta["mu"]))
    scores = score([npe, nle], test, PRIOR, key=as_key(3))
    # no posterior has a larger expected score than the exact one; the standard error is that of 200 pairs
    error = exact.std() / np.sqrt(len(exact))
    assert np.all(np.abs(scores - exact.mean()) < 3 * error)


def test_long_noise_is_screened_and_short_outcomes_get_likelihoods(sims):
    assert {m.name for m in default_candidates(sims, PRIOR)} == {"npe", "nle"}

    @simulator(PRIOR)
    def long(theta, *, key):
        x = jax.random.normal(key, (40,))
        return x.at[3].add(3 * theta["mu"])

    candidates = default_candidates(simulate(long, 500, key=0), PRIOR)
    assert all(m.screen for m in candidates) and {m.name for m in candidates} == {"npe", "nle"}
    estimator = NLE(density="linear", screen=True, settings=GOOD).fit(simulate(long, 1000, key=0), PRIOR, key=1)
    assert estimator.surrogate.scales["x"].kept.tolist() == [3]
    assert "39 of 40 columns" in " ".join(estimator.notes)
