"""Running a command in a container: its own file system, pinned by digest, with the scratch directory as the only mount."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from quincunx.errors import UsageError
from quincunx.notebook import from_fields

__all__ = ["INSIDE", "Container"]

INSIDE = Path("/scratch")
"""Where a container finds the scratch directory."""

_DIGEST = re.compile(r".+@sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Container:
    """A container image by digest, so that the same name is always the same program, and the engine that runs it.

    The container sees the scratch directory (as /scratch) and nothing else of the machine, and no network.

    Raises:
        UsageError: for an unknown engine, or an image without a digest.

    >>> box = Container("docker", "ghcr.io/lab/sir@sha256:" + "0" * 64)
    >>> box.engine, box.digest[:10]
    ('docker', 'sha256:000')
    """

    engine: Literal["docker", "podman", "apptainer"]
    image: str

    def __post_init__(self) -> None:
        if self.engine not in ("docker", "podman", "apptainer"):
            raise UsageError(
                f"got the container engine {self.engine!r}; expected docker, podman or apptainer; name one of these"
            )
        if not _DIGEST.fullmatch(self.image):
            raise UsageError(
                f"got the container image '{self.image}' without a digest; expected name@sha256:<64 hex digits>, which "
                f"is always the same program; find it with: {self.engine} inspect"
            )

    @classmethod
    def of(cls, given: "Container | Mapping[str, Any] | None") -> "Container | None":
        """From its fields in a mapping, as TOML gives them."""
        if given is None or isinstance(given, Container):
            return given
        if set(given) != {"engine", "image"}:
            raise UsageError(f"got a container with {sorted(given)}; expected engine and image; give both")
        return cls(given["engine"], given["image"])

    @property
    def digest(self) -> str:
        """What pins the image: sha256:<64 hex digits>."""
        return self.image.rsplit("@", 1)[1]

    def argv(
        self, inner: Sequence[str], scratch: Path, variables: Mapping[str, str], name: str, memory: int | None
    ) -> list[str]:
        """The whole command line: the engine, what it may see, and the command inside.

        >>> box = Container("apptainer", "lab/sir@sha256:" + "0" * 64)
        >>> box.argv(["sir", "0.5"], Path("/tmp/a"), {"LANG": "C"}, "run1", None)[:4]
        ['apptainer', 'exec', '--containall', '--no-home']
        """
        settings = [part for key, value in sorted(variables.items()) for part in ("--env", f"{key}={value}")]
        if self.engine == "apptainer":
            mount = ["--bind", f"{scratch}:{INSIDE}", "--pwd", str(INSIDE)]
            return [
                "apptainer",
                "exec",
                "--containall",
                "--no-home",
                *mount,
                *settings,
                f"docker://{self.image}",
                *inner,
            ]
        limits = [] if memory is None else ["--memory", str(memory)]
        owner = ["--userns", "keep-id"] if self.engine == "podman" else ["--user", f"{os.getuid()}:{os.getgid()}"]
        mount = ["--volume", f"{scratch}:{INSIDE}", "--workdir", str(INSIDE)]
        box = ["--rm", "--init", "--network", "none", "--name", name, *owner, *mount]
        return [self.engine, "run", *box, *limits, *settings, self.image, *inner]

    def explain(self, code: int, memory: int | None) -> tuple[str, str] | None:
        """What an exit code says of the engine rather than of the program inside: how it went, and in words.

        >>> box = Container("docker", "lab/sir@sha256:" + "0" * 64)
        >>> box.explain(137, 10**9), box.explain(125, None)[0], box.explain(3, None)
        (('oom', 'killed in a container limited to 1000 MB'), 'lost', None)
        """
        if self.engine == "apptainer":
            return None
        if code == 125:
            return "lost", f"{self.engine} could not run the container (exit code 125)"
        if code == 137 and memory is not None:
            return "oom", f"killed in a container limited to {memory / 1e6:g} MB"
        return None

    def kill_argv(self, name: str) -> list[str] | None:
        """What ends the container, which outlives its client; None where it ends with the process group.

        >>> Container("podman", "lab/sir@sha256:" + "0" * 64).kill_argv("run1")
        ['podman', 'kill', 'run1']
        """
        return None if self.engine == "apptainer" else [self.engine, "kill", name]

    _repr_html_ = from_fields
