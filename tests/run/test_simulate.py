"""simulate(): keys, chunks, sets of events, settings, failures, Ctrl-C."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from quincunx.errors import (
    AllSimulationsFailed,
    ConstantColumnWarning,
    FailureWarning,
    Interrupted,
    NameMismatch,
    QuincunxWarning,
    SimulatorError,
    UsageError,
)
from quincunx.model import Prior, simulator, wrap
from quincunx.run import simulate

PRIOR = Prior(mu=dist.Normal(0.0, 1.0), scale=dist.Uniform(0.5, 2.0))


@simulator(PRIOR)
def bell(theta, *, key, design=None):
    shift = 0.0 if design is None else design["shift"]
    return theta["mu"] + shift + theta["scale"] * jax.random.normal(key, (2,))


@simulator(PRIOR)
def plain(theta, *, rng, design=None):
    shift = 0.0 if design is None else design["shift"]
    return theta["mu"] + shift + theta["scale"] * rng.normal(size=2)


@simulator(PRIOR)
def plains(theta, *, rngs, design=None):
    noise = np.array([rng.normal(size=2) for rng in rngs])
    shift = 0.0 if design is None else np.asarray(design["shift"])[:, None]
    return theta["mu"][:, None] + shift + theta["scale"][:, None] * noise


MEMBERS = pytest.mark.parametrize("sim", [bell, plain, plains], ids=lambda s: s.name)


def same(a, b):
    np.testing.assert_array_equal(a.x_flat(), b.x_flat())
    np.testing.assert_array_equal(a.theta_flat(), b.theta_flat())


@MEMBERS
def test_it_gives_rows_of_parameters_and_outcomes(sim):
    sims = simulate(sim, 64, key=0)
    assert len(sims) == 64 and sims.x.shape == (64, 2) and sims.names == ("mu", "scale")
    assert sims.x.dtype == np.float32 and sims.theta_flat().dtype == np.float32
    assert not sims.failed.any() and sims.stopped is None
    same(sims, simulate(sim, 64, key=0))
    assert not np.array_equal(sims.x, simulate(sim, 64, key=1).x)
    assert not np.array_equal(sims.x, simulate(sim, 64, key=0, round=1).x)


@MEMBERS
def test_a_simulation_depends_on_its_index_alone(sim):
    whole = simulate(sim, 50, key=0)
    same(simulate(sim, 20, key=0), whole[:20])
    rest = simulate(sim, 30, key=0, start=20)
    same(rest, whole[20:])
    np.testing.assert_array_equal(rest.index, np.arange(20, 50))


@pytest.mark.parametrize("memory", [1_000, 6_000])
def test_the_chunk_size_changes_nothing(memory):
    same(simulate(bell, 64, key=4, memory=memory), simulate(bell, 64, key=4))


def test_simulation_i_can_be_repeated_from_its_key():
    sims = simulate(bell, 20, key=9, round=2)
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(9), 2), 13)
    theta = {name: value[13] for name, value in sims.theta.items()}
    np.testing.assert_allclose(bell(theta, key=key), sims.x[13], rtol=1e-6)


def test_a_plain_simulation_follows_the_seed_sequence_of_its_index():
    sims = simulate(plain, 20, key=9, round=2)
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([9, 2, 13])))
    np.testing.assert_allclose(
        plain.function({n: v[13] for n, v in sims.theta.items()}, rng=rng), sims.x[13], rtol=1e-6
    )


def test_outcomes_follow_the_simulator():
    sims = simulate(bell, 4000, key=0)
    z = (sims.x - sims.theta["mu"][:, None]) / sims.theta["scale"][:, None]
    # mean of 8000 standard normals: standard error 1/sqrt(8000); four of them
    assert abs(z.mean()) < 4 / np.sqrt(8000)
    assert abs(z.std() - 1) < 4 / np.sqrt(2 * 8000)
    assert abs(np.corrcoef(z.T)[0, 1]) < 4 / np.sqrt(4000)


@MEMBERS
def test_sets_of_events_share_their_parameters(sim):
    sims = simulate(sim, 128, key=0, events=3)
    same(simulate(sim, 65, key=0, events=3), sims[:65])
    assert sims.events and sims.x.shape == (128, 3, 2) and sims.x_flat().shape == (128, 3, 2)
    z = (sims.x - sims.theta["mu"][:, None, None]) / sims.theta["scale"][:, None, None]
    corr = np.corrcoef(z.reshape(128, 6).T)[np.triu_indices(6, 1)]
    # fifteen correlations of 128 pairs: 4.5 standard errors
    assert np.abs(corr).max() < 4.5 / np.sqrt(128)


@MEMBERS
def test_given_parameters_are_used(sim):
    theta = {"mu": np.full(64, 100.0), "scale": np.ones(64)}
    sims = simulate(sim, 64, key=0, theta=theta)
    assert (sims.x > 50).all()
    np.testing.assert_array_equal(sims.theta["mu"], theta["mu"])
    same(sims, simulate(sim, key=0, theta=theta))


@MEMBERS
def test_settings_fixed_each_or_drawn(sim):
    fixed = simulate(sim, 64, key=0, design={"shift": 100.0})
    assert fixed.design["shift"].shape == (64,) and (fixed.x > 50).all()
    each = simulate(sim, 64, key=0, design={"shift": np.arange(64.0) * 100})
    np.testing.assert_allclose(each.x[:, 0] - simulate(sim, 64, key=0).x[:, 0], np.arange(64.0) * 100, atol=1e-2)
    drawn = simulate(sim, 64, key=0, design=Prior(shift=dist.Uniform(100.0, 200.0)))
    assert drawn.design["shift"].shape == (64,) and np.ptp(drawn.design["shift"]) > 10
    np.testing.assert_allclose(drawn.x - simulate(sim, 64, key=0).x, drawn.design["shift"][:, None] * [1, 1], rtol=1e-4)


def test_vector_settings_reach_a_single_simulation_whole():
    times = np.linspace(0, 1, 5)
    sim = wrap(lambda theta, *, key, design: theta["mu"] * design["t"] + jax.random.normal(key, (5,)), PRIOR)
    assert simulate(sim, 8, key=0, design={"t": times}).design["t"].shape == (8, 5)


def test_dicts_of_arrays():
    sim = wrap(lambda theta, *, key: {"b": jax.random.normal(key, (2, 2)), "a": theta["mu"][None]}, PRIOR)
    sims = simulate(sim, 10, key=0)
    assert sims.x["b"].shape == (10, 2, 2) and sims.x_flat().shape == (10, 5)
    assert sims.outcome.columns[0] == "a[0]"


@pytest.mark.parametrize(
    "options",
    [{"n": 0}, {"n": -3}, {}, {"n": 4, "events": 0}, {"n": 4, "theta": {"mu": np.zeros(3), "scale": np.ones(3)}}],
    ids=str,
)
def test_counts_that_make_no_sense_are_refused(options):
    with pytest.raises(UsageError, match="expected"):
        simulate(bell, key=0, **options)


def test_parameters_of_other_names_are_refused():
    with pytest.raises(NameMismatch, match="sigma"):
        simulate(bell, key=0, theta={"mu": np.zeros(3), "sigma": np.ones(3)})


# Failures are data.


def log_mu(theta, *, key):
    return jnp.log(theta["mu"]) + jax.random.normal(key, (2,))


def raises_low(theta, *, rng):
    if theta["mu"] < -1:
        raise ValueError("mu too low")
    return rng.normal(size=2) + (np.nan if theta["mu"] > 1.5 else 0.0)


def test_nan_is_kept_counted_and_reported_against_theta():
    with pytest.warns(FailureWarning, match=r"failed \(0 raised.*low mu"):
        sims = simulate(wrap(log_mu, PRIOR), 400, key=0)
    np.testing.assert_array_equal(sims.status == 1, sims.theta["mu"] < 0)
    assert np.isnan(sims.x[sims.status == 1]).all()
    assert len(sims.valid()) == (sims.theta["mu"] > 0).sum()
    assert sims.failures()["mu"]["above"] == 0.0
    assert abs(sims.failures()["scale"]["above"] - 0.5) < 0.2


def test_exceptions_are_kept_with_what_they_said():
    with pytest.warns(FailureWarning, match="mu too low"):
        sims = simulate(wrap(raises_low, PRIOR), 400, key=0)
    np.testing.assert_array_equal(sims.status == 2, sims.theta["mu"] < -1)
    np.testing.assert_array_equal(sims.status == 1, sims.theta["mu"] > 1.5)
    assert set(sims.messages) == set(np.flatnonzero(sims.status == 2))
    assert "ValueError: mu too low" in next(iter(sims.messages.values()))


def test_one_bad_row_does_not_cost_its_batch():
    def function(theta, *, rngs):
        if (theta["mu"] < -1).any():
            raise ValueError("mu too low")
        return np.array([rng.normal(size=2) for rng in rngs])

    with pytest.warns(FailureWarning):
        sims = simulate(wrap(function, PRIOR), 100, key=0)
    np.testing.assert_array_equal(sims.status == 2, sims.theta["mu"] < -1)


def test_five_per_cent_failures_are_a_warning():
    def function(theta, *, key):
        return jnp.where(jax.random.uniform(key) < 0.05, jnp.nan, theta["mu"])[None]

    with pytest.warns(FailureWarning, match="%"):
        sims = simulate(wrap(function, PRIOR), 2000, key=0)
    # binomial: four standard errors
    assert abs(sims.failure_rate - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 2000)


@pytest.mark.parametrize("n", [20, 5000])
def test_all_failed_is_refused_at_once(n):
    with pytest.raises(AllSimulationsFailed, match=r"x\[0\]"):
        simulate(wrap(lambda theta, *, key: jnp.array([jnp.nan, 0.0]) * theta["mu"], PRIOR), n, key=0)

    def always(theta, *, rng):
        raise ValueError("out of range")

    with pytest.raises(AllSimulationsFailed, match="out of range"):
        simulate(wrap(always, PRIOR), n, key=0)


def test_a_slip_of_the_pen_is_an_error_not_a_failure():
    def function(theta, *, rng):
        return undefined_name + rng.normal()

    with pytest.raises(SimulatorError, match=r"(?s)NameError.*line"):
        simulate(wrap(function, PRIOR), 100, key=0)


def test_constant_columns_are_named():
    sim = wrap(lambda theta, *, key: jnp.stack([theta["mu"], 3.0]), PRIOR, observables=["free", "stuck"])
    with pytest.warns(ConstantColumnWarning, match="stuck = 3"):
        simulate(sim, 50, key=0)


def test_varying_shapes_are_failures_of_those_rows():
    def function(theta, *, rng):
        return rng.normal(size=2 if theta["mu"] < 1 else 3)

    with pytest.warns(FailureWarning, match="raised"):
        sims = simulate(wrap(function, PRIOR), 100, key=0)
    assert 0 < sims.failure_rate < 0.5
    assert "returned shape" in next(iter(sims.messages.values()))


# Progress and interruption.


def test_progress_is_told_to_the_end():
    told = []
    simulate(bell, 100, key=0, progress=told.append)
    assert told[-1]["done"] == told[-1]["total"] == 100 and told[-1]["failed"] == 0


def test_ctrl_c_keeps_what_is_done_and_it_can_go_on():
    calls = []

    def function(theta, *, rng):
        calls.append(1)
        if len(calls) == 60:
            raise KeyboardInterrupt
        return rng.normal(size=2)

    sim = wrap(function, PRIOR)
    with pytest.warns(QuincunxWarning, match="interrupted after"):
        part = simulate(sim, 100, key=0)
    assert part.stopped == "interrupted" and 3 <= len(part) < 60
    rest = simulate(sim, 100 - len(part), key=0, start=len(part))
    same(part.concatenate(rest), simulate(sim, 100, key=0))


def test_ctrl_c_before_anything_is_done():
    def function(theta, *, rng):
        raise KeyboardInterrupt

    with pytest.raises((Interrupted, KeyboardInterrupt)):
        simulate(wrap(function, PRIOR), 10, key=0)
