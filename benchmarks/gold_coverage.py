"""Answers from a ratio learned with gold: do posteriors and confidence sets hold what they say? 300 simulated experiments each.

    python benchmarks/gold_coverage.py [PROBLEM ...]

ALICES learns from 50,000 simulations. "rank" is the p-value of uniform ranks (simulation-based calibration) of posteriors of single
experiments of EVENTS events; the others are shares of confidence sets that hold the truth, with the standard error of 300 toys.

    what, at 68.27 and 95 % (+- .027, .013)   galton_generalised   gaussian_in_gaussian
    posterior intervals, 20 events            .743  .960 (p .31)   .687  .963 (p .05)
    asymptotic sets, 200 events               .657  .933           .703  .963
    Neyman sets, 5 events                     .693  .940           .693  .957

The second column takes 21 minutes of one core.
"""

import sys

import numpy as np
from scipy.stats import kstest

import quincunx as qx
from quincunx.check import coverage_of_sets
from quincunx.infer import Likelihood, method_named
from quincunx.model import Reference

EVENTS = 20
TOYS = 300
LEVELS = (0.6827, 0.95)
PROBLEMS = {
    "galton_generalised": ("theta", -0.7, np.linspace(-1, -0.4, 25), Reference.at(theta=-0.7)),
    "gaussian_in_gaussian": ("theta", 0.5, np.linspace(-3, 4, 29), None),
}


def ranks(posterior, simulator, name):
    """The rank of each true theta among exact-grid draws of its learned posterior, on (0, 1)."""
    prior = simulator.prior
    theta = np.asarray(prior.sample(TOYS, key=11)[name])
    x = qx.simulate(simulator, theta={name: theta}, events=EVENTS, key=12).x
    points = np.sort(np.asarray(prior.sample(2000, key=13)[name]))
    rows = {name: np.broadcast_to(points, (TOYS, len(points)))}
    log_w = np.asarray(posterior.log_prob_many(rows, x)) - np.asarray(prior.log_prob({name: points}))
    w = np.exp(log_w - log_w.max(1, keepdims=True))
    w /= w.sum(1, keepdims=True)
    return np.array([row[points <= value].sum() for row, value in zip(w, theta, strict=True)])


def tell(problem, what, found, level):
    """One line of the table, with the standard error of a share of TOYS."""
    error = float(np.sqrt(level * (1 - level) / TOYS))
    print(f"{problem:<22}{what:<28}{found:>8.3f}{level:>8.3f}{error:>8.3f}", flush=True)


def main() -> None:
    print(f"{'problem':<22}{'what':<28}{'found':>8}{'stated':>8}{'error':>8}", flush=True)
    for problem in sys.argv[1:] or PROBLEMS:
        name, at, grid, reference = PROBLEMS[problem]
        worked = qx.gallery.load(problem)
        method = method_named("alices", reference=reference)
        sims = qx.simulate(worked.simulator, 50_000, gold=method.mines(worked.prior), key=0)
        estimator = method.fit(sims, worked.prior, key=1)
        one = qx.simulate(worked.simulator, theta={name: np.array([at], np.float32)}, events=EVENTS, key=2).x[0]
        found = ranks(estimator.posterior(one), worked.simulator, name)
        print(f"{problem:<22}{'posterior: rank p-value':<28}{kstest(found, 'uniform').pvalue:>8.3f}", flush=True)
        for level in LEVELS:
            held = np.mean(np.abs(found - 0.5) < level / 2)
            tell(problem, "posterior intervals", held, level)
        likelihood = Likelihood.of(estimator)
        for how, events, options in (("asymptotic", 200, {}), ("neyman", 5, {"grid": {name: grid}})):
            results = coverage_of_sets(
                likelihood, worked.simulator, theta={name: at}, n_events=events, method=how, toys=TOYS, key=3, **options
            )
            for result, level in zip(results, LEVELS, strict=True):
                tell(problem, f"{how}, {events} events", result.statistic, level)


if __name__ == "__main__":
    main()
