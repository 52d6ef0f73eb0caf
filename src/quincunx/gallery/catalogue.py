"""The list of problems, readable without importing any of them."""

import dataclasses
import functools
import importlib
from typing import TYPE_CHECKING, Any

from quincunx.errors import UnknownProblem, UsageError

if TYPE_CHECKING:
    from quincunx.gallery.problem import Problem


@dataclasses.dataclass(frozen=True)
class Entry:
    """One line of the catalogue: what `quincunx list` prints. `function` builds the problem, in `module`.

    `budget` simulations under NPE with `settings` are what `quincunx demo` spends: enough for its checks to pass.
    """

    name: str
    title: str
    dim_theta: int
    dim_x: int
    truth: str
    cost: str
    source: str
    module: str
    function: str = "problem"
    budget: int = 10_000
    settings: tuple[str, ...] = ()


_SBIBM = "2101.04653"
_ENTRIES = (
    Entry(
        "gaussian_linear", "Mean of a Gaussian, Gaussian prior", 10, 10, "posterior", "0.1 s", _SBIBM, "gaussian_linear"
    ),
    Entry(
        "gaussian_linear_uniform",
        "Mean of a Gaussian, uniform prior",
        10,
        10,
        "posterior",
        "0.1 s",
        _SBIBM,
        "gaussian_linear_uniform",
    ),
    Entry("gaussian_mixture", "Two widths, one mean", 2, 2, "posterior", "0.1 s", _SBIBM, "gaussian_mixture"),
    Entry("two_moons", "Two crescents", 2, 2, "posterior", "0.1 s", _SBIBM, "two_moons"),
    Entry("slcp", "Simple likelihood, complex posterior", 5, 8, "likelihood", "0.1 s", _SBIBM, "slcp"),
    Entry(
        "slcp_distractors", "The same among noise", 5, 100, "likelihood", "0.1 s", _SBIBM, "slcp", "problem_distractors"
    ),
    Entry("bernoulli_glm", "A neuron's spikes, summarised", 10, 10, "likelihood", "0.1 s", _SBIBM, "bernoulli_glm"),
    Entry(
        "bernoulli_glm_raw", "A neuron's spikes", 10, 100, "likelihood", "0.1 s", _SBIBM, "bernoulli_glm", "problem_raw"
    ),
    Entry("sir", "Epidemic in a million, sampled", 2, 10, "likelihood", "1 s", _SBIBM, "sir"),
    Entry("lotka_volterra", "Predators and prey", 4, 20, "likelihood", "1 s", _SBIBM, "lotka_volterra"),
    Entry(
        "galton_uniform", "Galton board", 1, 1, "posterior", "0.1 s", "textbook", "galton_binomial", "problem_uniform"
    ),
    Entry(
        "galton_tilted",
        "Tilted Galton board",
        1,
        1,
        "posterior",
        "0.1 s",
        "textbook",
        "galton_binomial",
        "problem_tilted",
    ),
    Entry(
        "galton_generalised",
        "Galton board, no binomial",
        1,
        1,
        "posterior",
        "0.1 s",
        "1805.12244",
        "galton_generalised",
    ),
    Entry(
        "normal_normal",
        "Normal mean, normal prior",
        1,
        1,
        "posterior",
        "0.1 s",
        "textbook",
        "conjugate",
        "problem_normal_normal",
    ),
    Entry(
        "beta_binomial",
        "Chance of success",
        1,
        1,
        "posterior",
        "0.1 s",
        "textbook",
        "conjugate",
        "problem_beta_binomial",
    ),
    Entry(
        "gamma_poisson",
        "Rate of counts, in sets",
        1,
        1,
        "posterior",
        "0.1 s",
        "textbook",
        "conjugate",
        "problem_gamma_poisson",
    ),
    Entry(
        "two_gaussians",
        "Two Gaussians of one width",
        1,
        1,
        "posterior",
        "0.1 s",
        "1506.02169",
        "conjugate",
        "problem_two_gaussians",
    ),
    Entry(
        "gaussian_in_gaussian",
        "Gaussian seen through a Gaussian",
        1,
        1,
        "posterior",
        "0.1 s",
        "1805.00020",
        "gaussian_in_gaussian",
    ),
    Entry("interference", "Two amplitudes, two channels", 2, 2, "posterior", "0.1 s", "1805.00013", "interference"),
    Entry(
        "boarding_school",
        "Influenza in a school, 1978",
        3,
        14,
        "likelihood",
        "0.1 s",
        "BMJ 1978;1:587",
        "boarding_school",
        budget=60_000,
        settings=("density=mixture", "members=3"),
    ),
    Entry("stochastic_sir", "The same, boy by boy", 2, 14, "none", "0.1 s", "BMJ 1978;1:587", "stochastic_sir"),
    Entry("final_size", "Final size of an outbreak", 2, 1, "posterior", "0.1 s", "Ball 1986", "final_size"),
    Entry("sir_paths", "Small outbreak, day by day", 2, 3, "likelihood", "0.1 s", "Ball 1986", "sir_paths"),
    Entry("ewens", "Alleles in a sample", 1, 1, "posterior", "0.1 s", "Ewens 1972", "ewens"),
    Entry(
        "coalescent", "Family tree, from its mutations", 1, 1, "posterior", "0.1 s", "Tavaré et al. 1997", "coalescent"
    ),
    Entry(
        "weinberg_toy",
        "Asymmetry of muons, a cartoon",
        1,
        1,
        "posterior",
        "0.1 s",
        "active sciencing, 2017",
        "weinberg_toy",
    ),
    Entry("weinberg", "Weinberg angle at the Z pole", 1, 1, "posterior", "0.1 s", "textbook", "weinberg"),
    Entry(
        "weinberg_command",
        "The same, a program outside",
        1,
        1,
        "posterior",
        "20 min",
        "textbook",
        "weinberg_external",
        "problem_command",
    ),
    Entry(
        "weinberg_snakemake",
        "The same, a Snakemake workflow",
        1,
        1,
        "posterior",
        "3 h",
        "textbook",
        "weinberg_external",
        "problem_snakemake",
    ),
    Entry("death_process", "Deaths by a time", 1, 1, "posterior", "0.1 s", "Cook et al. 2008", "death_process"),
    Entry("threshold", "Yes or no at a level", 1, 1, "posterior", "0.1 s", "textbook", "threshold"),
    Entry("location_finding", "Where the sources are", 4, 1, "posterior", "0.1 s", "2103.02438", "location_finding"),
    Entry("pharmacokinetics", "A drug in the blood", 3, 5, "posterior", "0.1 s", "2111.02329", "pharmacokinetics"),
    Entry("epidemic_times", "Epidemic, counted at times", 2, 5, "none", "2 s", "2111.02329", "epidemic_times"),
    Entry(
        "linear_gaussian_design",
        "A line, its slope chosen",
        1,
        1,
        "posterior",
        "0.1 s",
        "textbook",
        "linear_gaussian_design",
    ),
)

_BY_NAME = {entry.name: entry for entry in _ENTRIES}


def names() -> tuple[str, ...]:
    """The names of all problems, the benchmark tasks first."""
    return tuple(_BY_NAME)


def table() -> list[dict[str, Any]]:
    """One row a problem: name, title, dim_theta, dim_x, truth (its kind), cost (of 10,000 simulations), source.

    >>> table()[0]["name"], table()[0]["truth"]
    ('gaussian_linear', 'posterior')
    """
    columns = ("name", "title", "dim_theta", "dim_x", "truth", "cost", "source")
    return [{column: getattr(entry, column) for column in columns} for entry in _ENTRIES]


def entry(name: str) -> Entry:
    """The catalogue's line for a problem. Raises `UnknownProblem` for a name it does not have."""
    if name not in _BY_NAME:
        raise UnknownProblem(f"got the problem {name!r}; expected one of {', '.join(_BY_NAME)}; see gallery.table()")
    return _BY_NAME[name]


def load(name: str, /, **options: Any) -> "Problem":
    """Load a problem by name; the same name and options give the same object, so that compiled code is shared.

    Options are the problem's own (such as `dim=2` for gaussian_linear, `rows=10` for a Galton board).

    Raises:
        UnknownProblem: if no problem has that name.
        UsageError: if the problem does not have one of the options.

    >>> load("gaussian_linear", dim=2).prior.dim
    2
    """
    line = entry(name)
    try:
        return _build(line, tuple(sorted(options.items())))
    except TypeError as error:
        if "unexpected keyword" not in str(error) and "unhashable" not in str(error):
            raise
        raise UsageError(
            f"got options {options} for {name!r}; {error}; see help of quincunx.gallery.{line.module}"
        ) from error


@functools.lru_cache(maxsize=64)
def _build(line: Entry, options: tuple[tuple[str, Any], ...]) -> "Problem":
    module = importlib.import_module(f"quincunx.gallery.{line.module}")
    built = getattr(module, line.function)(**dict(options))
    # A function within a function is not found by its name: this is how another process makes it anew.
    # A program is a frozen value, on which a note may still be left.
    object.__setattr__(built.simulator.function, "built_by", (module.__name__, line.function, dict(options)))
    return dataclasses.replace(built, options=options)
