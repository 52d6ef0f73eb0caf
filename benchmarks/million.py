"""A million simulations of two and of fifty numbers: CPU seconds with compilation, and memory at the peak.

    python benchmarks/million.py

prints one table: what, measured, limit.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpyro.distributions as dist

import quincunx as qx

PRIOR = qx.Prior(mu=dist.Normal(0.0, 1.0), scale=dist.Uniform(0.5, 2.0))
N = 1_000_000


@qx.simulator(PRIOR)
def bell(theta, *, key, design=None):
    return theta["mu"] + theta["scale"] * jax.random.normal(key, (50,))


@qx.simulator(PRIOR)
def small(theta, *, key, design=None):
    return theta["mu"] + theta["scale"] * jax.random.normal(key, (2,))


def peak() -> float:
    """The process's memory at its peak, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform != "darwin" else 2**30)


def main() -> None:
    rows = [("memory after imports, GB", peak(), 1.5)]
    for simulator in (small, bell):
        cpu = time.process_time()
        sims = qx.simulate(simulator, N, key=0)
        rows.append((f"{simulator.name} {sims.x.shape}, CPU s", time.process_time() - cpu, 10.0))
        rows.append((f"memory after {simulator.name}, GB", peak(), 1.5))
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        sims.save(Path(folder) / "sims.qx")
        rows.append(("saving, CPU s", time.process_time() - began, 10.0))
        del sims
        began = time.process_time()
        sims = qx.load(Path(folder) / "sims.qx")
        rows.append(("loading, CPU s", time.process_time() - began, 10.0))
    sims.valid().x_flat()
    rows.append(("memory at the end, GB", peak(), 1.5))
    for what, got, limit in rows:
        print(f"{what:32s} {got:8.2f}  limit {limit:5.1f}  {'ok' if got <= limit else 'MISSED'}")


if __name__ == "__main__":
    main()
