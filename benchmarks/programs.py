"""What a program costs beside a hand-written simulator: the generalised Galton board, 20 rows, 1e5 simulations.

    python benchmarks/programs.py

Last measured with 2 cores that four people shared, at low priority, Python 3.11, JAX 0.10:

    what                                                  program  written  ratio  limit
    1e5 simulations, CPU s                                  0.073    0.068   1.07    1.5
    the first time, with compilation, CPU s                 2.590    1.548   1.67
    exact likelihood over 2^20 paths, CPU s (first)         0.230    1.485
"""

import os

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import time

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from numpyro.contrib.control_flow import scan

import quincunx as qx
from quincunx.gallery.galton_generalised import _left

ROWS, NAILS, RUNS = 20, 31, 100_000


@qx.program(qx.Prior(theta=dist.Uniform(-1.0, -0.4)))
def board(theta):
    """The gallery's board with its draws by name."""

    def fall(position, level):
        left = numpyro.sample("left", dist.Bernoulli(_left(theta["theta"], level, position, ROWS, NAILS)))
        return position + (1 - left) - level % 2, None

    end, _ = scan(fall, jnp.asarray(NAILS // 2), jnp.arange(ROWS))
    return end[None].astype(float)


def seconds(simulator) -> tuple[float, float]:
    """CPU seconds of the first run, with compilation, and the least of five more."""
    times = []
    for _ in range(6):
        started = time.process_time()
        qx.simulate(simulator, RUNS, key=0)
        times.append(time.process_time() - started)
    return times[0], min(times[1:])


def main() -> None:
    """Print the table."""
    written = qx.gallery.load("galton_generalised").simulator
    qx.simulate(qx.gallery.load("two_gaussians").simulator, 10, key=0)
    ours, peer = seconds(board), seconds(written)
    print(f"{'what':<52}{'program':>9}{'written':>9}{'ratio':>7}{'limit':>7}")
    for what, a, b, limit in (
        ("1e5 simulations, CPU s", ours[1], peer[1], "1.5"),
        ("the first time, with compilation, CPU s", ours[0], peer[0], ""),
    ):
        print(f"{what:<52}{a:9.3f}{b:9.3f}{a / b:7.2f}{limit:>7}")
    started = time.process_time()
    board.program.log_likelihood({"theta": -0.7}, jnp.array([13.0]))
    first = time.process_time() - started
    started = time.process_time()
    board.program.log_likelihood({"theta": -0.6}, jnp.array([13.0])).block_until_ready()
    print(f"{'exact likelihood over 2^20 paths, CPU s (first)':<52}{time.process_time() - started:9.3f}{first:9.3f}")


if __name__ == "__main__":
    main()
