"""What the engine costs: cheap simulations by the ten thousand, ledger and shards beside batches of a second, JAX into shards.

    python benchmarks/engine.py

RESULT
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
from quincunx.run.clean import CleanPool
from quincunx.run.durable import write_durably
from quincunx.run.parcel import parcel_of, simulator_in

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


def pool_start(simulator) -> float:
    """Seconds until two clean processes hold the simulator, with everything that it imports."""
    began = time.perf_counter()
    parcel = parcel_of(simulator)
    with CleanPool(2) as pool:
        for future in [pool.submit(_ready, parcel) for _ in range(2)]:
            future.result()
        return time.perf_counter() - began


def _ready(parcel: str) -> bool:
    simulator_in(parcel)
    return True


def trivial_seconds() -> tuple[float, float]:
    simulator = _module().TRIVIAL
    start = pool_start(simulator)
    with begin_book(run("trivial"), key=0) as book:
        began = time.perf_counter()
        carry_out(book, simulator, 10_000, workers=2)
        return time.perf_counter() - began - start, start


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
    """MB/s of a gallery problem into shards, in batches of 100,000 and with the size found by trials, and the disk's own."""
    simulator = gallery.load("slcp_distractors").simulator
    rates = []
    for batch in (100_000, None):
        with begin_book(run("jax"), key=0) as book:
            began = time.perf_counter()
            carry_out(book, simulator, n, batch=batch)
            seconds = time.perf_counter() - began
            size = sum((book.shard_folder / s.name).stat().st_size for s in book.shards().shards)
            rates.append(size / seconds / 1e6)
    return rates[0], rates[1], disk()


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
    given, found, own = streamed()
    rows.append(("slcp_distractors, 1e6 simulations into shards, MB/s", given, 100.0))
    rows.append(("the same with the batch size found by trials, MB/s", found, ""))
    rows.append(("hashed durable writing alone, MB/s", own, ""))
    print(f"{'what':64} {'measured':>9} {'limit':>7}")
    for what, measured, limit in rows:
        print(f"{what:64} {measured:9.2f} {limit!s:>7}")
