"""The law of a notebook: every value shows itself in sound, static HTML below 50 kB in which nothing that a user named is markup."""

import dataclasses
import importlib
import inspect
import types
from html.parser import HTMLParser

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import quincunx as qx
from quincunx import check, design, infer, lab, notebook, values
from quincunx.check.result import TestResult
from quincunx.design import EIG, Belief, expected_variance
from quincunx.lab.loop.rehearsal import Rehearsal

EVIL = "<script>alert('a')</script>"
ROOMS = ("", ".model", ".run", ".learn", ".infer", ".infer.samplers", ".check", ".design", ".lab", ".gallery", ".bench")
VOID = {"br", "img", "hr", "meta", "link", "path", "use", "rect", "circle", "line"}


class Sound(HTMLParser):
    """Every element that is opened is closed in order; what is fetched, run or pointed to is collected."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.fetched, self.ids, self.links = [], set(), [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        named = dict(attributes)
        if tag not in VOID:
            self.open.append(tag)
        self.fetched += [
            v for k, v in attributes if k in ("src", "href", "action") and not v.startswith(("#", "data:"))
        ]
        self.fetched += [k for k in named if k.startswith("on")]
        self.ids += [named["id"]] if "id" in named else []
        self.links += [v[1:] for k, v in attributes if k == "href" and v.startswith("#")]

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert tag in VOID or self.open.pop() == tag, f"</{tag}> closes what was not open"


def sound(page):
    parser = Sound()
    parser.feed(page)
    parser.close()
    assert not parser.open, parser.open
    return parser


PRIOR = qx.Prior(**{EVIL: dist.Normal(0.0, 1.0), "b": dist.Normal(0.0, 1.0)}, units={"b": EVIL})


@qx.simulator(PRIOR, name=EVIL, observables=[EVIL, "y"], version=EVIL)
def plain(theta, *, key):
    return jnp.stack([theta[EVIL], theta["b"]]) + 0.5 * jax.random.normal(key, (2,))


def chance(theta, design):
    return jax.nn.sigmoid((theta["a"] - design[EVIL]) / 0.5)


known = types.SimpleNamespace(
    log_likelihood=lambda theta, x, design: jnp.log(
        jnp.where(x[0] > 0.5, chance(theta, design), 1 - chance(theta, design))
    ),
    outcomes=np.array([0.0, 1.0]),
)


@qx.simulator(qx.Prior(a=dist.Normal(0.0, 1.0)), tractable=known)
def answer(theta, *, key, design):
    return jax.random.bernoulli(key, chance(theta, design), (1,)).astype(float)


@qx.program(qx.Prior(a=dist.Normal(0.0, 1.0)), name=EVIL)
def drawn(theta):
    import numpyro

    return numpyro.sample(EVIL, dist.Normal(theta["a"], 1.0))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One of every kind that a user meets, with the worst names, by what it is."""
    sims = qx.simulate(plain, 400, key=0)
    line = infer.Likelihood.of(
        lambda theta, x: -0.5 * (x[0] - theta["mu"]) ** 2, qx.Prior(mu=dist.Normal(0.0, 3.0), units={"mu": EVIL})
    )
    events = np.random.default_rng(0).normal(size=(20, 1))
    scan = infer.scan(line, events, grid={"mu": np.linspace(-1, 1, 21)})
    space = qx.Space(**{EVIL: (-2.0, 2.0)})
    choice = qx.choose(answer, {EVIL: [-1.0, 0.0, 1.0]}, key=0)
    designer = qx.Designer(space, rounds=2, n=64, inner=64)
    study = qx.Study(answer, designer=designer, key=0)
    loop = qx.Loop(study, lab.begin_book(tmp_path_factory.mktemp("notebook") / "run", key=0))
    loop.ask()
    loop.approve({EVIL: 0.0}, by=EVIL)
    knowledge = loop.tell([1.0], by=EVIL)
    result = TestResult(EVIL, EVIL, 0.5, 0.0, 300, effects={EVIL: 1.0}, note=EVIL)
    problem = qx.gallery.load("two_moons")
    eig = EIG(0.5, 0.1, 0.4, None, 0.1, None, EVIL, 10, 0, None, (EVIL,))
    ranks = np.random.default_rng(1).integers(0, 100, 300)
    ranked = [
        TestResult(f"sbc: {n}", EVIL, 0.5, 0.0, 300, detail={"ranks": ranks, "draws": np.array(99)}) for n in "ab"
    ]
    return {
        "Prior": PRIOR,
        "Simulator": plain,
        "Program": drawn.program,
        "Trace": drawn.program.trace({"a": 0.0}, key=0),
        "Reference": qx.Reference.at({"a": 0.0}),
        "Command": qx.Command(argv=("awk", EVIL, "{a}"), outputs={"x": qx.Output("o.json")}),
        "Output": qx.Output("o.json"),
        "Outcome": plain.outcome,
        "Simulations": sims,
        "Summary": knowledge.summary(),
        "Method": qx.NPE(),
        "Likelihood": line,
        "Maximum": infer.maximum_likelihood(line, events, key=0),
        "Scan": scan,
        "ConfidenceSet": infer.asymptotic_set(scan),
        "Information": infer.Information(np.eye(2), (EVIL, "b"), np.zeros((2, 2, 2, 2)), EVIL),
        "TestResult": result,
        "Report": check.Report((result,), 300, 0, 100, (0, 0), (EVIL,)),
        "Report, whole": check.Report((result, *ranked), 300, 0, 99, (0, 0), (EVIL,)),
        "Repair": check.Repair(np.linspace(0, 1, 99), 99),
        "Space": space,
        "Space of levels": qx.Space(kind=[EVIL, "b"]),
        "EIG": eig,
        "Choice": choice,
        "Curve": choice.curve,
        "Belief": Belief(PRIOR, np.zeros((10, 2))),
        "Expected": expected_variance(answer, {EVIL: 0.0}, n=64, inner=64, key=0),
        "Designer": designer,
        "Study": study,
        "Book": loop.book,
        "Loop": loop,
        "Knowledge": knowledge,
        "History": lab.History((lab.Experiment({EVIL: 0.0}, np.zeros((3, 1))),)),
        "Experiment": lab.Experiment({EVIL: 0.0}, np.zeros((3, 1))),
        "Rehearsal": Rehearsal(
            (EVIL,), np.ones((2, 3, 1)), np.zeros((2, 3)), {"d": np.zeros((2, 2))}, np.full((2, 1), 0.4)
        ),
        "History of vectors": lab.History((lab.Experiment({EVIL: (0.0, 1.5)}, np.zeros((3, 1))),)),
        "Space of vectors": qx.Space(**{EVIL: (0.0, 1.0, 3)}, increasing=[EVIL]),
        "PolicyComparison": design.PolicyComparison((EVIL, "b"), (eig, eig), np.array([[1.0, 2.0], [0.0, 2.0]])),
        "Optuna": design.Optuna(trials=3),
        "RandomDesigns": design.RandomDesigns(space),
        "Problem": problem,
        "Truth": problem.truth,
    }


KINDS = """Prior|Simulator|Program|Trace|Reference|Command|Output|Outcome|Simulations
|Summary|Method|Likelihood|Maximum|Scan
|ConfidenceSet|Information|TestResult|Report|Report, whole|Repair|Space|Space of levels|EIG|Choice|Curve|Belief|Expected|Designer|Study
|Book
|History of vectors|Space of vectors|PolicyComparison|Optuna|RandomDesigns|Loop|Knowledge|History|Experiment|Rehearsal|Problem|Truth""".replace(
    "\n", ""
).split("|")


@pytest.mark.parametrize("name", KINDS)
def test_a_value_shows_itself(made, name):
    value = made[name]
    page, text = value._repr_html_(), repr(value)
    parser = sound(page)
    assert len(page.encode()) < 50_000
    assert not parser.tags & {"script", "link", "iframe", "img", "object", "base"} and not parser.fetched
    assert "http" not in page and "url(" not in page.replace("url(#", "") and "@import" not in page
    assert len(parser.ids) == len(set(parser.ids)) and set(parser.links) <= set(parser.ids)
    assert "prefers-color-scheme: dark" in page
    assert page == value._repr_html_(), "a second look shows the same"
    assert len(text) < 4_000 and " object at 0x" not in text


def test_pictures_are_there_where_they_say_more(made):
    for name in ("Knowledge", "Curve", "Choice", "ConfidenceSet", "Scan", "Report, whole"):
        assert "<svg" in made[name]._repr_html_(), name


def test_tables_are_named_for_those_who_hear_them(made):
    for name in ("Prior", "Summary", "Report", "Loop"):
        page = made[name]._repr_html_()
        assert '<th scope="col"' in page and '<th scope="row"' in page
    assert 'aria-label="' in made["Curve"]._repr_html_()


def test_every_public_value_and_every_kind_of_file_has_it():
    classes = set()
    for room in ROOMS:
        module = importlib.import_module(f"quincunx{room}")
        classes |= {c for c in map(module.__getattribute__, module.__all__) if inspect.isclass(c)}
    for kind, home in values._HOMES.items():
        importlib.import_module(home)
        classes.add(values._registry[kind])
    shown = {c for c in classes if dataclasses.is_dataclass(c) or issubclass(c, eqx.Module)}
    assert len(shown) > 90
    assert not sorted(c.__qualname__ for c in shown if not hasattr(c, "_repr_html_"))


def test_what_does_not_fit_is_left_out_and_said():
    long = [[f"row {i}", EVIL * 30] for i in range(5_000)]
    page = notebook.card(EVIL, head=["a", "b"], body=long, picture="<svg>" + "x" * 60_000 + "</svg>")
    assert len(page.encode()) <= notebook.LIMIT and "more</p>" in page and "<svg" not in page
    assert sound(page).tags.isdisjoint({"script"})
    # a mark takes several bytes
    assert len(notebook.card("é" * 1_000_000, lines=["é" * 1_000_000] * 5_000).encode()) <= notebook.LIMIT


def test_fields_are_short_whatever_they_hold():
    @dataclasses.dataclass
    class Box:
        long: np.ndarray
        named: dict
        traced: object

    seen = []
    jax.jit(lambda t: seen.append(notebook.from_fields(Box(np.zeros(10_000), {EVIL: EVIL * 999}, t))) or t)(1.0)
    assert "float64 (10000,)" in seen[0] and len(seen[0]) < 5_000 and "<script" not in seen[0]
