import jax
import jax.numpy as jnp
import numpy as np

from quincunx.infer.samplers.mixture import UNIFORMS, choose, normal, refit, standard

rng = np.random.default_rng(0)


def fitted(steps=25):
    """A mixture of six components fitted to two clumps."""
    u = np.concatenate([rng.normal(-2, 0.3, (700, 2)), rng.normal(2, 0.5, (300, 2))]).astype("float32")
    q = standard(6, 2)
    step = jax.jit(refit)
    for i in range(steps):
        joint, _, precision = q.log_joint(jnp.asarray(u))
        q = step(q, jnp.asarray(u), joint, precision, jnp.asarray(u[rng.integers(0, 1000, 6)]), jnp.asarray(i == 0))
    return q


q = fitted()


def test_it_integrates_to_one_and_samples_itself():
    grid = jnp.stack(jnp.meshgrid(*[jnp.linspace(-8, 8, 401)] * 2), -1).reshape(-1, 2)
    density = jnp.exp(jax.nn.logsumexp(q.log_joint(grid)[0], -1))
    assert abs(float(jnp.sum(density)) * (16 / 400) ** 2 - 1) < 0.01
    uniform = jnp.asarray(rng.uniform(1e-6, 1 - 1e-6, (20_000, UNIFORMS + 2)), jnp.float32)
    draws = q.sample(uniform[:, :UNIFORMS], normal(uniform[:, UNIFORMS:]))
    inside = float(jnp.sum(density * (grid[:, 0] > 0)) * (16 / 400) ** 2)
    assert abs(float(jnp.mean(draws[:, 0] > 0)) - inside) < 4 * 0.5 / np.sqrt(20_000)


def test_it_finds_both_clumps_with_their_shares():
    left = float(q.weight[np.asarray(q.mean)[:, 0] < 0].sum())
    assert abs(left - 0.7) < 0.06


def test_the_slope_is_the_gradient():
    u = jnp.asarray(rng.normal(size=(5, 2)), jnp.float32)
    joint, z, precision = q.log_joint(u)
    gradient = jax.vmap(jax.grad(lambda v: jax.nn.logsumexp(q.log_joint(v[None])[0])))(u)
    np.testing.assert_allclose(q.slope(z, precision * jax.nn.softmax(joint, -1)), gradient, rtol=2e-3, atol=1e-3)


def test_choosing_follows_the_probabilities():
    p = jnp.broadcast_to(jnp.array([0.2, 0.5, 0.3]), (10_000, 3))
    counts = (
        np.bincount(np.asarray(choose(p, jnp.asarray(rng.uniform(size=10_000), jnp.float32))), minlength=3) / 10_000
    )
    assert np.abs(counts - [0.2, 0.5, 0.3]).max() < 4 * 0.5 / 100
