import numpy as np

from quincunx.infer.samplers.evidence import bridge


def test_a_proposal_with_lighter_tails_does_no_harm():
    """p = N(0, 1) unnormalised, q = N(0, 0.7^2): importance weights have infinite variance, the bridge's error stays honest."""
    rng = np.random.default_rng(0)

    def ratio(x):
        return -0.5 * x**2 + 0.5 * (x / 0.7) ** 2 + np.log(0.7 * np.sqrt(2 * np.pi))

    pulls = []
    for _ in range(40):
        value, error = bridge(ratio(rng.normal(size=1000)), ratio(0.7 * rng.normal(size=1000)))
        pulls.append((value - 0.5 * np.log(2 * np.pi)) / error)
    # The mean of 40 standard normals and their standard deviation, four standard errors wide.
    assert abs(np.mean(pulls)) < 4 / np.sqrt(40)
    assert abs(np.std(pulls) - 1) < 4 / np.sqrt(80)


def test_nothing_finite_is_nan():
    assert np.isnan(bridge(np.full(3, -np.inf), np.zeros(3))[0])
