"""A million simulations of fifty float32 in shards of ten thousand: written, read, and streamed in random order.

    python benchmarks/shards.py [--folder FOLDER]

prints one table: what, measured, limit. Writing goes to the disk (fsync of every shard and of the folder), beside which stands what the
disk takes in plain files of the same size. Reading and streaming run in a process of their own, whose memory at the peak is measured.

Measured on two shared, busy cores of a server (AMD EPYC, ext4):

    what                                      measured   limit
    writing shards, MB/s                         182.2     100
    the disk in plain files, MB/s                942.2
    reading shards, MB/s                          2210     200
    reading and hashing a folder, MB/s            1300
    shuffled stream of 512, MB/s                  1028     200
    memory at its peak, MB                       260.9     500
    of which imports, MB                         191.9
    one simulation by its number, ms             1.837
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from quincunx.run import ShardedSimulations, Simulations, write_shard

N, WIDTH, ROWS = 1_000_000, 50, 10_000
MB = N * WIDTH * 4 / 1e6


def write(folder: Path) -> dict[str, float]:
    """MB/s into shards, and into plain files; for both the best of two, since others use the disk."""
    x = np.random.default_rng(0).standard_normal((N, WIDTH)).astype(np.float32)
    sims = Simulations.of({"mu": x[:, 0].copy()}, x)
    best = {"write": 0.0, "disk": 0.0}
    for _ in range(2):
        began = time.perf_counter()
        for first in range(0, N, ROWS):
            write_shard(sims[first : first + ROWS], folder, key=0)
        best["write"] = max(best["write"], MB / (time.perf_counter() - began))
        began = time.perf_counter()
        for first in range(0, N, ROWS):
            plain = folder / "plain"
            with open(plain, "wb", buffering=0) as stream:
                stream.write(x[first : first + ROWS].data)
                os.fsync(stream.fileno())
            plain.unlink()
        best["disk"] = max(best["disk"], MB / (time.perf_counter() - began))
    return best


def read(folder: Path) -> dict[str, float]:
    """MB/s out of shards in order, hashed too, and in shuffled minibatches, with the memory that the latter took."""
    run = ShardedSimulations.of(folder)
    measured = {"imports": peak()}
    stream = run.stream(512, seed=0)
    for epoch in range(2):
        began, got = time.perf_counter(), 0
        for batch in stream.epoch(epoch):
            got += batch["x"].nbytes
        measured["stream"] = max(measured.get("stream", 0.0), got / 1e6 / (time.perf_counter() - began))
    measured["memory"] = peak()
    began = time.perf_counter()
    for _ in run:
        pass
    measured["read"] = MB / (time.perf_counter() - began)
    began = time.perf_counter()
    ShardedSimulations.of(folder)
    measured["hash"] = MB / (time.perf_counter() - began)
    chance = np.random.default_rng(0)
    began = time.perf_counter()
    for index in chance.integers(0, N, 50):
        assert run[0, int(index)].index == index
    measured["row"] = (time.perf_counter() - began) / 50 * 1e3
    return measured


def peak() -> float:
    """The process's memory at its peak, in MB."""
    status = Path("/proc/self/status")
    if status.exists():
        # What the system counts for a process begins with its parent's; what it counts for its memory does not.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**10 if sys.platform != "darwin" else 2**20)


def main() -> int:
    """Print the table; fail when a limit is broken."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, help="where to write, on the disk in question")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.read:
        print(repr(read(asked.read)))
        return 0
    with tempfile.TemporaryDirectory(dir=asked.folder) as scratch:
        wrote = write(Path(scratch))
        again = subprocess.run(
            [sys.executable, __file__, "--read", scratch], check=True, capture_output=True, text=True
        )
    got = dict(part.split(": ") for part in again.stdout.strip().strip("{}").replace("'", "").split(", "))
    table = [
        ("writing shards, MB/s", wrote["write"], min(100.0, wrote["disk"]), 1),
        ("the disk in plain files, MB/s", wrote["disk"], None, 1),
        ("reading shards, MB/s", float(got["read"]), 200.0, 1),
        ("reading and hashing a folder, MB/s", float(got["hash"]), None, 1),
        ("shuffled stream of 512, MB/s", float(got["stream"]), 200.0, 1),
        ("memory at its peak, MB", float(got["memory"]), 500.0, -1),
        ("of which imports, MB", float(got["imports"]), None, -1),
        ("one simulation by its number, ms", float(got["row"]), None, -1),
    ]
    missed = False
    print(f"{'what':<40}{'measured':>10}{'limit':>8}")
    for what, measured, limit, sign in table:
        missed |= limit is not None and sign * measured < sign * limit
        print(f"{what:<40}{measured:>10.4g}{'' if limit is None else f'{limit:>8.4g}'}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
