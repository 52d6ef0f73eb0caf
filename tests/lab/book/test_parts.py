"""The small parts: file systems, TOML, fingerprints."""

import importlib
import linecache
import os
import subprocess
import sys
import textwrap
import tomllib
from functools import partial
from pathlib import Path

import jax
import numpy as np
import numpyro.distributions as dist
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quincunx import gallery
from quincunx.errors import NetworkFolder, UsageError
from quincunx.lab.book import fingerprint
from quincunx.lab.book.filesystem import filesystem_of, refuse_network
from quincunx.lab.book.toml import to_toml
from quincunx.model import Prior, wrap

MOUNTS = """
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
22 21 0:20 / /home rw - nfs4 server:/home rw
23 22 0:21 / /home/ada/local rw - xfs /dev/sdb rw
24 21 0:22 / /scratch rw - lustre mds:/scratch rw
25 21 0:23 / /mnt/my\\040share rw - cifs //server/share rw
26 21 0:24 / /remote rw - fuse.sshfs ada@server: rw
27 21 0:25 / /archive rw - fuse.squashfuse image rw
28 21 0:26 / /over rw - tmpfs none rw
29 21 0:27 / /over rw - 9p host rw
"""


@pytest.mark.parametrize(
    ("folder", "kind", "network"),
    [
        ("/var/run", "ext4", False),
        ("/home/ada/run", "nfs4", True),
        ("/home/ada/local/run", "xfs", False),
        ("/homework", "ext4", False),
        ("/scratch", "lustre", True),
        ("/mnt/my share/run", "cifs", True),
        ("/remote/run", "fuse.sshfs", True),
        ("/archive", "fuse.squashfuse", False),
        ("/over/run", "9p", True),
    ],
)
def test_file_systems(tmp_path, folder, kind, network):
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTS)
    assert filesystem_of(Path(folder), table) == kind
    if network:
        with pytest.raises(NetworkFolder, match=r"PostgreSQL URL .* single coordinator"):
            refuse_network(Path(folder), table)
    else:
        refuse_network(Path(folder), table)


def test_this_system_says_something_or_nothing_at_all(tmp_path):
    assert filesystem_of(tmp_path) is None or filesystem_of(tmp_path)
    assert filesystem_of(tmp_path, tmp_path / "nothing") is None
    refuse_network(tmp_path, tmp_path / "nothing")


NAMES = st.text(st.characters(exclude_categories=("Cs",)), max_size=10)
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_toml_is_read_back(settings):
    assert tomllib.loads(to_toml(settings)) == settings


def test_toml_leaves_out_none_and_refuses_others():
    assert to_toml({"a": None, "b": {"c": None}}) == "\n[b]\n"
    with pytest.raises(UsageError, match=r"'a\.b'"):
        to_toml({"a": {"b": object()}})


PRIOR = Prior(mu=dist.Normal(0.0, 1.0))
OFFSET = np.arange(3.0)


def helper(x):
    return x + 1


def uses(theta, *, rng):
    return helper(theta["mu"]) + OFFSET


@jax.jit
def compiled(x):
    return helper(x)


def calls(theta, *, key):
    return compiled(theta["mu"]) + jax.random.normal(key, (3,))


def made_with(scale):
    def inner(theta, *, rng):
        return rng.normal(theta["mu"], scale, 3)

    return inner


def test_a_fingerprint_follows_the_code(monkeypatch):
    first = fingerprint(wrap(uses, PRIOR))
    assert first == fingerprint(wrap(uses, PRIOR)) and len(first) == 64
    assert first != fingerprint(wrap(uses, PRIOR, version="1"))
    assert first != fingerprint(wrap(uses, Prior(mu=dist.Normal(0.0, 2.0))))
    assert first != fingerprint(wrap(made_with(1.0), PRIOR))
    with monkeypatch.context() as patch:
        patch.setitem(globals(), "OFFSET", np.arange(3.0) + 1)
        assert fingerprint(wrap(uses, PRIOR)) != first
    with monkeypatch.context() as patch:
        patch.setitem(globals(), "helper", made_with(2.0))
        assert fingerprint(wrap(uses, PRIOR)) != first
    assert fingerprint(wrap(uses, PRIOR)) == first


def test_a_fingerprint_follows_what_a_function_was_made_with():
    one, same, other = (fingerprint(wrap(made_with(scale), PRIOR, name="a")) for scale in (1.0, 1.0, 2.0))
    assert one == same != other


def test_a_fingerprint_follows_what_compiled_functions_call(monkeypatch):
    first = fingerprint(wrap(calls, PRIOR))
    monkeypatch.setitem(globals(), "helper", made_with(2.0))
    assert fingerprint(wrap(calls, PRIOR)) != first


def test_a_fingerprint_follows_modules_beside_it_and_not_libraries(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    model = """
        import json
        import numpy as np
        import fingerprinted_steps
        def simulate(theta, *, rng):
            return np.asarray(json.loads("[1.0]")) + fingerprinted_steps.step(theta["mu"])
    """

    def printed(step, more=""):
        (tmp_path / "fingerprinted_model.py").write_text(textwrap.dedent(model))
        (tmp_path / "fingerprinted_steps.py").write_text(f"def step(x):\n    return {step}\n{more}")
        for name in ("fingerprinted_model", "fingerprinted_steps"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        linecache.clearcache()
        return fingerprint(wrap(importlib.import_module("fingerprinted_model").simulate, PRIOR))

    first = printed("x + 1")
    assert printed("x + 1", more="def other(x):\n    return x\n") == first
    assert printed("x + 22") != first


_PRINTS = """
from quincunx import gallery
from quincunx.lab import fingerprint
print(*[fingerprint(gallery.load(name).simulator) for name in ("two_moons", "slcp")])
"""


def test_fingerprints_are_the_same_in_every_process():
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    done = subprocess.run([sys.executable, "-c", _PRINTS], env=environment, check=True, capture_output=True, text=True)
    here = [fingerprint(gallery.load(name).simulator) for name in ("two_moons", "slcp")]
    assert done.stdout.split() == here and len(set(here)) == 2


class Callable:
    def __init__(self, scale):
        self.scale = scale

    def __call__(self, theta, *, rng):
        return rng.normal(theta["mu"], self.scale, 3)


def with_scale(theta, *, rng, scale):
    return rng.normal(theta["mu"], scale, 3)


def test_callable_objects_and_partial_functions():
    for make in (Callable, lambda scale: partial(with_scale, scale=scale)):
        one, same, other = (fingerprint(wrap(make(scale), PRIOR, name="a")) for scale in (1.0, 1.0, 2.0))
        assert one == same != other
