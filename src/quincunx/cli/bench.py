"""``quincunx bench``: how good and how dear is a method on problems whose answers are known?"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from quincunx.cli.console import emit, say, tabulate
from quincunx.cli.exits import FAILED, guarded
from quincunx.cli.options import Budget, Json, Method, Seed, Settings
from quincunx.errors import Interrupted, UsageError

Threads = Annotated[int, typer.Option("--threads", min=1, help="Threads for computing; set before JAX starts.")]

bench = typer.Typer(
    help="Measure methods on problems whose answers are known.", no_args_is_help=True, rich_markup_mode=None
)


@bench.command("sbibm")
@guarded
def sbibm(
    task: Annotated[
        str, typer.Option("--task", help="A task of the benchmark, several with commas, or all.")
    ] = "two_moons",
    method: Method = "npe",
    set: Settings = None,
    budget: Budget = 10_000,
    observations: Annotated[
        str, typer.Option("--observations", help="Which of the ten: 1, 1-3, 1,4,7 or all.")
    ] = "1-3",
    draws: Annotated[
        int, typer.Option("--draws", min=100, help="Draws compared; the benchmark's own number unless given.")
    ] = 10_000,
    threads: Threads = 1,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Posteriors by the benchmark of 2101.04653: C2ST and CPU seconds."""
    numbers = parse_observations(observations)
    _limit_threads(threads)
    from quincunx.bench import TASKS, measure
    from quincunx.cli.progress import progress
    from quincunx.cli.settings import configured, parse_settings

    chosen = configured(method, parse_settings(set or []))

    names = TASKS if task == "all" else task.split(",")
    found: list[Any] = []
    with _as_far_as_it_goes(found) as ended:
        for name in names:
            with progress(f"{name}: training") as tell:
                found.append(measure(name, chosen, budget, observations=numbers, seed=seed, draws=draws, progress=tell))
    if json:
        documents = [measurement.as_dict() for measurement in found]
        emit(documents[0] if len(documents) == 1 else {"measurements": documents})
        ended()
        return
    tabulate(
        ["task", "method", "budget", "C2ST", "standard error", "epochs", "train CPU s", "sample CPU s"],
        [
            [
                one.task,
                one.method,
                one.budget,
                round(one.mean, 3),
                round(one.standard_error, 3) if len(one.c2st) > 1 else None,
                one.epochs,
                round(one.training_cpu, 1),
                round(sum(one.sampling_cpu) / len(one.sampling_cpu), 2),
            ]
            for one in found
        ],
    )
    ended()


@bench.command("gold")
@guarded
def gold(
    problem: Annotated[
        str, typer.Option("--problem", help="galton, gaussian, amplitude (one parameter) or interference (two).")
    ] = "galton",
    methods: Annotated[str, typer.Option("--methods", help="Names with commas, or all.")] = "all",
    budgets: Annotated[str, typer.Option("--budgets", help="Numbers of simulations with commas.")] = "1e3,1e4",
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Fits of each kind, with different seeds.")] = 1,
    set: Settings = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="An HTML page with learning curves.", dir_okay=False)
    ] = None,
    threads: Threads = 1,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Likelihood ratios from gold (1805.12244, 1808.00973): their error against the exact ones, and CPU seconds."""
    _limit_threads(threads)
    from quincunx.bench.floor import score_floor
    from quincunx.bench.gold import PROBLEMS, budgets_of, measure_gold, methods_of
    from quincunx.bench.gold_page import write_gold_page
    from quincunx.cli.progress import progress
    from quincunx.cli.settings import configured, parse_settings

    options = parse_settings(set or [])
    found: list[Any] = []
    with _as_far_as_it_goes(found) as ended:
        for budget in budgets_of(budgets):
            for method in methods_of(methods):
                chosen = configured(method, options)
                for i in range(seeds):
                    with progress(f"{method}, {budget:,}: training") as tell:
                        one = measure_gold(problem, chosen, budget, seed=seed + 100 * i, progress=tell)
                    found.append(one)
    if report is not None:
        local = any(one.method in ("sally", "sallino") for one in found)
        floor = score_floor(problem) if local and len(PROBLEMS[problem][2]) == 1 else None
        write_gold_page(report, found, " ".join(["quincunx", *sys.argv[1:]]), floor)
        say(f"{report} shows the learning curves")
    if json:
        emit({"measurements": [one.as_dict() for one in found]})
        ended()
        return
    tabulate(
        ["problem", "method", "budget", "seed", "error", "trimmed", "CPU s"],
        [
            [o.problem, o.method, o.budget, o.seed, f"{o.error:.3g}", f"{o.trimmed:.3g}", round(o.cpu_seconds, 1)]
            for o in found
        ],
    )
    ended()


@contextlib.contextmanager
def _as_far_as_it_goes(found: Sequence[Any]) -> Iterator[Callable[[], None]]:
    """After Ctrl-C, what was measured before it is shown all the same; the function given then ends the command as failed."""
    cut: list[Interrupted] = []

    def ended() -> None:
        if cut:
            say(f"Interrupted: {cut[0]}; what was measured before it is above")
            raise typer.Exit(FAILED)

    try:
        yield ended
    except Interrupted as error:
        if not found:
            raise
        cut.append(error)


def parse_observations(text: str) -> tuple[int, ...]:
    """Numbers of observations from text.

    >>> parse_observations("1-3"), parse_observations("2,5"), len(parse_observations("all"))
    ((1, 2, 3), (2, 5), 10)
    """
    if text == "all":
        return tuple(range(1, 11))
    numbers: list[int] = []
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            numbers += range(int(first), int(last or first) + 1)
    except ValueError as error:
        raise UsageError(f"got --observations {text}; write 1, 1-3, 1,4,7 or all") from error
    if not numbers or min(numbers) < 1 or max(numbers) > 10:
        raise UsageError(f"got --observations {text}; there are ten, numbered 1 to 10")
    return tuple(numbers)


def _limit_threads(threads: int) -> None:
    # XLA reads these once, when it starts; process CPU seconds are comparable only with the number of threads fixed.
    os.environ["OMP_NUM_THREADS"] = str(threads)
    flags = f"--xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'} intra_op_parallelism_threads={threads}"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
