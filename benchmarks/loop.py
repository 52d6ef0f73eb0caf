"""Loops rehearsed on a worked problem: coverage, width against fixed designs, and time.

python benchmarks/loop.py [weinberg_toy | pharmacokinetics | death_process | weinberg_command | epidemic_times] [LOOPS]

On two busy cores, 100 loops of pharmacokinetics x 2 took 152 CPU s; 68 % intervals held k_a, k_e, V in 61, 71, 70 %, 95 % ones in 96, 94, 98 %;
chosen times left sds of 0.105, 0.00609, 1.31, less than equally spaced ones by 0.96 +- 0.02 nats, geometric ones by 0.27 +- 0.02, and the best
first times taken twice by 0.25 +- 0.02.

100 loops of death_process x 3 took 192 CPU s: chosen times left an sd of 0.143 +- 0.009, less than always the best first time by 0.094 +- 0.020 nats and 1, 2, 3 by
0.189 +- 0.017; 68 and 95 % intervals held in 68 and 93 %.

500 loops of weinberg_toy x 4 on two busy cores took 1020 CPU s before loops ran beside one another; 68 and 95 % intervals held the truth within
their binomial law; chosen energies left an sd of 0.0976 +- 0.0010, always 40 GeV 0.0975 +- 0.0009: with a budget of events the first energy stays the best.

weinberg_command, whose likelihood is learned from 256 runs of a program of 5000 events each (99 CPU s): 100 loops of 2 x 200 events at 41 and
46.5 GeV took 80 CPU s besides those of the program; 68 and 95 % intervals held s2 in 71 and 96 of 100, and its sd went from 0.0144 to
0.0111 +- 0.0002. Beside the exact density on the same 800 events, 20 sets of them at an energy, posterior means are off by 0.09 to 0.14 (rms)
of a standard deviation between 41 and 50 GeV and by 0.27 at 40, and widths by -3 to +6 % on average, +12 % at 40, where the density all but
vanishes at one end.

"less" is what the chosen designs save, paired over the same parameters: the sum over parameters of log(sd at fixed designs / sd at chosen ones), in nats.
"""

import dataclasses
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

import quincunx as qx
from quincunx.lab import emulator, learn_likelihood
from quincunx.lab.loop import Rehearsal

Designs = Mapping[str, list[dict[str, Any]]]


def study(name: str) -> tuple[qx.Study, Designs]:
    """The study of a problem, and the fixed designs that it is compared with."""
    problem = qx.gallery.load(name)
    space = qx.Space(problem.space, increasing=problem.increasing)
    if name == "weinberg_toy":
        designer = qx.Designer(space, events=20, rounds=4, n=64, inner=64)
        fixed = {f"always {energy:g} GeV": [{"energy": energy}] * 4 for energy in (40.0, 43.0, 47.0, 50.0)}
    elif name == "death_process":
        designer = qx.Designer(space, rounds=3, outcomes=problem.outcomes, n=64, inner=64)
        fixed = {f"always at {at:g}": [{"time": at}] * 3 for at in (0.5, 1.2758, 3.0)}
        fixed["at 1, 2, 3"] = [{"time": at} for at in (1.0, 2.0, 3.0)]
    elif name == "weinberg_command":
        designer = qx.Designer(space, events=200, rounds=2, n=64, inner=64)
        fixed = {f"always {energy:g} GeV": [{"energy": energy}] * 2 for energy in (40.0, 45.6, 50.0)}
        return learned(problem, designer, 256, 5000), fixed
    elif name == "epidemic_times":
        designer = qx.Designer(space, rounds=2, n=64, inner=64)
        fixed = {
            "equally spaced": [{"times": (20.0, 40.0, 60.0, 80.0, 100.0)}] * 2,
            "the default": [problem.default_design] * 2,
        }
        asked = learned(problem, designer, 20_000, None)
        best = qx.choose(problem.simulator, space, estimator=asked.designer.estimator, key=0).design
        return asked, {**fixed, "best first, again": [best] * 2}
    else:
        designer = qx.Designer(space, rounds=2, optimiser="gradient", n=64, inner=128)
        geometric = tuple(np.geomspace(0.25, 24.0, 5).tolist())
        best = qx.choose(problem.simulator, space, optimiser="gradient", key=0).design
        fixed = {
            "equally spaced": [{"times": (4.8, 9.6, 14.4, 19.2, 24.0)}] * 2,
            "geometric, 0.25 to 24": [{"times": geometric}] * 2,
            "best first, again": [best] * 2,
        }
    return qx.Study(problem.simulator, designer=designer), fixed


def learned(problem: Any, designer: qx.Designer, n: int, events: int | None) -> qx.Study:
    """The study of a problem whose likelihood is learned, from n simulations of so many events; a program is drawn from what was learned."""
    study = qx.Study(problem.simulator, designer=designer)
    started, used = time.perf_counter(), time.process_time()
    estimator = learn_likelihood(study, n, events=events, key=0)
    print(
        f"learned from {n} simulations: {time.perf_counter() - started:.0f} s, {time.process_time() - used:.0f} CPU s"
    )
    slow = problem.simulator.kind == "host"
    fast = emulator(problem.simulator, estimator) if slow else None
    return dataclasses.replace(study, designer=dataclasses.replace(designer, estimator=estimator, emulator=fast))


def line(name: str, found: Rehearsal, chosen: Rehearsal | None) -> str:
    """One row of the table: mean widths after the last experiment, and what choosing saves."""
    mean, error = found.width()
    told = "".join(f"{mean[-1, i]:>12.4g}{error[-1, i]:>9.2g}" for i in range(mean.shape[1]))
    if chosen is None:
        return f"{name:<24}{told}"
    gain = np.log(found.sd[:, -1] / chosen.sd[:, -1]).sum(axis=1)
    covers = "holds" if found.covers() else "fails"
    return f"{name:<24}{told}{gain.mean():>10.3f}{gain.std(ddof=1) / np.sqrt(len(gain)):>8.3f}  {covers}"


def _tell(done: int, total: int) -> None:
    if done % 10 == 0:
        print(f"{done} of {total}", file=sys.stderr, flush=True)


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "weinberg_toy"
    loops = int(sys.argv[2]) if len(sys.argv) > 2 else 500
    asked, fixed = study(name)
    rounds = asked.designer.rounds
    qx.rehearse(asked, 2, key=1)
    started, used = time.perf_counter(), time.process_time()
    chosen = qx.rehearse(asked, loops, key=0, progress=_tell)
    print(
        f"{name}, {loops} loops x {rounds}: {time.perf_counter() - started:.0f} s, {time.process_time() - used:.0f} CPU s"
    )
    print(chosen)
    print("binomial, 99 % together:", "holds" if chosen.covers() else "fails", flush=True)
    head = "".join(f"{f'sd of {column}':>12}{'error':>9}" for column in chosen.columns)
    print(f"{f'designs, after {rounds}':<24}{head}{'less':>10}{'error':>8}  coverage")
    print(line("chosen", chosen, None))
    for label, designs in fixed.items():
        print(line(label, qx.rehearse(asked, loops, designs=designs, key=0), chosen), flush=True)


if __name__ == "__main__":
    main()
