"""A study as steps that any workflow system can run: simulate in batches, train, infer, check; each one command of ours."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from quincunx._version import __version__
from quincunx.errors import UsageError
from quincunx.lab.study import Study
from quincunx.notebook import from_fields

__all__ = ["CHECK_FAILED", "Steps"]

CHECK_FAILED = 3
"""The exit code by which `quincunx check` says that it ran and found the answer wanting, which is a result and no failure."""

DATA = "observation.json"
STUDY = "study.py"


@dataclass(frozen=True)
class Steps:
    """The commands of a study's workflow; `source` is a gallery problem's name or the path of a study's file.

    File names are handed to the commands as they are, so that a workflow system's own placeholders may stand for them. Simulation i is
    the same whatever the batches, and the same as in a run with this seed.

    Raises:
        UsageError: for a number of simulations or a size of batches below 1.

    >>> steps = Steps("two_moons", n=1000, size=300, seed=0, has_data=True)
    >>> steps.batches, steps.simulate("{output}", first="0", n="300")
    (4, 'quincunx simulate two_moons --n 300 --start 0 --seed 0 --out {output}')
    """

    source: str
    n: int
    size: int
    seed: int
    has_data: bool

    def __post_init__(self) -> None:
        if self.n < 1 or self.size < 1:
            raise UsageError(
                f"got {self.n} simulations in batches of {self.size}; expected at least 1 of each; choose larger numbers"
            )

    @classmethod
    def of(
        cls, study: Study, source: str, *, n: int | None = None, size: int | None = None, seed: int | None = None
    ) -> "Steps":
        """The steps of a study: by default its own budget and key, in ten batches.

        >>> import quincunx as qx
        >>> Steps.of(qx.Study(qx.gallery.load("two_moons").simulator, budget=1000), "two_moons")
        Steps(source='two_moons', n=1000, size=100, seed=0, has_data=False)
        """
        n = n or study.budget
        return cls(source, n, size or -(-n // 10), study.key if seed is None else seed, study.experiment is not None)

    @property
    def batches(self) -> int:
        """How many batches there are."""
        return -(-self.n // self.size)

    @property
    def is_file(self) -> bool:
        """Whether the study is a file, which has to go along."""
        return self.source.endswith(".py") or "/" in self.source

    @property
    def named(self) -> str:
        """What the commands call the study."""
        return STUDY if self.is_file else self.source

    @property
    def files(self) -> tuple[str, ...]:
        """The files that the workflow needs beside its own."""
        return (*([STUDY] if self.is_file else []), *([DATA] if self.has_data else []))

    @property
    def written_by(self) -> str:
        """A line that says where the workflow comes from."""
        return f"Written by quincunx {__version__}: {self.n} simulations of {self.named} in {self.batches} batches, seed {self.seed}."

    def simulate(self, out: str, *, first: str, n: str, study: str | None = None) -> str:
        """Simulations `first` ... `first + n - 1` into one file."""
        return f"quincunx simulate {study or self.named} --n {n} --start {first} --seed {self.seed} --out {out}"

    def train(self, out: str, *, simulations: str, study: str | None = None) -> str:
        """Learning from simulations, told as `--simulations FILE ...`."""
        return f"quincunx train {study or self.named} {simulations} --seed {self.seed} --out {out}"

    def posterior(self, out: str, *, trained: str, simulations: str, data: str = DATA, study: str | None = None) -> str:
        """The answer in a folder, in which it may have been begun before."""
        return (
            f"quincunx infer {study or self.named} {simulations} --trained {trained} --data {data} --seed {self.seed} "
            f"--out {out} --resume"
        )

    def check(self, out: str) -> str:
        """The checks of an answer in its folder."""
        return f"quincunx check {out} --seed {self.seed + 1} || [ $? -eq {CHECK_FAILED} ]"

    def lay_out(self, folder: Path, study: Study) -> None:
        """Put the files of the workflow into its folder: the study's file, and the observation as JSON.

        Raises:
            DataFileError and others: if the observation cannot be read.
        """
        if self.is_file:
            shutil.copyfile(self.source, folder / STUDY)
        if self.has_data:
            (folder / DATA).write_text(json.dumps(_plain(study.observation())) + "\n")

    _repr_html_ = from_fields


def _plain(x: Any) -> Any:
    if isinstance(x, Mapping):
        return {name: np.asarray(value).tolist() for name, value in x.items()}
    return np.asarray(x).tolist()
