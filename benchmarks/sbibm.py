"""The benchmark's tasks (2101.04653) at 10,000 simulations, each with the method that suits it: C2ST and CPU seconds beside their limits.

    python benchmarks/sbibm.py [TASK ...]

C2ST is the benchmark's own: 10,000 draws against 10,000 reference draws, five folds of a multilayer perceptron. CPU seconds are those of
training on one thread, compilation included. Measured on two cores that other work shared, so that seconds are upper figures:

    task                     method                 C2ST  limit  train CPU s  limit  observations
    gaussian_linear          npe linear            0.512   0.52          6.2     60  1-2
    gaussian_linear_uniform  nle linear            0.517   0.54          5.6     60  1-2
    gaussian_mixture         npe mixture x8        0.533   0.54         24.4     60  1-3
    two_moons                npe spline x4         0.532   0.53         41.4     60  1-3  MISSED
    slcp                     nle gaussian x5       0.601   0.65         19.4     60  1-2
    slcp_distractors         nle gaussian x5       0.631   0.93         20.8     60  1-2
    bernoulli_glm            nle mixed x3          0.582   0.60         32.1     60  1-2
    sir                      nle mixed x3          0.525   0.56         55.4     60  1-3
    lotka_volterra           nle gaussian x3       0.727   0.94         22.7     60  1-2
"""

import json
import subprocess
import sys

BUDGET, SECONDS = 10_000, 60.0
TASKS = {
    "gaussian_linear": ("npe", ["density=linear"], 0.52, "1-2"),
    "gaussian_linear_uniform": ("nle", ["density=linear"], 0.54, "1-2"),
    "gaussian_mixture": ("npe", ["density=mixture", "members=8"], 0.54, "1-3"),
    "two_moons": ("npe", ["members=4", "min_steps=3600"], 0.53, "1-3"),
    "slcp": ("nle", ["density=gaussian", "members=5"], 0.65, "1-2"),
    "slcp_distractors": ("nle", ["density=gaussian", "members=5", "screen=true"], 0.93, "1-2"),
    "bernoulli_glm": ("nle", ["density=mixed", "members=3"], 0.60, "1-2"),
    "sir": ("nle", ["density=mixed", "members=3"], 0.56, "1-3"),
    "lotka_volterra": ("nle", ["density=gaussian", "members=3"], 0.94, "1-2"),
}


def measured(task: str) -> dict:
    """What `quincunx bench sbibm --json` says of one task."""
    method, options, _, observations = TASKS[task]
    command = [sys.executable, "-m", "quincunx.cli", "bench", "sbibm", "--task", task, "--method", method]
    command += ["--budget", str(BUDGET), "--observations", observations, "--json"]
    command += [part for option in options for part in ("--set", option)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def main() -> int:
    """Print the table; fail when a limit is broken."""
    print(f"{'task':<24} {'method':<44} {'C2ST':>6} {'limit':>6} {'train CPU s':>12} {'limit':>6}", flush=True)
    missed = False
    for task in sys.argv[1:] or TASKS:
        method, options, limit, _ = TASKS[task]
        found = measured(task)
        c2st, seconds = found["c2st_mean"], found["cpu_seconds"]["train"]
        late = c2st > limit or seconds > SECONDS
        missed |= late
        said = f"{method} {' '.join(options)}"
        print(
            f"{task:<24} {said:<44} {c2st:>6.3f} {limit:>6.2f} {seconds:>12.1f} {SECONDS:>6.0f}  {'MISSED' if late else 'ok'}",
            flush=True,
        )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
