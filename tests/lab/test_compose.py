"""From a posterior, its checks and its simulations to what the report says."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

from quincunx.check.report import Report
from quincunx.check.result import TestResult
from quincunx.errors import NameMismatch, ShapeMismatch
from quincunx.infer.run import Run
from quincunx.infer.summary import Summary
from quincunx.lab import from_run, render_report
from quincunx.lab.report.columns import Columns
from quincunx.lab.report.provenance import fingerprint, surroundings
from quincunx.model import Outcome, Prior
from quincunx.run import Simulations

RANDOM = np.random.default_rng(0)
PRIOR = Prior(beta=dist.Uniform(0.0, 5.0), gamma=dist.Uniform(0.0, 2.0), units={"beta": "1/day", "gamma": "1/day"})


class Answer:
    """What `from_run` asks of a posterior, without a network behind it."""

    prior, design, warnings = PRIOR, {"population": 763}, ("The observation looks odd.",)

    def __init__(self, x_o, outcome):
        self.x_o = x_o
        history = {"train": np.linspace(2, 1, 20)[:, None], "validation": np.linspace(2, 1.2, 20)[:, None]}
        surrogate = SimpleNamespace(
            history=history, best_epoch=np.array([19]), best_loss=np.array([1.2]), stopped="budget", cpu_seconds=3.21,
            functional="negative_log_density", members=1, spec={"density": {"kind": "autoregressive"}},
        )  # fmt: skip
        self.estimator = SimpleNamespace(
            surrogate=surrogate, method={"method": "npe", "members": 1}, reader=SimpleNamespace(outcome=outcome)
        )

    def standard_run(self) -> Run:
        theta = RANDOM.normal([1.7, 0.5], [0.05, 0.04], size=(1000, 2))
        diagnostics = {"sampler": "nuts", "reason": "finished", "ess_bulk": [800.0, 700.0], "rhat": [1.0, 1.01]}
        return Run(jnp.asarray(theta), diagnostics, ("Slow mixing.",))

    def summary(self, run: Run) -> Summary:
        return Summary.of(np.asarray(run.theta), columns=PRIOR.columns, units=PRIOR.units, ess=run.ess, r_hat=run.r_hat)


def report_of(observed: np.ndarray) -> Report:
    replicates = observed + RANDOM.normal(size=(200, observed.size))
    uniform = {"ranks": RANDOM.integers(0, 100, 200), "draws": np.asarray(99)}
    levels = np.linspace(0.05, 0.95, 19)
    return Report(
        (
            TestResult("sbc: beta", "Uniform?", 0.4, 0.1, 200, {"bias in sd": 0.02}, detail=uniform),
            TestResult("coverage", "Covers?", 1e-6, -0.1, 200, {"sd inflation": 0.8}, "overconfident",
                       {"levels": levels, "coverage": levels**2}),
            TestResult("posterior predictive", "Alike?", 0.9, 1.0, 200,
                       detail={"observed": observed, "replicates": replicates}),
        ),
        simulated=200, draws=99, seed=(0, 2), warnings=("Few simulations.",),
    )  # fmt: skip


@pytest.fixture(scope="module")
def series():
    counts = np.arange(14.0)
    posterior = Answer(counts, Outcome.of(counts, observables="in bed", units="boys"))
    theta = {"beta": RANDOM.uniform(0, 5, 300), "gamma": RANDOM.uniform(0, 2, 300)}
    x = RANDOM.normal(size=(300, 14))
    x[:9] = np.nan
    simulations = Simulations.of(theta, x, prior=PRIOR, simulator="epidemic")
    reference = {"gamma": RANDOM.normal(0.5, 0.04, 500), "beta": RANDOM.normal(1.7, 0.05, 500)}
    return from_run(
        posterior, report_of(counts), simulations, title="Influenza", times=np.arange(1, 15), time_name="day",
        reference=reference, reference_name="MCMC", derived=lambda theta: {"R0": theta["beta"] / theta["gamma"]},
        derived_units={"R0": "people"}, provenance={"seed": 7}, command="quincunx demo",
    )  # fmt: skip


def test_tables_hold_parameters_and_what_is_derived_from_them(series):
    assert [(row.name, row.unit) for row in series.posterior] == [("beta", "1/day"), ("gamma", "1/day")]
    assert series.posterior[0].ess == 800.0 and series.posterior[1].r_hat == pytest.approx(1.01)
    (ratio,) = series.derived
    assert (
        (ratio.name, ratio.unit) == ("R0", "people")
        and ratio.mean == pytest.approx(3.4, abs=0.2)
        and np.isnan(ratio.ess)
    )


def test_the_reference_is_compared_by_name_whatever_its_order(series):
    assert [row.name for row in series.comparison] == ["beta", "gamma", "R0"]
    for row in series.comparison:
        assert abs(row.shift) < 0.2 and 0.85 < row.ratio < 1.15


def test_every_warning_is_passed_on_once(series):
    assert series.warnings == ("The observation looks odd.", "Slow mixing.", "Few simulations.")


def test_pictures_are_those_that_the_values_allow(series):
    assert list(series.pictures) == ["Posterior", "Posterior predictive", "Calibration", "Coverage", "Failures", "Loss"]
    assert "9 of 300" in series.pictures["Failures"].alt and "coverage fail" in series.pictures["Coverage"].alt
    axes = series.pictures["Posterior predictive"].figure.axes[0]
    assert axes.get_xlabel() == "day" and axes.get_ylabel() == "in bed [boys]"


def test_data_checks_and_provenance(series):
    assert list(series.data) == ["day", "in bed [boys]"] and series.status == "fail"
    assert series.checks[0].name == "coverage" and series.checks[0].effect == "sd inflation 0.8 (overconfident)"
    assert series.provenance["seed"] == 7 and len(series.provenance["simulations (SHA-256)"]) == 64
    assert series.training["CPU seconds"] == 3.21 and series.simulations["simulator"] == "epidemic"
    assert len(render_report(series)) < 600_000


def test_named_observables_become_rows_and_nothing_else_is_needed():
    x_o = {"mass": np.array([1.0, 2.0]), "height": np.array([3.0])}
    posterior = Answer(x_o, Outcome.of(x_o))
    content = from_run(posterior, report_of(np.array([3.0, 1.0, 2.0])))
    labels = [t.get_text() for t in content.pictures["Posterior predictive"].figure.axes[0].get_yticklabels()]
    assert labels == list(Outcome.of(x_o).columns)
    assert set(content.data) == {"mass", "height"} and not content.comparison and not content.simulations
    alone = from_run(posterior)
    assert alone.status == "not checked" and set(alone.pictures) == {"Posterior", "Loss"}


def test_names_that_spell_out_an_axis_become_it():
    counts = np.arange(9.0)
    outcome = Outcome.of(counts, observables=[f"ill on day {day}" for day in range(1, 10)])
    content = from_run(Answer(counts, outcome), report_of(counts))
    assert content.pictures["Posterior predictive"].figure.axes[0].get_xlabel() == "ill on day"
    assert content.data["ill on day"].tolist() == list(range(1, 10))


def test_misfits_are_refused():
    with pytest.raises(NameMismatch, match="gamma"):
        Columns(PRIOR, None, {}).of({"beta": np.zeros(3)}, "reference")
    with pytest.raises(NameMismatch, match="beta"):
        Columns(PRIOR, lambda theta: {"beta": theta["gamma"]}, {})
    with pytest.raises(ShapeMismatch, match="one number each"):
        Columns(PRIOR, lambda theta: {"both": jnp.stack([theta["beta"], theta["gamma"]])}, {})


def test_provenance_names_no_folder_and_fingerprints_tell_contents_apart():
    said = str(surroundings())
    assert "/" not in said.replace("n/a", "") and "jax" in said
    a = np.arange(6.0)
    assert fingerprint([a]) != fingerprint([a.reshape(2, 3)]) != fingerprint([a.astype(np.float32)])
