"""The benchmark measures what it says."""

import numpy as np
import pytest

from quincunx import gallery
from quincunx.bench import TASKS, Measurement, measure
from quincunx.errors import UnknownProblem, UsageError


def test_every_task_is_in_the_gallery_with_ten_observations():
    for task in TASKS:
        problem = gallery.load(task)
        assert problem.observations == 10
        assert np.size(problem.observation(10)) == len(problem.simulator.observables)


def test_bad_requests_are_refused_before_anything_runs():
    with pytest.raises(UnknownProblem, match="two_moons"):
        measure("three_moons")
    with pytest.raises(UsageError, match="1 to 10"):
        measure("two_moons", observations=(11,))


def test_a_measurement_averages_over_observations():
    found = Measurement("two_moons", "npe", 100, 0, 50, (1, 2, 3), (0.5, 0.6, 0.7), 4, 0.1, 2.0, (0.1, 0.2, 0.3))
    assert found.mean == pytest.approx(0.6)
    assert found.standard_error == pytest.approx(0.1 / np.sqrt(3))
    plain = found.as_dict()
    assert plain["c2st_mean"] == found.mean and plain["cpu_seconds"]["train"] == 2.0
