"""The Weinberg angle and its cartoon: published numbers, exact sampling, a detector, and the same process as a program outside."""

import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import xlogy

import quincunx as qx
from quincunx import gallery
from quincunx.errors import MissingExtra, UsageError
from quincunx.gallery.angular import (
    angular_draw,
    angular_fisher,
    angular_information,
    angular_log_prob,
    angular_quantile,
    angular_support,
)
from quincunx.gallery.detector import Detector
from quincunx.gallery.electroweak import Constants, asymmetry, cross_section, fisher_per_event, forward_backward
from quincunx.gallery.weinberg import events_in, pole_asymmetry
from quincunx.gallery.weinberg_external import weinberg_command, weinberg_snakemake
from quincunx.gallery.weinberg_toy import toy_asymmetry
from quincunx.model.precision import double_scope

S2 = 0.2315
# Beam energy in GeV, A_FB, cross section in nb, dA_FB/ds2 and the information of an event.
TABLE = np.array(
    [
        [40, -0.72578, 0.0363, -1.100, 11.168],
        [43, -0.45066, 0.1142, -1.864, np.nan],
        [44, -0.28134, 0.2636, -1.926, 4.813],
        [45, -0.09476, 1.0253, -1.839, 3.925],
        [45.5938, 0.01615, 1.9838, -1.727, 3.416],
        [46, 0.08963, 1.4182, -1.632, 3.083],
        [47, 0.25596, 0.3476, -1.358, 2.337],
        [48, 0.39526, 0.1421, -1.072, 1.719],
        [50, 0.58802, 0.0525, -0.594, 0.871],
    ]
)
# The energy of the collision and A_FB, with an older set of constants and a running width, at s2 = 0.23153.
LEP = Constants(alpha=1 / 128.94, fermi=1.1663788e-5, running_width=True)
CURVE = np.array(
    [
        [34.8, -0.090, 6e-4],
        *([energy, value, 6e-5] for energy, value in [(20, -0.0267), (60, -0.3753), (80, -0.7275), (85, -0.5241)]),
        *([energy, value, 6e-5] for energy, value in [(88, -0.2816), (89.45, -0.1467), (90, -0.0948)]),
        *([energy, value, 6e-5] for energy, value in [(91.1876, 0.0161), (92, 0.0895), (93, 0.1756), (95, 0.3289)]),
        *([energy, value, 6e-5] for energy, value in [(100, 0.5870), (110, 0.7429), (130, 0.7000), (200, 0.5554)]),
    ]
)
ASYMMETRIES = np.array([0.0, 1.0, -1.0, 2.0, -2.0, 2.9, -2.9], np.float32)
N = 20_000


def primitive(c, a):
    return c + c**3 / 3 + a * c**2 / 2


def distribution_function(a):
    """F(c) for any A, by hand, in float64."""
    low = (-abs(a) + np.sqrt(max(a * a - 4, 0.0))) / 2 if abs(a) > 2 else -1.0
    low, high = (low, 1.0) if a >= 0 else (-1.0, -low)
    whole = primitive(high, a) - primitive(low, a)
    return lambda c: np.clip((primitive(np.clip(c, low, high), a) - primitive(low, a)) / whole, 0.0, 1.0)


def test_every_number_of_the_table():
    with double_scope():
        energy = jnp.asarray(TABLE[:, 0])
        s2 = jnp.full_like(energy, S2)

        def columns(s2):
            value, slope = jax.jvp(lambda s2: forward_backward(s2, energy), (s2,), (jnp.ones_like(s2),))
            return value, cross_section(s2, energy), slope, fisher_per_event(s2, energy)

        found = jax.jit(columns)(s2)
        for column, value, digits in zip(TABLE.T[1:], found, (5e-6, 5e-5, 5e-4, 5e-4)):
            known = np.isfinite(column)
            np.testing.assert_allclose(np.asarray(value)[known], column[known], rtol=0, atol=1.02 * digits)
    # And as it is used, in single precision.
    np.testing.assert_allclose(forward_backward(S2, jnp.asarray(TABLE[:, 0])), TABLE[:, 1], rtol=0, atol=1e-5)


def test_limits_of_the_process():
    assert float(forward_backward(S2, 30.0)) == pytest.approx(-0.3746, abs=5e-5)
    assert float(forward_backward(S2, 40.0, Constants(coupling="none"))) == 0.0
    assert float(pole_asymmetry(S2)) == pytest.approx(0.01625, abs=5e-6)
    # The vector coupling vanishes at 1/4, and enters squared.
    assert float(asymmetry(0.27, 42.0)) == pytest.approx(float(asymmetry(0.23, 42.0)), abs=2e-6)
    assert float(forward_backward(0.25, 45.5938, LEP)) == pytest.approx(0.0, abs=1e-4)
    assert float(forward_backward(0.2223, 45.5938, LEP)) == pytest.approx(0.0357, abs=6e-5)
    mixing = float(forward_backward(S2, 47.0, Constants(coupling="mixing")))
    assert abs(mixing) < 0.75 and abs(mixing - 0.25596) < 0.05


def test_the_curve_of_the_asymmetry_and_the_information():
    with double_scope():
        found = forward_backward(0.23153, jnp.asarray(CURVE[:, 0]) / 2, LEP)
        assert np.all(np.abs(np.asarray(found) - CURVE[:, 1]) < CURVE[:, 2])
        at = jnp.asarray([80, 85, 88, 89.45, 91.1876, 93, 95, 100, 60, 110, 88, 90, 91.0, 91.19, 92, 95, 200]) / 2
        of_all = jax.jit(
            lambda at: (fisher_per_event(0.23153, at, LEP, counting=True), 1000 * cross_section(0.23153, at, LEP))
        )
        counted, in_pb = (np.asarray(part) for part in of_all(at))
        known = [2.58, 4.37, 4.03, 3.59, 2.98, 2.31, 1.65, 0.54]
        np.testing.assert_allclose(counted[:8], known, rtol=0, atol=6e-3)
        np.testing.assert_allclose(counted[8:10], [0.002, 0.008], rtol=0, atol=6e-4)
        known = [1.08e3, 3.59e3, 5.93e3, 5.90e3, 3.70e3, 341]
        np.testing.assert_allclose((counted * in_pb)[10:16], known, rtol=2e-3)
        assert in_pb[4] == pytest.approx(1984, abs=1) and in_pb[16] == pytest.approx(2.95, abs=6e-3)
    # The angle tells more than its sign does.
    assert float(angular_fisher(jnp.array(0.0))) / (0.375**2) == pytest.approx(1.1445, abs=5e-5)


def test_the_best_energy_depends_on_what_is_paid_for():
    """40 GeV for a fixed number of events, the Z pole for a fixed running time."""
    with double_scope():
        energy = jnp.linspace(40.0, 50.0, 2001)
        information, rate = jax.jit(lambda e: (fisher_per_event(S2, e), events_in(1.0, e)))(energy)
        assert np.argmax(information) == 0
        best = float(energy[np.argmax(np.asarray(rate * information))])
        assert best == pytest.approx(45.55, abs=0.01)
    problem = gallery.load("weinberg")
    gains = [problem.truth.eig({"energy": e}) for e in (40.0, 45.5938, 47.0, 50.0)]
    assert np.all(np.diff(gains) < 0)


@pytest.fixture(scope="module")
def drawn():
    draw = jax.jit(jax.vmap(lambda a, key: angular_draw(a, (N,), key=key)))
    return np.asarray(draw(jnp.asarray(ASYMMETRIES), jax.random.split(jax.random.key(0), len(ASYMMETRIES))))


@pytest.mark.parametrize("which", range(len(ASYMMETRIES)), ids=[f"{a:g}" for a in ASYMMETRIES])
def test_events_have_the_stated_distribution(drawn, which):
    a, c = float(ASYMMETRIES[which]), drawn[which].astype(float)
    assert stats.kstest(c, distribution_function(a)).pvalue > 1e-4 / len(ASYMMETRIES)
    nodes = np.linspace(-1, 1, 200_001)
    p = np.maximum(1 + nodes**2 + a * nodes, 0.0)
    for power in (1, 2):
        mean = np.sum(p * nodes**power) / p.sum()
        z = (np.mean(c**power) - mean) / (np.std(c**power) / np.sqrt(N))
        assert abs(z) < stats.norm.isf(0.5e-4 / (2 * len(ASYMMETRIES)))
    low, high = angular_support(jnp.float32(a))
    assert c.min() >= float(low) and c.max() <= float(high)
    assert np.isfinite(angular_log_prob(drawn[which], jnp.float32(a))).all()


def test_the_quantile_function_is_solved_to_single_precision():
    u = jnp.linspace(0.0, 1 - 2.0**-24, 4001)
    for a, c in zip(ASYMMETRIES, jax.jit(jax.vmap(angular_quantile, (None, 0)))(u, jnp.asarray(ASYMMETRIES))):
        np.testing.assert_allclose(distribution_function(float(a))(np.asarray(c, float)), u, atol=5e-6)


@pytest.mark.parametrize("cut", [1.0, 0.95])
def test_the_density_is_normalised_where_it_is_cut_too(cut):
    with double_scope():
        c = (jnp.arange(40_000) + 0.5) / 20_000 - 1
        values = jnp.asarray([0.0, 1.5, -2.0, 2.01, -2.2, 2.9, -2.9])
        density = jnp.exp(jax.vmap(lambda a: angular_log_prob(c, a, cut=cut))(values))
        np.testing.assert_allclose(jnp.sum(density, axis=1) / 20_000, 1.0, atol=1e-6)
        # As the formula of the cartoon has it.
        zero = (-2.9 + np.sqrt(2.9**2 - 4)) / 2
        norm = (1 - zero) + (1 - zero**3) / 3 + 2.9 * (1 - zero**2) / 2
        assert float(-angular_log_prob(jnp.array(0.0), jnp.array(2.9))) == pytest.approx(np.log(norm), abs=1e-12)


def test_no_gradient_is_nan():
    x = jnp.array([-1.0, -0.99, -0.5, 0.0, 0.9999, 1.0, 1.2])
    values = jnp.array([0.0, 2.0, -2.0, 2.0 + 1e-6, 2.9, -2.9])
    by_both = jax.jit(jax.vmap(jax.vmap(jax.grad(angular_log_prob, (0, 1)), (0, None)), (None, 0)))
    assert all(bool(jnp.isfinite(part).all()) for part in by_both(x, values))
    log_p = angular_log_prob(x[:, None], values)
    assert not bool(jnp.isnan(log_p).any()) and bool((log_p[-1] == -jnp.inf).all())
    assert float(log_p[0, 4]) == -np.inf
    through = jax.jit(jax.vmap(jax.vmap(jax.grad(angular_quantile, (0, 1)), (0, None)), (None, 0)))
    u = jnp.linspace(2.0**-24, 1 - 2.0**-24, 101)
    assert all(bool(jnp.isfinite(part).all()) for part in through(u, values))


def test_events_move_with_theta_and_energy_as_differences_say():
    with double_scope():
        u, step = jnp.linspace(0.05, 0.95, 7), 1e-5

        def event(point):
            return angular_quantile(u, toy_asymmetry(*point))

        slopes = jax.jit(jax.jacfwd(event))
        event = jax.jit(event)
        for point in ((1.0, 47.0), (1.4, 50.0), (1.4, 41.0)):
            point = jnp.asarray(point)
            differences = [(event(point + step * e) - event(point - step * e)) / (2 * step) for e in jnp.eye(2)]
            np.testing.assert_allclose(slopes(point), np.stack(differences, axis=1), rtol=1e-5, atol=1e-8)


def test_the_information_of_the_toy_in_one_event():
    toy = gallery.load("weinberg_toy")
    known = {50: 0.03708, 40: 0.03708, 42: 0.01322, 48: 0.01322, 43: 0.00551, 47: 0.00551, 44: 0.00134, 46: 0.00134}
    known |= {44.5: 0.00033, 45.5: 0.00033}
    for energy, nats in known.items():
        assert toy.truth.eig({"energy": energy}) == pytest.approx(nats, abs=5.1e-6)
    assert toy.truth.eig({"energy": 45.0}) == 0.0
    # An event that says nothing has no score either.
    assert float(toy.truth.score({"theta": 1.0}, jnp.array([0.3]), {"energy": 45.0})["theta"]) == 0.0
    assert toy.simulator({"theta": 1.0}, key=0, design={"energy": 40.0}).shape == (1,)


def test_the_toy_without_clipping():
    with pytest.raises(UsageError, match="clip"):
        gallery.load("weinberg_toy", clip=False)
    valid = gallery.load("weinberg_toy", low=0.2, high=1.0, clip=False)
    x = jnp.linspace(-1.0, 1.0, 101)[:, None]
    edge = jax.jit(jax.vmap(lambda x: valid.truth.log_likelihood({"theta": 1.0}, x, {"energy": 50.0})))(x)
    assert bool((edge > -jnp.inf)[1:].all())


def test_a_prior_of_the_angle_outside_its_range_is_refused():
    with pytest.raises(UsageError, match="sin"):
        gallery.load("weinberg", low=0.3, high=0.6)
    with pytest.raises(UsageError, match="cut"):
        gallery.load("weinberg", cut=1.5)


@pytest.mark.parametrize("detector", [Detector(0.95, 0.0, 0.02), Detector(0.95, 0.05, 0.02)], ids=["exact", "smeared"])
def test_what_a_detector_sees(detector):
    a = jnp.float32(1.6)
    keys = jax.random.split(jax.random.key(3), N)
    seen = np.asarray(jax.jit(jax.vmap(lambda key: detector.draw(a, key=key)))(keys))[:, 0].astype(float)
    assert np.abs(seen).max() <= 0.95
    with double_scope():
        c = 0.95 * ((jnp.arange(20_000) + 0.5) / 10_000 - 1)
        density = np.asarray(jnp.exp(detector.log_prob(c, jnp.asarray(1.6)))) * 0.95 / 10_000
    assert density.sum() == pytest.approx(1.0, abs=1e-5)
    edges = np.concatenate([[-0.95], np.asarray(c) + 0.95 / 20_000])
    assert stats.kstest(seen, lambda t: np.interp(t, edges, np.append(0.0, np.cumsum(density)))).pvalue > 1e-4
    # Less is learnt than without a detector, and the score's variance is the information.
    fisher = float(detector.fisher(a))
    assert fisher < float(angular_fisher(a))
    scores = np.asarray(jax.jit(jax.vmap(jax.grad(detector.log_prob, 1), (0, None)))(seen.astype(np.float32), a))
    assert abs(np.mean(scores**2) - fisher) < 4.5 * np.std(scores**2) / np.sqrt(N)
    values, weights = np.linspace(-1.5, 1.5, 41), np.full(41, 1 / 41)
    assert detector.information(values, weights) < angular_information(values, weights)


def test_narrow_smearing_is_no_smearing():
    plain, narrow = Detector(0.9), Detector(0.9, 1e-3)
    c, a = jnp.linspace(-0.89, 0.89, 11), jnp.float32(1.2)
    np.testing.assert_allclose(narrow.log_prob(c, a), plain.log_prob(c, a), atol=1e-4)
    assert float(narrow.fisher(a)) == pytest.approx(float(plain.fisher(a)), rel=1e-3)


def test_the_gold_of_a_smeared_event_averages_to_the_score():
    problem = gallery.load("weinberg", smearing=0.1, cut=0.95, misidentified=0.05)
    theta, design = {"s2": jnp.float32(0.22)}, {"energy": jnp.float32(41.0)}
    keys = jax.random.split(jax.random.key(4), N // 4)

    def told(key):
        x, z = problem.gold.run(theta, key, design)
        joint = jax.grad(lambda theta: problem.gold.log_prob(theta, x, z, design))(theta)["s2"]
        return joint, problem.truth.score(theta, x, design)["s2"]

    joint, score = (np.asarray(part, float) for part in jax.jit(jax.vmap(told))(keys))
    for mean_zero in (joint, joint - score, (joint - score) * score):
        assert abs(mean_zero.mean()) < stats.norm.isf(0.5e-4 / 3) * mean_zero.std() / np.sqrt(N // 4)
    assert joint.var() > score.var()


def test_the_information_of_one_event_of_the_process():
    """By Gauss and Legendre in both variables, in float64, from the complex amplitudes of the program outside."""
    from quincunx.gallery.weinberg_commands import generate

    nodes, weights = np.polynomial.legendre.leggauss(60)
    values = np.array([generate.asymmetry(0.225 + 0.025 * node, 41.0) for node in nodes])
    p = 0.375 * (1 + nodes**2 + values[:, None] * nodes)
    mixture = (weights / 2) @ p
    gain = (weights / 2) @ xlogy(p, p) @ weights - xlogy(mixture, mixture) @ weights
    found = gallery.load("weinberg").truth.eig({"energy": 41.0})
    assert found == pytest.approx(gain, rel=1e-3) and found > 0


def test_the_program_outside_agrees():
    """Exact moments of c, A/4 and 2/5, within standard errors; the same seed gives the same events."""
    program = weinberg_command()
    sims = qx.simulate(program, 3, key=0, design={"energy": 41.0}, events=4000)
    assert sims.x.shape == (3, 4000, 1) and (sims.status == 0).all()
    inside = gallery.load("weinberg").simulator
    for s2, x in zip(np.asarray(sims.theta["s2"]), np.asarray(sims.x[..., 0], float)):
        a = float(asymmetry(s2, 41.0))
        for power, mean in ((1, a / 4), (2, 0.4)):
            assert abs(np.mean(x**power) - mean) < stats.norm.isf(0.5e-4 / 6) * np.std(x**power) / np.sqrt(4000)
        keys = jax.random.split(jax.random.key(9), 4000)
        y = inside.batch({"s2": jnp.full(4000, s2)}, keys=keys, design={"energy": 41.0})
        assert stats.ks_2samp(x, np.asarray(y)[:, 0]).pvalue > 1e-4 / 3
    again = program({"s2": float(sims.theta["s2"][0])}, key=5, design={"energy": 41.0})
    np.testing.assert_array_equal(again, program({"s2": float(sims.theta["s2"][0])}, key=5, design={"energy": 41.0}))


@pytest.mark.skipif(importlib.util.find_spec("snakemake") is None, reason="the extra snakemake is not installed")
def test_the_snakefile_agrees():
    sims = qx.simulate(weinberg_snakemake(), 2, key=0, design={"energy": 41.0}, events=4000)
    assert sims.x.shape == (2, 4000, 1) and (sims.status == 0).all()
    for s2, x in zip(np.asarray(sims.theta["s2"]), np.asarray(sims.x[..., 0], float)):
        assert abs(np.mean(x) - float(asymmetry(s2, 41.0)) / 4) < 4.5 * np.std(x) / np.sqrt(4000)


def test_without_snakemake_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="snakemake"):
        weinberg_snakemake()
