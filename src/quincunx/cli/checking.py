"""Checks of a run, written into its directory."""

from typing import Any

import jax

from quincunx.check import check
from quincunx.cli.folder import RunFolder, write_json
from quincunx.cli.source import Source
from quincunx.values import as_key

# Apart from the keys of the job itself, so that checks never see the simulations that were trained on.
_CHECK = 3


def run_checks(folder: RunFolder, source: Source, posterior: Any, *, n: int, seed: int) -> Any:
    """Run the default checks with ``n`` fresh simulations; writes checks.json and what the report's pictures need."""
    with folder.timed("check"):
        report = check(posterior, source.simulator, key=jax.random.fold_in(as_key(seed), _CHECK), n=n)
    report.save(folder.checks_value)
    write_json(folder.checks, report.to_dict() | {"asked": {"simulations": n, "seed": seed}})
    folder.note(checked=report.status)
    return report
