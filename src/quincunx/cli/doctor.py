"""``quincunx doctor``: is this installation sound, can runs be kept here, and how fast is this machine?"""

import os
import platform
import re
import sys
import time
from typing import Annotated, Any

import typer

from quincunx.cli.console import emit, tabulate
from quincunx.cli.exits import FAILED
from quincunx.cli.options import Json

_REQUIREMENT = re.compile(
    r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*(?:>=\s*([0-9][0-9.]*))?.*?(?:;.*extra\s*==\s*['\"]([^'\"]+)['\"])?$"
)


_EXTRAS = ("bench", "hdf5", "msprime", "pandas", "parquet", "postgresql", "snakemake", "zarr")
"""Extras that give something to a user."""


def doctor(
    run: Annotated[
        str, typer.Argument(metavar="[RUN]", help="Where runs are to be kept, or one: a folder or a database's URL.")
    ] = ".",
    json: Json = False,
) -> None:
    """Look at installation, place and machine.

    What is installed, whether runs can be kept here, and how fast this machine is."""
    from quincunx.cli.site import examine_site

    findings = examine()
    # Without its requirements nothing else can be asked of it.
    if findings["sound"]:
        findings["site"] = examine_site(run)
        findings["sound"] = findings["site"]["sound"]
    if json:
        emit(findings)
    else:
        tabulate(["package", "found", "needed", "state"], [list(row.values()) for row in findings["packages"]])
        machine = {k: v for k, v in findings.items() if k not in ("packages", "sound", "site")}
        tabulate(["what", "value"], [[name, str(value)] for name, value in machine.items()])
        if "site" in findings:
            told = {name: value for name, value in findings["site"].items() if name != "sound"}
            tabulate(["where runs are kept", ""], [[name, str(value)] for name, value in told.items()])
    if not findings["sound"]:
        raise typer.Exit(FAILED)


def examine() -> dict[str, Any]:
    """Everything the doctor knows, as plain values."""
    packages = [*_packages()]
    findings: dict[str, Any] = {
        "sound": all(row["state"] != "missing" and row["state"] != "too old" for row in packages),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "terminal": "colour" if sys.stdout.isatty() and "NO_COLOR" not in os.environ else "plain",
        "packages": packages,
    }
    if findings["sound"]:
        findings |= _machine()
    return findings


def _packages() -> list[dict[str, Any]]:
    from importlib import metadata

    rows = []
    try:
        requirements = metadata.requires("quincunx") or []
    except metadata.PackageNotFoundError:
        return [{"package": "quincunx", "found": None, "needed": "any", "state": "missing"}]
    for requirement in requirements:
        match = _REQUIREMENT.match(requirement)
        if match is None or match[1] == "quincunx":
            continue
        name, needed, extra = match[1], match[2], match[3]
        if extra not in (None, *_EXTRAS):
            continue
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            found = None
        if found is None:
            state = "missing" if extra is None else f"optional: pip install 'quincunx[{extra}]'"
        elif needed is not None and _numbers(found) < _numbers(needed):
            state = "too old"
        else:
            state = "ok"
        rows.append({"package": name, "found": found, "needed": f">={needed}" if needed else "any", "state": state})
    return rows


def _numbers(version: str) -> tuple[int, ...]:
    """
    >>> _numbers("0.10.2") > _numbers("0.7")
    True
    """
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _machine() -> dict[str, Any]:
    started = time.perf_counter()
    import jax

    imported = time.perf_counter() - started
    x = jax.numpy.ones((256, 256))
    started = time.perf_counter()
    jax.jit(lambda a: jax.numpy.tanh(a @ a).sum())(x).block_until_ready()
    compiled = time.perf_counter() - started
    return {
        "devices": [str(device) for device in jax.devices()],
        "seconds to import jax": round(imported, 2),
        "seconds to compile a small program": round(compiled, 3),
        "64-bit by default": bool(jax.config.read("jax_enable_x64")),
    }
