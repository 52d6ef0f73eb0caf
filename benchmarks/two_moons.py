"""The default NPE on two_moons with 10,000 simulations: CPU seconds to train, wall seconds for 10,000 draws once compiled.

| what                          | ours | limit |
"""

import os
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax

import quincunx as qx


def main() -> int:
    """Print the table; fail when a limit is broken."""
    problem = qx.gallery.load("two_moons")
    sims = qx.simulate(problem.simulator, 10_000, key=0)
    started = time.process_time()
    posterior = qx.infer(problem.simulator, problem.observation(1), method="npe", sims=sims, key=1)
    training = time.process_time() - started
    jax.block_until_ready(posterior.sample(10_000, key=2))
    started = time.perf_counter()
    jax.block_until_ready(posterior.sample(10_000, key=3))
    drawing = time.perf_counter() - started
    other = posterior.given(problem.observation(2))
    started = time.perf_counter()
    jax.block_until_ready(other.sample(10_000, key=3))
    elsewhere = time.perf_counter() - started
    rows = (
        ("training, CPU s", training, 20.0),
        ("10,000 draws, s", drawing, 0.1),
        ("10,000 draws elsewhere, s", elsewhere, 0.1),
    )
    print(f"{'what':<28}{'ours':>8}{'limit':>8}")
    for what, took, limit in rows:
        print(f"{what:<28}{took:>8.3f}{limit:>8}")
    return int(any(took > limit for _, took, limit in rows))


if __name__ == "__main__":
    sys.exit(main())
