"""Loops rehearsed on the toy of the Weinberg angle: coverage, width against fixed designs, and time.

python benchmarks/loop.py [LOOPS]
"""

import sys
import time

import numpy as np

import quincunx as qx


def main() -> None:
    loops = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    problem = qx.gallery.load("weinberg_toy")
    designer = qx.Designer(qx.Space(**problem.space), events=20, rounds=4, n=64, inner=64)
    study = qx.Study(problem.simulator, designer=designer)
    qx.rehearse(study, 2, key=1)

    started, used = time.perf_counter(), time.process_time()
    chosen = qx.rehearse(study, loops, key=0)
    print(f"{loops} loops x 4: {time.perf_counter() - started:.0f} s, {time.process_time() - used:.0f} CPU s")
    print(chosen)
    print("binomial, 99 % together:", "holds" if chosen.covers() else "fails")
    mean, error = chosen.width()
    print(f"{'designs':<24}{'mean sd of theta after 4':>26}{'error':>8}{'less, paired':>14}{'error':>8}")
    print(f"{'chosen':<24}{mean[-1, 0]:>26.4f}{error[-1, 0]:>8.4f}")
    for energy in (40.0, 43.0, 47.0, 50.0):
        fixed = qx.rehearse(study, loops, designs=[{"energy": energy}] * 4, key=0)
        mean, error = fixed.width()
        gain = fixed.sd[:, -1, 0] - chosen.sd[:, -1, 0]
        told = f"{mean[-1, 0]:>26.4f}{error[-1, 0]:>8.4f}{gain.mean():>14.4f}{gain.std(ddof=1) / np.sqrt(loops):>8.4f}"
        print(f"{f'always {energy:g} GeV':<24}{told}", flush=True)


if __name__ == "__main__":
    main()
