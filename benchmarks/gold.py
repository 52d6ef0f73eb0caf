"""How many simulations each method needs for an exact log-likelihood ratio, on a Galton board: `quincunx bench gold` at three budgets.

    python benchmarks/gold.py

Mean squared error of log r(x | theta, -0.6), theta from the prior, one seed, on two shared cores:

    simulations   CARL     ROLR     ALICE    RASCAL   ALICES
    1e4           1.7e-2   4.8e-4   1.5e-4   7.2e-5   4.4e-5
    1e5           4.2e-3   5.1e-5   3.5e-5   2.0e-5   1.2e-5
    1e6           6.3e-4

Over five seeds at 1e4 (`--seeds 5`): ROLR 5.1e-4 +- 0.2e-4, ALICE 3.1e-4 +- 0.6e-4, RASCAL 2.8e-4 +- 0.8e-4, ALICES 1.0e-4 +- 0.2e-4:
ALICE and RASCAL cannot be told apart, and one seed says little about either.

On `--problem interference`, SALLY .36, .15, .043 and ALICES .055, .018, .013 at 1e3, 1e4 and 1e5.
"""

import subprocess
import sys

if __name__ == "__main__":
    command = [sys.executable, "-m", "quincunx.cli", "bench", "gold", "--report", "gold.html"]
    subprocess.run([*command, "--methods", "carl,rolr,alice,rascal,alices", "--budgets", "1e3,1e4,1e5"], check=True)
