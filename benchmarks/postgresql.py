"""A PostgreSQL server for a benchmark, on a socket in a folder of its own, where the system has one."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def server() -> Iterator[str | None]:
    """Its URL while the block runs; None where there is no PostgreSQL, or no user to run it as."""
    found = shutil.which("pg_ctl")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    programs = next((place for place in places if (place / "initdb").exists()), None)
    if programs is None:
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="quincunx-postgresql-"))
    become: dict = {}
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root.
        user = next((u for u in ("postgres", "nobody") if any(e.pw_name == u for e in pwd.getpwall())), None)
        if user is None:
            yield None
            return
        entry = pwd.getpwnam(user)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        become = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def call(*argv):
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(folder)}
        with open(folder / "log", "ab") as log:
            subprocess.run(argv, stdout=log, stderr=log, cwd=folder, env=environment, check=True, **become)

    data = folder / "data"
    call(programs / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync", "--no-locale", "-E", "UTF8")
    settings = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off -c max_connections=40"
    call(programs / "pg_ctl", "-D", data, "-w", "-l", folder / "server.log", "-o", settings, "start")
    try:
        yield f"postgresql://postgres@/postgres?host={folder}"
    finally:
        call(programs / "pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)
