"""A small epidemic day by day: its likelihood against a matrix exponential, its gold against the conjugate posterior."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.linalg import expm

from quincunx import gallery
from quincunx.gallery.final_size import complete_path_posterior, path_statistics, trace_epidemic
from quincunx.gallery.precision import in_float64
from quincunx.gallery.sir_paths import censored, infectives_at, observed_log_prob

N, M, DAYS = 10, 2, 3
THETA = {"beta": jnp.asarray(2.0), "gamma": jnp.asarray(1.0)}


def generator(beta, gamma, n, m):
    """Rates between all states (S, I), in the order of a table (n + 1, n + m + 1)."""
    size = n + m + 1
    flow = np.zeros(((n + 1) * size,) * 2)
    for s in range(n + 1):
        for i in range(1, n + m + 1 - s):
            here = s * size + i
            for there, rate in (((s - 1) * size + i + 1, beta * s * i / n), (here - 1, gamma * i)):
                if rate > 0:
                    flow[here, there] += rate
                    flow[here, here] -= rate
    return flow


@pytest.fixture(scope="module")
def daily():
    """P(state a day later | state) at beta = 2, gamma = 1."""
    return expm(generator(2.0, 1.0, N, M))


def by_exponential(x, daily, n=N, m=M):
    size = n + m + 1
    at = np.zeros(len(daily))
    at[n * size + m] = 1.0
    for count in x:
        at = np.where(np.arange(len(at)) % size == count, at @ daily, 0.0)
    return np.log(at.sum()) if at.sum() > 0 else -np.inf


def test_the_likelihood_is_that_of_the_matrix_exponential(daily):
    truth = gallery.load("sir_paths").truth.in_float64()
    for x in (
        (2.0, 1.0, 0.0),
        (4.0, 6.0, 5.0),
        (0.0, 0.0, 0.0),
        (2.0, 9.0, 1.0),
        (0.0, 1.0, 0.0),
        (12.0, 13.0, 1.0),
        (1.5, 1.0, 1.0),
    ):
        found = truth.log_likelihood({"beta": 2.0, "gamma": 1.0}, np.array(x))
        assert found == pytest.approx(by_exponential(x, daily), abs=1e-10)


def test_all_counts_of_a_day_have_probability_one_far_out_in_the_prior_too():
    for beta, gamma in ((0.05, 0.02), (2.0, 1.0), (11.0, 5.0)):
        chances = [float(np.exp(day(beta, gamma, np.array([float(count)])))) for count in range(N + M + 1)]
        assert sum(chances) == pytest.approx(1.0, abs=1e-10)


day = in_float64(lambda beta, gamma, x: observed_log_prob(beta, gamma, x, N, M, 140))


def test_thirty_susceptibles_and_a_day():
    """As large as it is meant to be; one day, against a sparse exponential."""
    from scipy.sparse import csr_array
    from scipy.sparse.linalg import expm_multiply

    size, start = 32, np.zeros(31 * 32)
    start[30 * size + 1] = 1.0
    after = expm_multiply(csr_array(generator(2.0, 1.0, 30, 1).T), start).reshape(31, size).sum(axis=0)
    large = in_float64(lambda beta, x: observed_log_prob(beta, jnp.ones_like(beta), x, 30, 1, 150))
    for count in (0, 1, 5):
        assert large(2.0, np.array([float(count)])) == pytest.approx(np.log(after[count]), abs=1e-9)


def test_counts_have_the_exact_distribution(daily):
    """The first and the last day's count, 8000 epidemics."""
    outbreak, many = gallery.load("sir_paths"), 8000
    theta = {name: jnp.full(many, value) for name, value in THETA.items()}
    x = np.asarray(outbreak.simulator.batch(theta, keys=jax.random.split(jax.random.key(0), many)), int)
    size = N + M + 1
    start = np.zeros(len(daily))
    start[N * size + M] = 1.0
    for column, days in ((0, 1), (2, 3)):
        chances = (start @ np.linalg.matrix_power(daily, days)).reshape(N + 1, size).sum(axis=0)
        counts = np.bincount(x[:, column], minlength=size)
        common = many * chances > 10
        observed, expected = (np.append(a[common], a[~common].sum()) for a in (counts, many * chances))
        assert stats.chisquare(observed, expected).pvalue > 1e-4


def test_the_joint_score_is_that_of_the_conjugate_posterior():
    """grad log p(z | theta) = grad log p(theta | z) - grad log p(theta), whatever the path."""
    outbreak = gallery.load("sir_paths")

    @jax.jit
    def both(key):
        x, z = outbreak.gold.trace(THETA, key=key)
        given = complete_path_posterior(z, N, M)

        def conditional(theta):
            return sum(given[name].log_prob(theta[name]) for name in theta) - outbreak.prior.log_prob(theta)

        return outbreak.gold.joint_score(THETA, x, z), jax.grad(conditional)(THETA)

    for seed in range(3):
        found, expected = both(jax.random.key(seed))
        for name in THETA:
            assert found[name] == pytest.approx(float(expected[name]), abs=1e-4)


def test_what_comes_after_the_last_day_is_cut_off():
    whole = trace_epidemic(THETA, N, M, key=jax.random.key(4))[1]
    cut = censored(whole, 1.0)
    assert float(cut["wait"].sum()) == pytest.approx(min(1.0, float(whole["wait"].sum())), abs=1e-6)
    found = path_statistics(cut, N, M)
    assert N - found["infections"] + found["recoveries"] <= N + M
    last = infectives_at(whole, M, 1)[0]
    assert last == M + found["infections"] - found["recoveries"]


def test_the_reference_is_the_posterior(tmp_path, monkeypatch):
    """Its mean against importance sampling from the prior, within four standard errors of both."""
    monkeypatch.setenv("QUINCUNX_CACHE", str(tmp_path))
    outbreak = gallery.load("sir_paths")
    x = outbreak.observation(1)
    draws = outbreak.reference(1, n=4000)
    theta = outbreak.prior.sample(4000, key=5)
    levels = np.asarray(jax.jit(jax.vmap(outbreak.truth.log_likelihood, in_axes=(0, None)))(theta, x), float)
    weight = np.exp(levels - levels.max())
    weight /= weight.sum()
    for name in THETA:
        prior_draws, value = np.asarray(theta[name], float), np.asarray(draws[name], float)
        mean = weight @ prior_draws
        error = np.hypot(np.sqrt(weight**2 @ (prior_draws - mean) ** 2), value.std() / np.sqrt(4000))
        assert abs(value.mean() - mean) < 4 * error
