"""Ewens' sampling formula: the known numbers, partitions out of the urn, and the information."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from quincunx import gallery
from quincunx.gallery.ewens import allele_frequencies, stirling_numbers

PUBLISHED = (0.018182, 0.102872, 0.235029, 0.290075, 0.215909, 0.101448)


def test_known_numbers():
    truth = gallery.load("ewens").truth.in_float64()
    p = np.exp([truth.log_likelihood({"theta": 2.0}, np.array([float(k)])) for k in range(1, 11)])
    np.testing.assert_allclose(p[:6], PUBLISHED, atol=6e-7)
    assert p.sum() == pytest.approx(1.0, abs=1e-12)
    assert p @ np.arange(1, 11) == pytest.approx(4.039755, abs=6e-7)
    for impossible in (0.0, 2.5, 11.0):
        assert truth.log_likelihood({"theta": 2.0}, np.array([impossible])) == -np.inf


def test_stirling_numbers_count_permutations():
    assert sum(stirling_numbers(9)) == math.factorial(9)
    assert stirling_numbers(10)[:4] == (0, 362880, 1026576, 1172700)


def test_the_score_and_the_information_are_those_of_the_exact_distribution():
    truth = gallery.load("ewens").truth.in_float64()
    k = np.arange(1, 11.0)
    p = np.exp([truth.log_likelihood({"theta": 2.0}, x[None]) for x in k])
    mean = np.sum(2 / (2 + np.arange(10)))
    score = np.array([truth.score({"theta": 2.0}, x[None])["theta"] for x in k])
    np.testing.assert_allclose(score, (k - mean) / 2, atol=1e-12)
    assert truth.fisher({"theta": 2.0}).item() == pytest.approx(p @ score**2, rel=1e-12)


def test_a_history_has_the_score_of_its_number_of_alleles():
    """K is sufficient, so that gold adds nothing: t(x, z) = t(x) for every history."""
    alleles = gallery.load("ewens")
    theta = {"theta": jnp.asarray(2.0)}

    @jax.jit
    @jax.vmap
    def scores(key):
        x, z = alleles.gold.trace(theta, key=key)
        return alleles.gold.joint_score(theta, x, z)["theta"], alleles.truth.score(theta, x)["theta"]

    joint, exact = scores(jax.random.split(jax.random.key(0), 100))
    np.testing.assert_allclose(joint, exact, atol=1e-5)


def test_partitions_of_five_have_ewens_probabilities():
    """n! / theta^(n) prod_j theta^{a_j} / (j^{a_j} a_j!) over all seven partitions."""
    few, n, theta = gallery.load("ewens", samples=5), 20_000, 1.5
    keys = jax.random.split(jax.random.key(1), n)
    copied = np.asarray(jax.jit(jax.vmap(lambda key: few.gold.trace({"theta": theta}, key=key)[1]))(keys))
    found, counts = np.unique([allele_frequencies(row) for row in copied], axis=0, return_counts=True)
    rising = math.prod(theta + i for i in range(5))
    j = np.arange(1, 6)
    chances = [
        math.factorial(5) / rising * np.prod(theta**a / (j**a * np.array([math.factorial(k) for k in a])))
        for a in found
    ]
    assert len(found) == 7 and sum(chances) == pytest.approx(1.0, abs=1e-12)
    assert stats.chisquare(counts, n * np.array(chances)).pvalue > 1e-4
