"""Failures as data: the classifier finds the corner where a simulator breaks, and a restricted prior is an honest prior."""

import dataclasses

import numpy as np
import numpyro.distributions as dist
import pytest

import quincunx as qx
from quincunx.errors import AllSimulationsFailed, NameMismatch, SamplerWarning, UnsupportedPrior, UsageError
from quincunx.infer import failures
from quincunx.learn import FitSettings

WHOLE = qx.Prior(a=dist.Normal(0.0, 1.0), b=dist.Uniform(0.0, 1.0))
N = 3000


def breaks(theta, *, rng):
    """Fails where a > 0.6, for certain; what it gives elsewhere is a with noise, and b."""
    if theta["a"] > 0.6:
        raise ArithmeticError("diverged")
    return np.array([theta["a"] + 0.3 * rng.normal(), theta["b"] + 0.1 * rng.normal()])


SIMULATOR = qx.wrap(breaks, WHOLE, name="breaks")


@pytest.fixture(scope="module")
def sims():
    return qx.simulate(SIMULATOR, N, key=0, workers=0)


@pytest.fixture(scope="module")
def restricted(sims):
    return qx.restrict(WHOLE, sims, key=1)


def test_the_classifier_finds_the_edge(sims):
    found = failures(sims)
    b = np.full(5, 0.5)
    p = np.asarray(found.p_ok({"a": np.array([-2.0, 0.0, 0.4, 0.8, 2.0]), "b": b}))
    assert (p[:3] > 0.8).all() and (p[3:] < 0.2).all()
    assert found.table["raised"]["count"] == int(sims.failed.sum())
    assert found.table["ok"]["a"] < 0.6 < found.table["raised"]["a"]
    assert "raised" in repr(found)
    # as well as the true probability of failing, up to what one pixel of edge costs
    assert abs(float(np.mean(1 - found.p_ok(sims.theta))) - sims.failure_rate) < 0.02


def test_the_table_the_picture_and_the_file(sims, tmp_path):
    found = failures(sims)
    figure = found.plot()
    assert [text.get_text() for text in figure.legends[0].get_texts()][-1] == "learned"
    qx.save(found, tmp_path / "failures.qx")
    again = qx.load(tmp_path / "failures.qx")
    theta = {"a": np.linspace(-1, 1, 9), "b": np.full(9, 0.3)}
    np.testing.assert_array_equal(again.p_ok(theta), found.p_ok(theta))
    assert again.table == found.table
    with pytest.raises(NameMismatch):
        found.p_ok({"a": 0.0})


def test_what_is_left_is_the_truth_within_its_error(restricted):
    """The mass of a < 0.6 under N(0, 1) is 0.7257; the edge itself is learned to about a hundredth in a."""
    assert abs(restricted.region.share - 0.7257) < 0.02
    assert restricted.region.share_error == pytest.approx(np.sqrt(0.7257 * 0.2743 / 100_000), rel=0.05)


def test_draws_are_inside_and_the_density_integrates_to_one(restricted):
    draws = restricted.sample(4000, key=2)
    assert draws["a"].shape == draws["b"].shape == (4000,)
    assert float(draws["a"].max()) < 0.75
    assert np.isfinite(restricted.log_prob(draws)).all()
    # E over the whole prior of p_r / p is one
    theta = WHOLE.sample(20_000, key=3)
    weight = np.exp(np.asarray(restricted.log_prob(theta) - WHOLE.log_prob(theta)))
    assert abs(weight.mean() - 1.0) < 4 * weight.std() / np.sqrt(20_000)
    # and in unconstrained space too
    flat = WHOLE.flatten(theta)
    u = WHOLE.to_unconstrained(flat)
    np.testing.assert_allclose(
        restricted.log_prob_unconstrained(u),
        restricted.log_prob_flat(flat) + restricted.log_det(u),
        rtol=2e-3,
        atol=2e-3,
    )


def test_one_draw_is_the_same_alone_and_in_a_batch(restricted):
    """What makes a simulation the same whatever the batch: one key, one draw, also under vmap."""
    import jax

    keys = jax.random.split(jax.random.key(5), 16)
    many = jax.vmap(lambda k: restricted.sample(key=k))(keys)
    for i in (0, 7, 15):
        np.testing.assert_allclose(many["a"][i], restricted.sample(key=keys[i])["a"], rtol=1e-6)


def test_it_says_so_wherever_it_is_shown_and_after_saving(restricted, tmp_path):
    assert "restricted to P(ok | theta) > 0.5" in repr(restricted) and "restricted" in restricted._repr_html_()
    qx.save(restricted, tmp_path / "prior.qx")
    again = qx.load(tmp_path / "prior.qx")
    assert repr(again) == repr(restricted)
    np.testing.assert_array_equal(again.sample(50, key=4)["a"], restricted.sample(50, key=4)["a"])


@pytest.mark.parametrize("method", ["npe", "nle"])
def test_every_later_answer_says_so(restricted, method, tmp_path):
    simulator = qx.wrap(breaks, restricted, name="breaks")
    sims = qx.simulate(simulator, 1000, key=6, workers=0)
    assert sims.failure_rate < 0.05
    settings = FitSettings(epochs=15)
    chosen = qx.NPE(density="gaussian", members=1, settings=settings) if method == "npe" else qx.NLE(settings=settings)
    posterior = qx.infer(simulator, [0.5, 0.5], method=chosen, sims=sims, key=7)
    assert restricted.region.note in posterior.notes
    draws = posterior.sample(500, key=8)
    assert float(np.max(draws["a"])) < 0.75, "draws stay in the region"
    outside = {"a": np.array([2.0]), "b": np.array([0.5])}
    assert np.isneginf(posterior.log_prob(outside)).all()
    posterior.save(tmp_path / "posterior.qx")
    again = qx.load(tmp_path / "posterior.qx")
    assert restricted.region.note in again.warnings
    with pytest.raises(UsageError, match="restricted"):
        again.conditional(b=0.5)


def test_a_simulator_with_it_keeps_it_through_files_of_simulations(restricted, tmp_path):
    sims = qx.simulate(qx.wrap(breaks, restricted), 50, key=0, workers=0)
    sims.save(tmp_path / "sims.npz")
    again = qx.Simulations.load(tmp_path / "sims.npz")
    assert again.prior.region.at_least == 0.5
    # also where the simulator has the whole prior: what was drawn from the restricted one is an answer under that
    from quincunx.infer.verb import prior_for

    assert prior_for(SIMULATOR, again).region is not None


def test_an_observation_from_outside_is_not_answered_silently(restricted):
    from quincunx.infer.amortised import draw_many
    from quincunx.infer.sets import one_observation

    simulator = qx.wrap(breaks, WHOLE, name="breaks")
    sims = qx.simulate(simulator, 400, key=9, workers=0)
    posterior = qx.infer(
        simulator,
        [0.0, 0.5],
        method=qx.NPE(density="gaussian", members=1, settings=FitSettings(epochs=2)),
        sims=sims,
        key=1,
    )
    # a region in which nothing is
    nowhere = dataclasses.replace(restricted.region, at_least=1.0)
    core = dataclasses.replace(posterior.estimator.core, prior=WHOLE.within(nowhere))
    import jax

    with pytest.warns(SamplerWarning, match="do not believe"):
        draw_many(core, *one_observation(posterior.observation), 10, key=jax.random.key(0))


def test_what_cannot_be_restricted_is_refused(sims, restricted):
    with pytest.raises(UsageError, match="between 0 and 1"):
        qx.restrict(WHOLE, sims, at_least=1.0)
    with pytest.raises(UsageError, match="none has failed"):
        qx.restrict(WHOLE, sims.valid())
    with pytest.raises(AllSimulationsFailed):
        qx.restrict(WHOLE, sims[sims.failed])
    with pytest.raises(UnsupportedPrior, match="restricted already"):
        qx.restrict(restricted, sims)
    with pytest.raises(UnsupportedPrior, match="truncate it first"):
        restricted.truncate(a=(0.0, None))
    with pytest.raises(UsageError, match="without a prior"):
        failures(dataclasses.replace(sims, prior=None))
