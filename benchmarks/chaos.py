"""What survives: 200 simulations by a program, while workers and the coordinator are killed, one crashes and one hangs.

The final table must be that of an undisturbed run, bit for bit, except two rows, which are marked with their status and stderr.

    python benchmarks/chaos.py [pool dask pull] [--n 200]

Last measured with 2 cores shared with three other measurements, Python 3.11, JAX 0.10, distributed 2026.8, PostgreSQL 15:

    what                                                     measured    limit
    pool: workers killed                                            2        2
    pool: coordinators killed                                       1        1
    pool: other rows equal the undisturbed run's                 True     True
    pool: bad rows marked with status and stderr                 True     True
    pool: rows that failed                                          2        2
    pool: seconds                                                97.9
    dask: workers killed                                            2        2
    dask: coordinators killed                                       1        1
    dask: other rows equal the undisturbed run's                 True     True
    dask: bad rows marked with status and stderr                 True     True
    dask: rows that failed                                          2        2
    dask: seconds                                                77.9
    pull: workers killed                                            2        2
    pull: coordinators killed                                       1        1
    pull: other rows equal the undisturbed run's                 True     True
    pull: bad rows marked with status and stderr                 True     True
    pull: rows that failed                                          2        2
    pull: seconds                                                73.6
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import numpyro.distributions as dist

from postgresql import server
from quincunx.lab import begin_book, carry_out, open_book
from quincunx.model import Prior, command
from quincunx.run import simulate
from quincunx.run.parcel import parcel_of
from quincunx.run.status import NAMES

PRIOR = Prior(mu=dist.Normal(0.0, 1.0))
KEY, BATCH, TIMEOUT = 7, 4, 3.0
PROGRAM = """
case "$1" in
  "$3") echo "singular matrix" >&2; kill -SEGV $$ ;;
  "$4") echo "no convergence yet" >&2; sleep 1000 ;;
esac
sleep 0.05
awk -v mu="$1" -v seed="$2" 'BEGIN { srand(seed); print "{\\"x\\": [" mu + rand() "," mu - rand() "]}" }'
"""


def program(folder: Path, crash: str, hang: str):
    """The simulator, which crashes at one theta and hangs at another."""
    code = folder / "program.sh"
    if not code.exists():
        code.write_text(PROGRAM)
    return command(
        PRIOR,
        argv=["sh", "{code.program}", "{mu}", "{seed}", crash, hang],
        outputs={"x": {"path": "stdout", "reader": "json", "select": "x"}},
        code={"program": str(code)},
        timeout=TIMEOUT,
        grace=0.5,
    )


def coordinate(kind: str, folder: Path, n: int, crash: str, hang: str) -> None:
    """The coordinator's process: begin the run or go on with it."""
    warnings.simplefilter("ignore")
    run = folder / kind
    book = open_book(run) if (run / "ledger.sqlite").exists() else begin_book(run, key=KEY)
    options = {"dask": "local", "workers": 2} if kind == "dask" else {"workers": 2}
    with book:
        print(carry_out(book, program(folder, crash, hang), n, batch=BATCH, **options))


def children(pid: int) -> list[int]:
    """Worker processes below a process."""
    found = subprocess.run(["ps", "-e", "-o", "pid=,ppid=,args="], capture_output=True, text=True).stdout
    rows = [line.split(None, 2) for line in found.splitlines()]
    below = {pid}
    for _ in range(4):
        below |= {int(row[0]) for row in rows if int(row[1]) in below}
    return [int(row[0]) for row in rows if int(row[0]) in below - {pid} and "spawn_main" in row[2]]


class Chaos:
    """Kills workers of a run as its batches get done: one for every twentieth batch, at random; and all of it half way, once."""

    def __init__(self, open_again, batches: int):
        self.open_again, self.batches = open_again, batches
        rng = random.Random(0)
        self.deaths = sorted(rng.sample(range(2, batches - 2), max(1, round(0.05 * batches))))
        self.killed = 0
        self.coordinators = 0
        self.rng = rng

    def watch(self, start, victims, whole) -> None:
        """Start the run, disturb it, and start it again until it is done."""
        processes = start()
        half = False
        try:
            while True:
                time.sleep(0.1)
                ended = [p for p in processes if p.poll() is not None]
                done = self.done()
                if done == self.batches and len(ended) == len(processes):
                    return
                if not half and done >= self.batches // 2:
                    half = True
                    for process in processes:
                        process.kill()
                        process.wait()
                    self.coordinators += 1
                    processes = start()
                elif self.killed < len(self.deaths) and done >= self.deaths[self.killed]:
                    found = victims(processes)
                    if found:
                        os.kill(self.rng.choice(found), signal.SIGKILL)
                        self.killed += 1
                if done < self.batches and whole(processes):
                    wanted = len(processes)
                    processes = [p for p in processes if p.poll() is None]
                    processes += start(wanted - len(processes))
        finally:
            for process in processes:
                process.kill()

    def done(self) -> int:
        try:
            with self.open_again(read_only=True) as book:
                return book.state["done"]
        except Exception:
            return 0


def compare(book, expected, bad: dict[int, str]) -> dict[str, object]:
    """The final table against the undisturbed one."""
    sims = book.simulations()
    good = np.setdiff1d(np.arange(len(expected)), list(bad))
    same = (
        np.array_equal(sims.index, expected.index)
        and np.array_equal(sims.theta["mu"], expected.theta["mu"])
        and np.array_equal(sims.x[good], expected.x[good])
        and not sims.status[good].any()
    )
    failures = {f.index: (f.status, f.said) for f in book.failures()}
    marked = set(failures) == set(bad) and all(
        failures[i][0] == status and said in failures[i][1] for i, (status, said) in bad.items()
    )
    return {"same": same, "marked": marked}


def run(kind: str, folder: Path, n: int, crash: str, hang: str, url: str | None = None) -> tuple:
    """One run in disorder; returns its book and what was done to it."""
    me = [sys.executable, __file__]
    if kind == "pull":
        with begin_book(url, key=KEY, run="chaos", folder=folder / "pull") as book:
            simulator = program(folder, crash, hang)
            book.plan(n, size=BATCH, simulator=simulator)
            book.note("simulator", parcel=parcel_of(simulator))

        def again(**options):
            return open_book(url, run="chaos", **options)

        def start(count: int = 2):
            argv = [sys.executable, "-m", "quincunx.cli", "worker", url, "--run", "chaos"]
            return [subprocess.Popen(argv, stderr=subprocess.DEVNULL) for _ in range(count)]

        def victims(processes):
            return [p.pid for p in processes if p.poll() is None]

        def whole(processes):
            return any(p.poll() is not None for p in processes)
    else:

        def again(**options):
            return open_book(folder / kind, **options)

        def start(count: int = 1):
            argv = [*me, "--coordinate", kind, str(folder), "--n", str(n), "--crash", crash, "--hang", hang]
            return [subprocess.Popen(argv, stdout=subprocess.DEVNULL)]

        def victims(processes):
            return [pid for p in processes for pid in children(p.pid)]

        def whole(processes):
            # One that gave up is started again, as anyone would.
            return any(p.poll() is not None for p in processes)

    chaos = Chaos(again, -(-n // BATCH))
    began = time.time()
    chaos.watch(start, victims, whole)
    return again(), chaos, time.time() - began


def main(kinds: list[str], n: int) -> int:
    warnings.simplefilter("ignore")
    folder = Path(tempfile.mkdtemp(prefix="quincunx-chaos-"))
    expected = simulate(program(folder, "-", "-"), n, key=KEY)
    crash, hang = (repr(float(expected.theta["mu"][i])) for i in (n // 5, n // 2 + 3))
    bad = {n // 5: ("signal", "singular matrix"), n // 2 + 3: ("timeout", "no convergence yet")}
    wrong = 0
    print(f"{'what':52} {'measured':>12} {'limit':>8}")
    with server() as url:
        for kind in kinds:
            if kind == "pull" and url is None:
                print(f"{'pull: PostgreSQL is not installed, left out':52}")
                continue
            book, chaos, seconds = run(kind, folder, n, crash, hang, url)
            with book:
                found = compare(book, expected, bad)
                status = {f.index: NAMES.index(f.status) for f in book.failures()}
            wrong += not all(found.values())
            rows = [
                (f"{kind}: workers killed", chaos.killed, len(chaos.deaths)),
                (f"{kind}: coordinators killed", chaos.coordinators, 1),
                (f"{kind}: other rows equal the undisturbed run's", found["same"], True),
                (f"{kind}: bad rows marked with status and stderr", found["marked"], True),
                (f"{kind}: rows that failed", len(status), 2),
                (f"{kind}: seconds", round(seconds, 1), ""),
            ]
            for what, measured, limit in rows:
                print(f"{what:52} {measured!s:>12} {limit!s:>8}", flush=True)
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("kinds", nargs="*", default=["pool", "dask", "pull"])
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--coordinate", nargs=2)
    parser.add_argument("--crash")
    parser.add_argument("--hang")
    told = parser.parse_args()
    if told.coordinate:
        coordinate(told.coordinate[0], Path(told.coordinate[1]), told.n, told.crash, told.hang)
    else:
        sys.exit(main(told.kinds, told.n))
