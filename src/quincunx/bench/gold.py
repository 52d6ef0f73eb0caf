"""How many simulations a method that mines gold needs: the error of its log-likelihood ratio against the exact one."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from quincunx import gallery
from quincunx.errors import UnknownProblem, UsageError
from quincunx.infer import Method, method_named
from quincunx.infer.learning import no_part_training
from quincunx.model import Reference
from quincunx.notebook import from_fields
from quincunx.run import simulate

PROBLEMS: Mapping[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "galton": ("galton_generalised", {}, {"theta": -0.6}),
    "gaussian": ("gaussian_in_gaussian", {}, {"theta": 0.0}),
    "interference": ("interference", {"parameters": 2}, {"theta_1": 0.0, "theta_2": 0.0}),
    "amplitude": ("interference", {"parameters": 1}, {"theta_1": 0.0}),
}
"""Short names, the gallery's problems and their options, and the theta that ratios are to."""

METHODS = ("carl", "rolr", "alice", "cascal", "rascal", "alices", "scandal", "sally", "sallino")
"""Every method that learns from gold, and the one from labels alone."""

_EVENTS = 4000
_POINTS = 16
_TRIM = 0.05

Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class GoldMeasurement:
    """Mean squared error of log r(x | theta, theta_1) of one fit, over x ~ p(x | theta_1) and theta ~ prior.

    `trimmed` leaves out the best and the worst 5 % of the theta. `budget` counts simulations, reference ones included.
    """

    problem: str
    method: str
    budget: int
    seed: int
    error: float
    trimmed: float
    cpu_seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return dataclasses.asdict(self)

    _repr_html_ = from_fields


def measure_gold(
    problem: str,
    method: str | Method,
    budget: int,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> GoldMeasurement:
    """Simulate, learn and compare with the exact log-ratio; CPU seconds are those of the process, compilation included.

    Raises:
        UnknownProblem: for a problem that is none of these.
        UsageError: for a method that is none of these.
        Interrupted: if Ctrl-C ended the training.

    >>> PROBLEMS["galton"][0]
    'galton_generalised'
    """
    if problem not in PROBLEMS:
        raise UnknownProblem(f"got the problem {problem!r}; expected one of {', '.join(PROBLEMS)}")
    method = method_named(method)
    if method.name not in METHODS:
        raise UsageError(f"got the method '{method.name}'; expected some of {', '.join(METHODS)}, or all")
    name, choices, at = PROBLEMS[problem]
    worked = gallery.load(name, **choices)
    started = time.process_time()
    with no_part_training():
        estimator = _fitted(worked, method, at, budget, seed, progress)
    spent = time.process_time() - started

    x, points, exact = truth_of(worked, at)
    reference = {key: np.broadcast_to(np.asarray(value, np.float32), points[key].shape) for key, value in at.items()}
    rows = {key: np.broadcast_to(value, (len(x), *value.shape)) for key, value in points.items()}
    others = {key: np.broadcast_to(value, (len(x), *value.shape)) for key, value in reference.items()}
    learned = np.asarray(estimator.log_ratio(rows, others, x), np.float64)
    each = np.mean((learned - exact) ** 2, axis=0)
    cut = int(round(_TRIM * len(each)))
    kept = np.sort(each)[cut : len(each) - cut]
    return GoldMeasurement(problem, method.name, budget, seed, float(each.mean()), float(kept.mean()), spent)


def _fitted(worked: Any, method: Method, at: dict[str, Any], budget: int, seed: int, progress: Any) -> Any:
    if method.name in ("sally", "sallino"):
        chosen, left = dataclasses.replace(method, at=at).before(worked.simulator, budget, key=jax.random.key(seed))
    elif method.name == "scandal":
        # The board's outcomes are whole numbers, whose probabilities a density would only blur.
        counts = {"density": "mixed"} if worked.name.startswith("galton") else {}
        chosen, left = dataclasses.replace(method, **counts), budget
    else:
        chosen, left = dataclasses.replace(method, reference=Reference.at(at)), budget
    sims = simulate(worked.simulator, left, gold=chosen.mines(worked.prior), key=seed + 1)
    return chosen.fit(sims, worked.prior, key=seed + 2, progress=progress)


def truth_of(worked: Any, at: dict[str, Any]) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Fresh outcomes of the reference, parameter points of the prior, and the exact log-ratios (outcomes, points)."""
    theta = {
        key: np.broadcast_to(np.asarray(value, np.float32), (_EVENTS, *np.shape(value))) for key, value in at.items()
    }
    x = simulate(worked.simulator, theta=theta, key=2**20).x
    points = {key: np.asarray(value) for key, value in worked.prior.sample(_POINTS, key=2**20 + 1).items()}
    exact = worked.truth.log_likelihood
    reference = {key: jnp.asarray(value, jnp.float32) for key, value in at.items()}

    @jax.jit
    def ratios(x: Any) -> Any:
        below = exact(reference, x)
        return jax.vmap(lambda theta: exact(theta, x) - below)(
            {key: jnp.asarray(value) for key, value in points.items()}
        )

    return x, points, np.asarray(jax.lax.map(ratios, jnp.asarray(x), batch_size=500), np.float64)


def methods_of(text: str) -> tuple[str, ...]:
    """Methods from text: names with commas, or all.

    >>> methods_of("alices,carl"), len(methods_of("all"))
    (('alices', 'carl'), 9)
    """
    return METHODS if text == "all" else tuple(part.strip().lower() for part in text.split(","))


def budgets_of(text: str) -> tuple[int, ...]:
    """Budgets from text, in any notation of numbers.

    >>> budgets_of("1e3,1e4,20000")
    (1000, 10000, 20000)
    """
    try:
        found = tuple(round(float(part)) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"got --budgets {text}; write numbers with commas, such as 1e3,1e4") from error
    if min(found) < 100:
        raise UsageError(f"got --budgets {text}; expected at least 100 simulations each")
    return found


def ordering(found: Sequence[GoldMeasurement], budget: int) -> list[tuple[str, float]]:
    """The methods at one budget from the smallest error up, each with its geometric mean over seeds.

    >>> one = GoldMeasurement("galton", "carl", 100, 0, 0.2, 0.2, 1.0)
    >>> ordering([one, GoldMeasurement("galton", "alice", 100, 0, 0.1, 0.1, 1.0)], 100)
    [('alice', 0.1), ('carl', 0.2)]
    """
    errors: dict[str, list[float]] = {}
    for one in found:
        if one.budget == budget:
            errors.setdefault(one.method, []).append(one.error)
    means = {method: float(np.exp(np.mean(np.log(values)))) for method, values in errors.items()}
    return [(method, round(value, 8)) for method, value in sorted(means.items(), key=lambda pair: pair[1])]
