"""What the engine costs: cheap simulations by the ten thousand, ledger and shards beside batches of a second, JAX into shards.

    python benchmarks/engine.py

Last measured with 2 cores that seven busy processes shared, at the lowest priority, Python 3.11, JAX 0.10:

    what                                                              measured   limit
    10,000 trivial Python simulations beyond the pool's start, s          2.52     5.0
    the pool's start with its imports, s                                  4.62
    ledger and shards beside batches of 1 s, %                            2.96    10.0
    gaussian_linear(dim=50), 1e6 simulations into shards, MB/s          180.31   100.0
    the same for a second of CPU, MB                                    197.55
    the same with compilation, MB/s                                     103.77
    hashed durable writing alone, MB/s                                  300.18

With nine such processes the JAX rate was once 96 MB/s; a second of CPU gave as much.
"""

import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import numpyro.distributions as dist

from quincunx import gallery
from quincunx.lab import begin_book, carry_out
from quincunx.model import Prior, wrap
from quincunx.run.address import caller_at
from quincunx.run.clean import CleanPool
from quincunx.run.durable import write_durably
from quincunx.run.parcel import address_in, parcel_of

PRIOR = Prior(mu=dist.Normal(0.0, 1.0))


def trivial(theta, *, rng):
    """Two numbers."""
    return rng.normal(theta["mu"], 1.0, 2)


def slow(theta, *, rng):
    """A fiftieth of a second of work."""
    time.sleep(0.02)
    return rng.normal(theta["mu"], 1.0, 50)


def run(name: str) -> Path:
    return Path(tempfile.mkdtemp(prefix="quincunx-engine-")) / name


def trivial_seconds() -> tuple[float, float]:
    """Seconds for 10,000 simulations by two processes that hold the function and all its imports, and for these to be started."""
    simulator = _module().TRIVIAL
    address = address_in(parcel_of(simulator))
    began = time.perf_counter()
    with CleanPool(2) as pool, begin_book(run("trivial"), key=0) as book:
        for future in [pool.submit(caller_at, address) for _ in range(2)]:
            future.result()
        started = time.perf_counter()
        carry_out(book, simulator, 10_000, executor=pool, workers=2)
        return time.perf_counter() - started, started - began


def overhead() -> float:
    """What ledger and shards add to batches of a second, by one worker: time between the first batch's begin and the last one's end."""
    simulator = _module().SLOW
    with begin_book(run("slow"), key=0) as book:
        carry_out(book, simulator, 1000, workers=1, batch=50)
        batches = book.batches()
    # The first batch pays for the start of the pool.
    took = batches[-1]["t_end"] - batches[0]["t_end"]
    pure = (len(batches) - 1) * 50 * _sleep()
    return took / pure - 1


def _sleep() -> float:
    began = time.perf_counter()
    rng = np.random.default_rng(0)
    for _ in range(100):
        slow({"mu": 0.0}, rng=rng)
    return (time.perf_counter() - began) / 100


def streamed(n: int = 1_000_000) -> tuple[float, float, float]:
    """MB/s of gaussian_linear with 50 parameters into shards: from the second batch's end to the last one's, the same for a second of
    CPU, and with compilation."""
    simulator = gallery.load("gaussian_linear", dim=50).simulator
    with begin_book(run("jax"), key=0) as book:
        began = time.perf_counter()
        seen: list[float] = []
        carry_out(book, simulator, n, batch=100_000, progress=lambda state: seen.append(time.process_time()))
        whole = time.perf_counter() - began
        batches = sorted(book.batches(), key=lambda batch: batch["t_end"])
    sizes = [batch["size"] for batch in batches]
    # The first two pay for compilation.
    rest = sum(sizes[2:]) / 1e6
    return rest / (batches[-1]["t_end"] - batches[1]["t_end"]), rest / (seen[-1] - seen[1]), sum(sizes) / whole / 1e6


def disk() -> float:
    """MB/s of hashed, durable writing of 40 MB at a time."""
    block = np.random.default_rng(0).bytes(40_000_000)
    folder = run("disk")
    began = time.perf_counter()
    for i in range(10):
        write_durably(folder, lambda out: out.write(block), lambda sha, i=i: f"{i}")
    return 400 / (time.perf_counter() - began)


def _module():
    # As a module: a script's own functions are not found by worker processes.
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import engine

    return engine


TRIVIAL = wrap(trivial, PRIOR, name="trivial")
SLOW = wrap(slow, PRIOR, name="slow")

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    rows = []
    beyond, start = trivial_seconds()
    rows.append(("10,000 trivial Python simulations beyond the pool's start, s", beyond, 5.0))
    rows.append(("the pool's start with its imports, s", start, ""))
    rows.append(("ledger and shards beside batches of 1 s, %", 100 * overhead(), 10.0))
    steady, computing, whole = streamed()
    rows.append(("gaussian_linear(dim=50), 1e6 simulations into shards, MB/s", steady, 100.0))
    rows.append(("the same for a second of CPU, MB", computing, ""))
    rows.append(("the same with compilation, MB/s", whole, ""))
    rows.append(("hashed durable writing alone, MB/s", disk(), ""))
    print(f"{'what':64} {'measured':>9} {'limit':>7}")
    for what, measured, limit in rows:
        print(f"{what:64} {measured:9.2f} {limit!s:>7}")
