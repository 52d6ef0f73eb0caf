"""The benchmark of simulation-based inference (2101.04653), by its own definition of C2ST."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from quincunx import gallery
from quincunx.bench.measurement import Measurement
from quincunx.check import c2st
from quincunx.errors import UnknownProblem, UsageError
from quincunx.infer import infer
from quincunx.infer.learning import no_part_training
from quincunx.run import simulate

TASKS = (
    "gaussian_linear",
    "gaussian_linear_uniform",
    "gaussian_mixture",
    "two_moons",
    "slcp",
    "slcp_distractors",
    "bernoulli_glm",
    "bernoulli_glm_raw",
    "sir",
    "lotka_volterra",
)

Progress = Callable[[dict[str, Any]], None]


def measure(
    task: str,
    method: Any = "npe",
    budget: int = 10_000,
    *,
    observations: Sequence[int] = (1,),
    seed: int = 0,
    draws: int = 10_000,
    progress: Progress | None = None,
) -> Measurement:
    """Simulate, train once, draw for each observation, and compare with reference draws.

    C2ST is the benchmark's: the cross-validated accuracy of a multilayer perceptron that tells ``draws`` posterior draws from
    as many reference draws; 0.5 when it cannot. Costs are process CPU seconds with compilation.

    Raises:
        UnknownProblem: not a task of the benchmark.
        UsageError: an observation outside 1 to 10.
        Interrupted: if Ctrl-C ended the training.
    """
    if task not in TASKS:
        raise UnknownProblem(f"got the task {task!r}; expected one of {', '.join(TASKS)}")
    if not observations or not all(1 <= number <= 10 for number in observations):
        raise UsageError(f"got the observations {list(observations)}; expected numbers from 1 to 10")
    problem = gallery.load(task)

    started = time.process_time()
    sims = simulate(problem.simulator, budget, key=seed)
    simulating = time.process_time() - started

    started = time.process_time()
    with no_part_training():
        posterior = infer(
            problem.simulator,
            problem.observation(observations[0]),
            method=method,
            sims=sims,
            key=seed + 1,
            progress=progress,
        )
    training = time.process_time() - started

    accuracies, sampling = [], []
    for number in observations:
        started = time.process_time()
        sample = posterior.given(problem.observation(number)).sample(draws, key=seed + 100 + number)
        flat = np.asarray(jax.block_until_ready(problem.prior.flatten(sample)))
        sampling.append(time.process_time() - started)
        reference = np.asarray(problem.prior.flatten(problem.reference(number, n=draws)))
        accuracies.append(float(c2st(reference, flat)))
    return Measurement(
        task=task,
        method=method if isinstance(method, str) else method.name,
        budget=budget,
        seed=seed,
        draws=draws,
        observations=tuple(observations),
        c2st=tuple(accuracies),
        epochs=_epochs(posterior),
        simulating_cpu=simulating,
        training_cpu=training,
        sampling_cpu=tuple(sampling),
    )


def _epochs(posterior: Any) -> int:
    return len(posterior.estimator.surrogate.history["train"])
