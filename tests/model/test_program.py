"""Programs: declared, run, conditioned, and summed exactly against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.contrib.control_flow import cond, scan

import quincunx as qx
from quincunx import errors
from quincunx.gallery.galton_generalised import _left, outcome_probabilities
from quincunx.lab.book.fingerprint import fingerprint
from quincunx.run.address import address_of, caller_at
from quincunx.run.parcel import parcel_of, simulator_in

MU = qx.Prior(mu=dist.Normal(0.0, 1.0))


@qx.program(MU, observed="x", observables=["reading"], units="mm", version="3")
def chain(theta):
    z = numpyro.sample("z", dist.Normal(theta["mu"], 2.0))
    numpyro.sample("x", dist.Normal(z, 1.0))


def galton(rows, nails=31):
    @qx.program(qx.Prior(theta=dist.Uniform(-1.0, -0.4)), observables=["position"])
    def board(theta):
        def fall(position, level):
            left = numpyro.sample("left", dist.Bernoulli(_left(theta["theta"], level, position, rows, nails)))
            return position + (1 - left) - level % 2, None

        end, _ = scan(fall, jnp.asarray(nails // 2), jnp.arange(rows))
        return end[None].astype(float)

    return board


@pytest.fixture(scope="module")
def ten_rows():
    return galton(10)


def test_it_is_a_simulator_like_any_other():
    assert chain.kind == "jax" and chain.observables == ("reading",) and chain.version == "3"
    assert chain({"mu": 1.0}, key=0).shape == (1,)
    sims = qx.simulate(chain, 2000, key=0, theta={"mu": np.full(2000, 1.5)})
    assert sims.x.shape == (2000, 1)
    assert abs(sims.x.mean() - 1.5) < 3 * np.sqrt(5 / 2000)
    assert abs(sims.x.var() - 5) < 3 * 5 * np.sqrt(2 / 2000)
    with pytest.raises(errors.UsageError, match="takes none"):
        chain({"mu": 1.0}, key=0, design={"t": 1.0})


def test_only_a_program_has_one():
    plain = qx.wrap(lambda theta, *, key: theta["mu"], MU, name="plain")
    with pytest.raises(errors.UsageError, match=r"qx|quincunx\.program"):
        plain.program
    with pytest.raises(errors.SimulatorError, match="needs no key"):
        qx.program(MU)(lambda theta, *, key: 0.0)


def test_other_processes_find_it_with_its_gold():
    found = simulator_in(parcel_of(chain))
    assert address_of(chain) is not None and address_of(galton(3)) is None
    assert found.function == chain.function and found.gold == chain.gold
    assert caller_at(address_of(chain)) == chain.caller


def test_its_fingerprint_is_that_of_the_model_and_of_what_is_held():
    def again(z):
        return qx.wrap(chain.program.substitute({"z": z}), MU)

    assert fingerprint(again(1.0)) == fingerprint(again(1.0)) != fingerprint(again(2.0))
    assert len({fingerprint(s) for s in (chain, again(1.0), galton(3))}) == 3


def test_values_are_substituted_observed_and_compared():
    program = chain.program
    fixed, seen = program.substitute({"z": 3.0}), program.condition({"z": 3.0})
    assert fixed == program.substitute({"z": 3.0}) != program.substitute({"z": 4.0})
    assert hash(fixed) == hash(program.substitute({"z": 3.0}))
    kinds = [{site.address: site.kind for site in p.trace({"mu": 0.0}, key=0).sites} for p in (fixed, seen)]
    assert kinds == [{"z": "latent", "x": "observed"}, {"z": "observed", "x": "observed"}]
    assert fixed.trace({"mu": 0.0}, key=0).values["z"] == seen.trace({"mu": 0.0}, key=0).values["z"] == 3.0
    assert "conditioned on z" in repr(seen) and "z substituted" in repr(fixed)
    with pytest.raises(errors.NameMismatch, match=r"'y'.*z.*x"):
        program.condition({"y": 1.0}).trace({"mu": 0.0}, key=0)
    with pytest.raises(errors.ShapeMismatch, match="'z'"):
        program.substitute({"z": np.ones(2)}).trace({"mu": 0.0}, key=0)


def test_an_intervention_has_the_gold_of_what_it_draws():
    # x | do(z = 3) ~ N(3, 1), whatever mu is; z alone is N(mu, 4)
    acted = qx.wrap(chain.program.substitute({"z": 3.0}), MU)

    @jax.jit
    def look(key):
        x, z = acted.gold.run({"mu": 0.0}, key)
        return x[0], acted.gold.log_prob({"mu": 0.0}, x, z), acted.gold.joint_score({"mu": 0.0}, x, z)["mu"]

    x, log_prob, score = look(jax.random.key(1))
    np.testing.assert_allclose(log_prob, dist.Normal(3.0, 1.0).log_prob(x), rtol=1e-5)
    assert score == 0.0


def test_a_missing_value_an_unknown_parameter_and_no_outcome_are_named():
    with pytest.raises(errors.UsageError, match=r"no value for the site 'x'.*generate"):
        chain.program.log_joint({"mu": 0.0}, {"z": 1.0})
    with pytest.raises(errors.NameMismatch, match="asks for 'mu'"):
        chain.program.trace({"nu": 0.0}, key=0)

    @qx.program(MU)
    def silent(theta):
        numpyro.sample("z", dist.Normal(theta["mu"], 1.0))

    with pytest.raises(errors.SimulatorError, match="returned nothing"):
        silent.program.trace({"mu": 0.0}, key=0)


def test_the_weight_of_generated_traces_is_an_unbiased_estimate():
    """E exp(w) = p(x | mu) = N(x; mu, 5)."""
    keys = jax.random.split(jax.random.key(2), 4000)
    weights = np.exp(jax.jit(jax.vmap(lambda key: chain.program.generate({"mu": 0.5}, {"x": 2.0}, key=key)[1]))(keys))
    truth = np.exp(dist.Normal(0.5, np.sqrt(5.0)).log_prob(2.0))
    assert abs(weights.mean() - truth) < 3 * weights.std() / np.sqrt(len(keys))


def test_regenerating_is_a_step_of_metropolis_with_the_right_posterior():
    """z | x, mu ~ N((mu + 4 x) / 5, 4 / 5)."""
    program, mu, x = chain.program, 0.5, 2.0

    @jax.jit
    @jax.vmap
    def walk(key):
        def move(trace, key):
            new, weight = program.regenerate(trace, "z", key=jax.random.fold_in(key, 0))
            take = jnp.log(jax.random.uniform(jax.random.fold_in(key, 1))) < weight
            return jax.tree.map(lambda a, b: jnp.where(take, a, b), new, trace), None

        start, _ = program.generate({"mu": mu}, {"x": x}, key=key)
        end, _ = jax.lax.scan(move, start, jax.random.split(jax.random.fold_in(key, 9), 40))
        return end.values["z"]

    z = np.asarray(walk(jax.random.split(jax.random.key(4), 2000)))
    assert abs(z.mean() - (mu + 4 * x) / 5) < 3 * np.sqrt(0.8 / 2000)
    assert abs(z.var() - 0.8) < 3 * 0.8 * np.sqrt(2 / 2000)


def test_a_board_is_summed_over_all_its_paths(ten_rows):
    theta = {"theta": jnp.asarray(-0.7)}
    truth = outcome_probabilities(theta["theta"], 10, 31)
    found = np.exp([ten_rows.program.log_likelihood(theta, np.array([x], np.float32)) for x in range(32)])
    np.testing.assert_allclose(found, truth, atol=3e-6)
    np.testing.assert_allclose(found.sum(), 1.0, rtol=1e-5)
    score = jax.grad(lambda t: ten_rows.program.log_likelihood({"theta": t}, jnp.array([13.0])))(theta["theta"])
    exact = jax.grad(lambda t: jnp.log(outcome_probabilities(t, 10, 31)[13]))(theta["theta"])
    np.testing.assert_allclose(score, exact, rtol=1e-4)


def test_twenty_rows_are_the_most_that_are_summed():
    theta = {"theta": -0.5}
    value = galton(20).program.log_likelihood(theta, jnp.array([12.0]))
    np.testing.assert_allclose(value, jnp.log(outcome_probabilities(jnp.asarray(-0.5), 20, 31)[12]), rtol=1e-5)
    with pytest.raises(errors.TooManyAssignments, match=r"2.1e\+06 combinations.*1048576"):
        galton(21).program.log_likelihood(theta, jnp.array([12.0]))


def test_the_posterior_of_paths_is_bayes_and_can_be_drawn_from(ten_rows):
    posterior = ten_rows.program.latent_posterior({"theta": -0.7}, np.array([13.0]))
    assert len(posterior) == 1024
    np.testing.assert_allclose(np.exp(posterior.log_probs).sum(), 1.0, rtol=1e-5)
    paths, probabilities = posterior.most_probable(3)
    assert paths["left"].shape == (3, 10) and np.all(np.diff(probabilities) <= 0)
    # every path with any probability ends at 13: 10 - lefts - 5 = -2
    assert np.all(10 - np.asarray(paths["left"]).sum(1) - 5 == -2)
    marginals = np.asarray(posterior.marginals()["left"])
    draws = np.asarray(posterior.sample(4000, key=0)["left"])
    np.testing.assert_allclose(marginals.sum(-1), 1.0, rtol=1e-5)
    error = np.sqrt(marginals[:, 1] * marginals[:, 0] / 4000)
    assert np.all(np.abs(draws.mean(0) - marginals[:, 1]) < 4 * error + 1e-6)
    with pytest.raises(errors.ZeroProbability, match="none of the 1024 combinations"):
        ten_rows.program.latent_posterior({"theta": -0.7}, np.array([30.0]))


def test_a_mixture_has_its_closed_form_as_vectors_plates_and_names():
    weights = np.array([0.2, 0.5, 0.3], np.float32)

    @qx.program(qx.Prior(gap=dist.LogNormal(0.0, 1.0)), observed=("x", "y"))
    def mixture(theta):
        with numpyro.plate("pairs", 2):
            z = numpyro.sample("z", dist.Categorical(jnp.asarray(weights)))
            numpyro.sample("x", dist.Normal(theta["gap"] * z, 1.0))
        numpyro.sample("y", dist.Poisson(1.0 + z.sum()))

    x, y, gap = np.array([0.3, 2.2], np.float32), 3.0, 1.3
    truth, parts = 0.0, np.zeros((3, 3))
    for a in range(3):
        for b in range(3):
            means = gap * np.array([a, b])
            density = np.exp(-0.5 * ((x - means) ** 2).sum()) / (2 * np.pi)
            rate = 1.0 + a + b
            parts[a, b] = weights[a] * weights[b] * density * np.exp(-rate) * rate**3 / 6
    truth = parts.sum()
    program = mixture.program
    np.testing.assert_allclose(np.exp(program.log_likelihood({"gap": gap}, {"x": x, "y": y})), truth, rtol=1e-5)
    posterior = program.latent_posterior({"gap": gap}, {"x": x, "y": y})
    np.testing.assert_allclose(posterior.log_evidence, np.log(truth), rtol=1e-5)
    expected = np.stack([parts.sum(1), parts.sum(0)]) / truth
    np.testing.assert_allclose(posterior.marginals()["z"], expected, rtol=1e-4)
    held = program.condition({"z": [2, 0]})
    np.testing.assert_allclose(np.exp(held.log_likelihood({"gap": gap}, {"x": x, "y": y})), parts[2, 0], rtol=1e-5)
    with pytest.raises(errors.UsageError, match="expected a dictionary"):
        program.log_likelihood({"gap": gap}, x)
    with pytest.raises(errors.NameMismatch, match="'x', 'y'"):
        program.log_likelihood({"gap": gap}, {"x": x})


def test_a_latent_without_finitely_many_values_is_named():
    with pytest.raises(errors.NotEnumerable, match="'z' from a Normal"):
        chain.program.log_likelihood({"mu": 0.0}, 1.0)
    given = chain.program.condition({"z": 1.0}).log_likelihood({"mu": 0.0}, 1.0)
    np.testing.assert_allclose(
        given, dist.Normal(0.0, 2.0).log_prob(1.0) + dist.Normal(1.0, 1.0).log_prob(1.0), rtol=1e-5
    )


def test_an_outcome_that_is_not_the_observed_site_is_refused():
    @qx.program(MU, observed="x")
    def doubled(theta):
        return 2.0 * numpyro.sample("x", dist.Normal(theta["mu"], 1.0))

    with pytest.raises(errors.UsageError, match="something else than the values"):
        doubled.program.log_likelihood({"mu": 0.0}, 1.0)
    by_name = doubled.program.log_likelihood({"mu": 0.0}, {"x": 1.0})
    np.testing.assert_allclose(by_name, dist.Normal(0.0, 1.0).log_prob(1.0), rtol=1e-5)


def test_what_cannot_happen_and_what_is_no_number_is_refused():
    counts = qx.program(qx.Prior(rate=dist.LogNormal(0.0, 1.0)), observed="n")(
        lambda theta: numpyro.sample("n", dist.Poisson(theta["rate"]))
    )
    for impossible in (-1.0, 2.5):
        with pytest.raises(errors.ZeroProbability, match="site 'n'.*Poisson"):
            counts.program.condition({"n": impossible}).trace({"rate": 1.0}, key=0)
    with pytest.raises(errors.ZeroProbability):
        counts.program.generate({"rate": 1.0}, {"n": -1}, key=0)
    assert counts.program.log_joint({"rate": 1.0}, {"n": -1}) == -np.inf
    for door in (
        lambda: chain.program.condition({"x": np.nan}),
        lambda: chain.program.generate({"mu": 0.0}, {"x": np.nan}, key=0),
        lambda: chain.program.log_likelihood({"mu": 0.0}, np.nan),
    ):
        with pytest.raises(errors.NonFiniteObservation, match="NaN"):
            door()


def test_factors_scales_subsamples_branches_and_parameters_are_refused():
    def factor(theta):
        numpyro.factor("f", theta["mu"])

    def scaled(theta):
        with numpyro.handlers.scale(scale=2.0):
            numpyro.sample("z", dist.Normal(theta["mu"], 1.0))

    def subsampled(theta):
        with numpyro.plate("rows", 10, subsample_size=3):
            numpyro.sample("z", dist.Normal(theta["mu"], 1.0))

    def branched(theta):
        cond(theta["mu"] > 0, lambda _: numpyro.sample("z", dist.Normal(0.0, 1.0)), lambda _: 0.0, None)

    def parameter(theta):
        numpyro.param("p", 1.0)

    refused = {
        factor: errors.Unnormalised,
        scaled: errors.Unnormalised,
        subsampled: errors.Unnormalised,
        branched: errors.SimulatorError,
        parameter: errors.SimulatorError,
    }
    for model, error in refused.items():
        with pytest.raises(error):
            qx.program(MU)(model).program.trace({"mu": 0.0}, key=0)


def test_loops_nest_and_give_their_tags():
    @qx.program(MU)
    def nested(theta):
        def outer(total, _):
            def inner(sum_, weight):
                value = numpyro.sample("z", dist.Exponential(jnp.exp(theta["mu"]) * weight))
                return sum_ + value, value

            total, values = scan(inner, total, jnp.arange(1.0, 4.0))
            numpyro.deterministic("largest", values.max())
            return total, None

        return scan(outer, 0.0, None, length=2)[0]

    trace = nested.program.trace({"mu": 0.3}, key=5)
    rates = np.exp(0.3) * np.arange(1.0, 4.0)
    assert trace.values["z"].shape == trace.sites[0].shape == (2, 3)
    np.testing.assert_allclose(trace.log_prob, (np.log(rates) - rates * np.asarray(trace.values["z"])).sum(), rtol=1e-5)
    np.testing.assert_allclose(trace.result, np.sum(trace.values["z"]), rtol=1e-6)
    np.testing.assert_array_equal(trace.tags["largest"], np.max(trace.values["z"], axis=1))
    assert len(np.unique(trace.values["z"])) == 6


def test_a_value_that_is_given_does_not_change_the_other_draws():
    free = chain.program.trace({"mu": 0.0}, key=3)
    given, _ = chain.program.generate({"mu": 0.0}, {"z": float(free.values["z"])}, key=3)
    assert given.values["x"] == free.values["x"]
