"""A million simulations of fifty numbers: peak memory of the process, in GB, beside that of a thousand.

| what                        | ours | limit |
"""

import subprocess
import sys

LIMIT = 1.5
PROGRAM = """
import resource
import jax, jax.numpy as jnp
import numpyro.distributions as dist
import quincunx as qx

prior = qx.Prior(a=dist.Uniform(0.0, 1.0), b=dist.Normal(0.0, 1.0))

@qx.simulator(prior)
def line(theta, *, key, design=None):
    return theta["a"] + theta["b"] * jax.random.normal(key, (50,))

sims = qx.simulate(line, {n}, key=0)
assert sims.x.shape == ({n}, 50) and sims.x.dtype == "float32"
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


def peak(n: int) -> float:
    """GB at the peak of a fresh process that makes n simulations."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("{n}", str(n))], check=True, stdout=subprocess.PIPE, text=True
    )
    return float(done.stdout.split()[-1])


def main() -> int:
    """Print the table; fail when the limit is broken."""
    print(f"{'what':<28}{'ours':>8}{'limit':>8}")
    print(f"{'1,000 x 50':<28}{peak(1_000):>8.2f}")
    most = peak(1_000_000)
    print(f"{'1,000,000 x 50':<28}{most:>8.2f}{LIMIT:>8}")
    return int(most > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
