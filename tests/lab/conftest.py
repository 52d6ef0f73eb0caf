"""A PostgreSQL server of the tests' own, where the system has one, and books on either database."""

import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpyro.distributions as dist
import pytest

from quincunx.lab.book import begin_book, open_book
from quincunx.model import Prior, wrap
from quincunx.run import Simulations, write_shard

PRIOR = Prior(mu=dist.Normal(0.0, 1.0))


def bell(theta, *, rng):
    return rng.normal(theta["mu"], 1.0, 2)


SIMULATOR = wrap(bell, PRIOR, name="bell")


def rows(first: int, n: int, *, failed: tuple[int, ...] = (), shift: float = 0.0) -> Simulations:
    """Simulations first ... first + n - 1 of a simulator that does nothing but count."""
    numbers = np.arange(first, first + n, dtype=np.float32)
    x = np.stack([numbers + shift, -numbers], axis=1)
    x[list(failed)] = np.nan
    return replace(
        Simulations.of({"mu": numbers}, x),
        index=np.arange(first, first + n),
        messages=dict.fromkeys(failed, "diverged"),
    )


def done(book, held, **options):
    """The shard of a leased batch, written but not reported."""
    return write_shard(rows(held.first, held.n, **options), book.shard_folder, key=book.key, round=held.round)


def _programs() -> Path | None:
    found = shutil.which("pg_ctl")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists() and (place / "pg_ctl").exists()), None)


@pytest.fixture(scope="session")
def server():
    """The address of a PostgreSQL server, started for these tests on a socket in a folder of its own."""
    pytest.importorskip("psycopg")
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL's initdb and pg_ctl are not installed")
    folder = Path(tempfile.mkdtemp(prefix="quincunx-postgresql-"))
    become: dict = {}
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root.
        user = next((u for u in ("postgres", "nobody") if any(e.pw_name == u for e in pwd.getpwall())), None)
        if user is None:
            pytest.skip("PostgreSQL refuses to run as root, and there is no other user")
        entry = pwd.getpwnam(user)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        become = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def call(*arguments):
        log = folder / "log"
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(folder)}
        with open(log, "ab") as stream:
            done = subprocess.run(
                arguments, stdout=stream, stderr=stream, cwd=folder, env=environment, timeout=120, **become
            )
        if done.returncode:
            pytest.skip(f"PostgreSQL cannot be started here: {log.read_text()[-500:]}")

    data = folder / "data"
    call(programs / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync", "--no-locale", "-E", "UTF8")
    # A small server: these tests need no more, and the machine may be shared.
    settings = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off -c max_connections=30"
    call(programs / "pg_ctl", "-D", data, "-w", "-l", folder / "server.log", "-o", settings, "start")
    yield f"postgresql://postgres@/postgres?host={folder}"
    subprocess.run(
        [programs / "pg_ctl", "-D", data, "-m", "immediate", "stop"], cwd=folder, stdout=subprocess.DEVNULL, **become
    )
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    """Where to begin and open a run: the arguments of `begin_book` besides the key, and those of `open_book`."""
    if request.param == "sqlite":
        return {"where": tmp_path / "run"}, {"where": tmp_path / "run"}
    url = request.getfixturevalue("server")
    name = tmp_path.name
    return {"where": url, "run": name, "folder": tmp_path / "run"}, {"where": url, "run": name}


@pytest.fixture
def book(place):
    """A run of 100 simulations in ten batches, on either database."""
    with begin_book(**place[0], key=5) as made:
        made.plan(100, size=10, simulator=SIMULATOR)
        yield made


@pytest.fixture
def again(place):
    """Opens the run anew, as another process would."""
    return lambda **options: open_book(**place[1], **options)
