"""How many simulations of a run may fail before it is stopped, and where they do."""

import json
from collections import Counter

import numpy as np

from quincunx.errors import TooManyFailures, UsageError
from quincunx.lab.book import Book
from quincunx.lab.book.progress import progress_of
from quincunx.run.sharded import ShardedSimulations
from quincunx.run.shards import read_groups
from quincunx.run.simulations import Simulations

__all__ = ["FAILURE_BUDGET", "keep_to_budget"]

FAILURE_BUDGET = 0.05
"""The share of simulations that may fail unless another is given."""

_FEWEST = 10
_READ = 100_000


def keep_to_budget(book: Book, budget: float, *, round: int = 0) -> None:
    """Go on silently while no more than the share `budget` of the round's simulations has failed.

    A run that goes on is judged once ten have failed, a round that is done in any case. All that is done stays in the book.

    Raises:
        TooManyFailures: saying how many failed, in which ways, and at which parameters.
        UsageError: for a share that is none.

    >>> import tempfile, quincunx as qx
    >>> book = qx.lab.begin_book(tempfile.mkdtemp() + "/run", key=0)
    >>> keep_to_budget(book, 0.05)
    """
    if not 0.0 <= budget <= 1.0:
        raise UsageError(f"got a failure budget of {budget}; expected a share between 0 and 1; write for example 0.05")
    now = progress_of(book.ledger, round)
    rows, failed = now.done, now.failed
    if failed <= budget * rows or (rows < now.planned and failed < _FEWEST):
        return
    how = Counter(failure.status for failure in book.failures(round)).most_common()
    raise TooManyFailures(
        f"{failed:,} of {rows:,} simulations failed ({100 * failed / rows:.3g} %: {', '.join(f'{n:,} {status}' for status, n in how)}); "
        f"expected at most {100 * budget:.3g} %; {_where(book, round)}. What is done is kept: mend the simulator, narrow its prior "
        "(qx.restrict), or resume with a larger --failure-budget"
    )


def _where(book: Book, round: int) -> str:
    """Along which parameter failing and working differ most, and the first parameters that failed."""
    sims = _parameters(book.shards(round))
    table = sims.failures()
    worst = max(table, key=lambda column: abs(table[column]["above"] - 0.5), default=None)
    linked = ""
    if worst is not None and abs(table[worst]["above"] - 0.5) > 0.15:
        side = "high" if table[worst]["above"] > 0.5 else "low"
        linked = f"mostly at {side} {worst} (median {table[worst]['failed']:.3g} against {table[worst]['worked']:.3g} where they work), "
    first = [
        f"{json.dumps(dict(failure.theta))}: {failure.said or failure.status}" for failure in book.failures(round)[:3]
    ]
    return f"they fail {linked}the first at {'; '.join(first)}"


def _parameters(run: ShardedSimulations) -> Simulations:
    """Parameters and statuses alone, of as many shards as make a picture: outcomes can be large and are not read."""
    parts, rows = [], 0
    for path, shard in zip(run.paths(), run.shards):
        parts.append(read_groups(path, ("theta", "status")))
        rows += shard.rows
        if rows >= _READ:
            break
    theta = {name: np.concatenate([part["theta"][name] for part in parts]) for name in parts[0]["theta"]}
    status = np.concatenate([part["status"] for part in parts])
    return Simulations.of(theta, np.where(status == 0, 0.0, np.nan))
