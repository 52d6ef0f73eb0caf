"""Laws of programs: what a trace, its replay, its changes and its gold must satisfy, for every kind of program."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.contrib.control_flow import scan

import quincunx as qx
from quincunx.gallery.precision import double_scope
from quincunx.model import assay

MU = qx.Prior(mu=dist.Normal(0.0, 1.0))


@qx.program(MU, observed="x")
def gaussian(theta):
    z = numpyro.sample("z", dist.Normal(theta["mu"], 2.0))
    return numpyro.sample("x", dist.Normal(z, 1.0))


@qx.program(qx.Prior(p=dist.Uniform(0.2, 0.8), gap=dist.LogNormal(0.0, 0.3)), observed="x")
def mixture(theta):
    z = numpyro.sample("z", dist.Bernoulli(theta["p"]))
    numpyro.deterministic("mean", theta["gap"] * (2.0 * z - 1.0))
    numpyro.sample("x", dist.Normal(theta["gap"] * (2.0 * z - 1.0), 0.7))


@qx.program(qx.Prior(tilt=dist.Uniform(-1.0, 1.0)), observables=["position"])
def board(theta):
    def fall(position, level):
        right = numpyro.sample("right", dist.Bernoulli(logits=theta["tilt"] * jnp.cos(level + position)))
        return position + right - 0.5, None

    end, _ = scan(fall, jnp.zeros(()), jnp.arange(6.0))
    return end


@qx.program(qx.Prior(loc=dist.Normal(0.0, 1.0), scale=dist.LogNormal(0.0, 0.3)), observed=("height", "count"))
def plates(theta):
    with numpyro.plate("people", 4):
        height = numpyro.sample("height", dist.Normal(theta["loc"], theta["scale"]))
    wait = numpyro.sample("wait", dist.Exponential(theta["scale"]))
    numpyro.sample("count", dist.Geometric(logits=wait - jnp.mean(height)))


@qx.program(qx.Prior(decay=dist.Uniform(0.1, 1.0)), observed="seen")
def timed(theta, *, design):
    left = numpyro.sample("left", dist.Normal(jnp.exp(-theta["decay"] * design["time"]), 0.1))
    return {"seen": numpyro.sample("seen", dist.Normal(left, 0.2).expand((2,)).to_event(1))}


PROGRAMS = {
    "gaussian": (gaussian, None),
    "mixture": (mixture, None),
    "board": (board, None),
    "plates": (plates, None),
    "timed": (timed, {"time": 1.5}),
}
MEMBERS = pytest.mark.parametrize("name", PROGRAMS)


@pytest.fixture(scope="module")
def known():
    """For each program eight traces made one after another, and the keys and parameters they were made with."""
    made = {}
    for name, (simulator, design) in PROGRAMS.items():
        keys = jax.random.split(jax.random.key(3), 8)
        theta = simulator.prior.sample(8, key=4)
        traces = [
            simulator.program.trace({n: v[i] for n, v in theta.items()}, key=keys[i], design=design) for i in range(8)
        ]
        made[name] = (simulator.program, traces, theta, keys, design)
    return made


@MEMBERS
def test_the_log_probability_is_the_sum_over_sites(known, name):
    program, traces, *_ = known[name]
    for trace in traces[:3]:
        assert set(trace.log_probs) == set(trace.values) == set(trace.addresses)
        np.testing.assert_allclose(trace.log_prob, sum(map(float, trace.log_probs.values())), rtol=1e-5)
        np.testing.assert_allclose(trace.log_prob, trace.log_prior + trace.log_likelihood, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(trace.log_prob, program.log_joint(trace.theta, trace), rtol=1e-6)


@MEMBERS
def test_replaying_reproduces_the_outcome_bit_for_bit(known, name):
    program, traces, *_ = known[name]
    for trace in traces:
        again = program.replay(trace)
        for part, other in zip(jax.tree.leaves(trace.result), jax.tree.leaves(again.result)):
            np.testing.assert_array_equal(part, other)
        for address in trace.addresses:
            np.testing.assert_array_equal(trace.values[address], again.values[address])


@MEMBERS
def test_a_trace_has_the_outcome_of_the_simulation(known, name):
    simulator, design = PROGRAMS[name]
    _, traces, theta, keys, _ = known[name]
    x = simulator({n: v[0] for n, v in theta.items()}, key=keys[0], design=design)
    np.testing.assert_array_equal(
        np.concatenate([np.ravel(a) for a in jax.tree.leaves(traces[0].result)]).astype(np.float32),
        np.concatenate([np.ravel(a) for a in jax.tree.leaves(x)]),
    )


@MEMBERS
def test_jit_and_vmap_equal_single_calls(known, name):
    program, traces, theta, keys, design = known[name]
    batch = jax.jit(jax.vmap(lambda t, k: program.trace(t, key=k, design=design)))(theta, keys)
    replayed = jax.vmap(program.replay)(batch)
    assert f"({len(traces)},) traces" in repr(batch)
    with pytest.raises(qx.errors.ShapeMismatch, match="vmap"):
        program.replay(batch)
    for i, trace in enumerate(traces):
        for several in (batch, replayed):
            for whole, one in zip(jax.tree.leaves(several), jax.tree.leaves(trace)):
                np.testing.assert_allclose(whole[i], one, rtol=1e-5, atol=1e-6)


@MEMBERS
def test_the_joint_score_is_a_finite_difference(known, name):
    simulator, design = PROGRAMS[name]
    program, traces, *_ = known[name]
    trace, step = traces[1], 1e-5

    @jax.jit
    def look(theta, values):
        def log_prob(at):
            return program.log_joint(at, values, design=design)

        slopes = {
            name: (log_prob({**theta, name: theta[name] + step}) - log_prob({**theta, name: theta[name] - step}))
            / (2 * step)
            for name in theta
        }
        return simulator.gold.joint_score(theta, trace.result, values, design=design), slopes

    with double_scope():
        values, theta = (
            {n: jnp.asarray(np.asarray(v), jnp.float64 if v.dtype.kind == "f" else v.dtype) for n, v in named.items()}
            for named in (trace.values, trace.theta)
        )
        score, slopes = look(theta, values)
        for name in theta:
            # Central differences err by step^2 and by rounding over step.
            np.testing.assert_allclose(score[name], slopes[name], rtol=1e-6, atol=1e-7)


@MEMBERS
def test_score_and_ratio_have_the_means_they_must(name):
    simulator, design = PROGRAMS[name]
    prior, n = simulator.prior, 4000
    near = prior.to_constrained(jnp.stack([jnp.zeros(prior.unconstrained_dim), jnp.full(prior.unconstrained_dim, 0.2)]))
    own, other = (prior.unflatten(point) for point in near)

    @jax.jit
    @jax.vmap
    def look(key):
        x, z = simulator.gold.run(own, key, design)
        score = simulator.gold.joint_score(own, x, z, design=design)
        log_ratio = simulator.gold.log_prob(other, x, z, design) - simulator.gold.log_prob(own, x, z, design)
        return prior.flatten(score), jnp.exp(log_ratio)

    scores, ratios = look(jax.random.split(jax.random.key(7), n))
    for sample, mean in [*((column, 0.0) for column in np.asarray(scores).T), (np.asarray(ratios), 1.0)]:
        assert abs(sample.mean() - mean) < 3 * sample.std() / np.sqrt(n)


@MEMBERS
def test_changing_nothing_weighs_nothing_and_changes_can_be_taken_back(known, name):
    program, traces, *_ = known[name]
    trace, donor = traces[0], traces[1]
    same, weight, discarded = program.update(trace, {})
    assert same is trace and weight == 0 and discarded == {}
    same, weight = program.regenerate(trace, (), key=0)
    assert same is trace and weight == 0
    address = trace.addresses[0]
    new, weight, discarded = program.update(trace, {address: donor.values[address]})
    np.testing.assert_array_equal(discarded[address], trace.values[address])
    np.testing.assert_allclose(weight, new.log_prob - trace.log_prob, rtol=1e-4, atol=1e-4)
    back, other, _ = program.update(new, discarded)
    np.testing.assert_allclose(weight, -other, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(back.log_prob, trace.log_prob, rtol=1e-5, atol=1e-5)
    moved, weight, _ = program.update(trace, {}, donor.theta)
    np.testing.assert_allclose(moved.log_prob, program.log_joint(donor.theta, trace), rtol=1e-5)
    np.testing.assert_allclose(weight, moved.log_prob - trace.log_prob, rtol=1e-4, atol=1e-4)


@MEMBERS
def test_regenerating_and_generating_weigh_what_is_kept(known, name):
    program, traces, _, keys, design = known[name]
    trace = traces[0]
    address = trace.addresses[0]
    kept = [other for other in trace.addresses if other != address]
    new, weight = program.regenerate(trace, address, key=11)
    for other in kept:
        np.testing.assert_array_equal(new.values[other], trace.values[other])
    assert not np.array_equal(new.values[address], trace.values[address]) or name in ("mixture", "board")
    change = new.log_prob - trace.log_prob - (new.log_probs[address] - trace.log_probs[address])
    np.testing.assert_allclose(weight, change, rtol=1e-4, atol=1e-4)
    # everything drawn afresh leaves nothing to weigh, and equals a trace with that key
    fresh, weight = program.regenerate(trace, trace.addresses, key=keys[1])
    assert weight == 0
    drawn = program.trace(trace.theta, key=keys[1], design=design)
    np.testing.assert_array_equal(fresh.log_prob, drawn.log_prob)
    given, weight = program.generate(trace.theta, {address: trace.values[address]}, key=1, design=design)
    np.testing.assert_allclose(weight, given.log_probs[address], rtol=1e-6)


@MEMBERS
def test_saved_loaded_and_replayed_it_is_the_same(known, name, tmp_path):
    program, traces, *_ = known[name]
    trace = traces[2]
    loaded = qx.load(qx.save(trace, tmp_path / "trace.qx"))
    assert loaded.sites == trace.sites and repr(loaded) == repr(trace)
    for part, other in zip(jax.tree.leaves(trace), jax.tree.leaves(loaded), strict=True):
        np.testing.assert_array_equal(part, other)
    np.testing.assert_array_equal(program.replay(loaded).log_prob, program.replay(trace).log_prob)


# What the assay accepts and refuses has tests of its own; here it meets a loop and settings of the experiment.
@pytest.mark.parametrize("name", ["board", "timed"])
def test_its_gold_passes_the_assay(name):
    simulator, design = PROGRAMS[name]
    assay(simulator, key=0, design=design)
