"""Settings spread over simulations."""

import numpy as np
import pytest

from quincunx.errors import ShapeMismatch
from quincunx.model.design import design_at, spread_design


def test_fixed_ones_take_no_memory_and_the_others_pass():
    spread = spread_design({"dose": 2.0, "times": np.arange(3.0), "each": np.arange(5.0), "n": [1, 2, 3, 4, 5]}, 5)
    assert spread["dose"].shape == (5,) and spread["dose"].strides == (0,)
    assert spread["times"].shape == (5, 3) and spread["each"].shape == (5,)
    assert design_at(spread, 4)["each"] == 4.0 and design_at(spread, 4)["n"] == 5
    assert spread_design(None, 5) is None and design_at(None, 0) is None


def test_bad_settings_are_refused():
    with pytest.raises(ShapeMismatch, match="'dose'"):
        spread_design({"dose": "high"}, 5)
