import jax.numpy as jnp
import numpy as np

from quincunx.infer.samplers.tempering import effective_size, next_beta, resample

log_ratio = jnp.asarray(np.random.default_rng(0).normal(size=4000) * 20, jnp.float32)


def test_the_next_temperature_keeps_the_asked_effective_size():
    beta = next_beta(log_ratio, jnp.float32(0.0), 0.5)
    assert abs(float(effective_size(beta * log_ratio)) / 2000 - 1) < 0.01


def test_the_last_step_lands_on_one():
    assert float(next_beta(0.01 * log_ratio, jnp.float32(0.3), 0.5)) == 1.0


def test_particles_outside_the_support_have_no_weight():
    half = log_ratio.at[:2000].set(-jnp.inf) * 0.001
    beta = next_beta(half, jnp.float32(0.0), 0.4)
    assert float(beta) == 1.0
    assert int(resample(half, jnp.float32(0.3)).min()) >= 2000


def test_resampling_is_systematic():
    weight = np.random.default_rng(1).dirichlet(np.ones(500))
    counts = np.bincount(
        np.asarray(resample(jnp.log(jnp.asarray(weight, jnp.float32)), jnp.float32(0.7))), minlength=500
    )
    assert np.abs(counts - 500 * weight).max() < 1.01
