"""The published observations of the ten benchmark tasks (2101.04653)."""

import functools
from importlib import resources

import numpy as np


@functools.lru_cache(maxsize=1)
def _stored() -> dict[str, np.ndarray]:
    file = resources.files("quincunx.gallery").joinpath("data", "benchmark_observations.npz")
    with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def observed(task: str) -> np.ndarray:
    """The ten observations of a task, one row each.

    >>> observed("two_moons").shape
    (10, 2)
    """
    return _stored()[f"{task}.x"]


def true_parameters(task: str) -> np.ndarray:
    """The parameters that generated them, one row each.

    >>> true_parameters("slcp").shape
    (10, 5)
    """
    return _stored()[f"{task}.theta"]
