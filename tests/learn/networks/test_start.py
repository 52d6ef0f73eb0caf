"""The cheap numbers that networks start from are spread as normal ones, and differ between keys."""

import jax
import numpy as np

from quincunx.learn.networks.start import fresh_keys, standard_normal

N = 40_000


def test_moments_are_normal():
    z = np.asarray(standard_normal(jax.random.key(5), (N,)), np.float64)
    # four standard errors of the mean, variance, third and fourth moments of a normal
    for power, expected, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(np.mean(z**power) - expected) < 4 * np.sqrt(variance / N)
    assert abs(np.corrcoef(z[1:], z[:-1])[0, 1]) < 4 / np.sqrt(N)


def test_keys_are_independent_of_their_parent_and_of_each_other():
    keys = [jax.random.key(0), jax.random.key(1), *fresh_keys(jax.random.key(0), 3), *fresh_keys(jax.random.key(1), 3)]
    draws = np.stack([standard_normal(k, (N,)) for k in keys])
    off_diagonal = np.corrcoef(draws)[~np.eye(len(keys), dtype=bool)]
    assert np.max(np.abs(off_diagonal)) < 4.5 / np.sqrt(N)


def test_members_made_by_vmap_are_those_made_one_by_one():
    keys = jax.random.split(jax.random.key(2), 3)
    together = jax.vmap(lambda k: standard_normal(fresh_keys(k, 2)[1], (4,)))(keys)
    alone = np.stack([standard_normal(fresh_keys(k, 2)[1], (4,)) for k in keys])
    np.testing.assert_allclose(together, alone, atol=1e-5)
