"""Every example of the page on programs is run."""

import re
from pathlib import Path

import jax
import numpy as np
import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "programs.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def names():
    found: dict = {}
    for language, text in BLOCKS:
        if language == "python":
            exec(compile(text, "programs.md", "exec"), found)
    return found


def test_the_trace_is_printed_as_the_page_says(names):
    (shown,) = [text for language, text in BLOCKS if language == "text"]
    assert repr(names["trace"]) == shown.rstrip()


def test_the_replays_and_changes(names):
    assert names["same"].result == names["trace"].result
    assert (
        names["all_right"].tags["end"] == 8.0 and (names["replaced"]["right"] == names["trace"].values["right"]).all()
    )
    np.testing.assert_allclose(names["weight"], names["all_right"].log_prob - names["trace"].log_prob, rtol=1e-4)
    assert names["seen"].result == 2.0 and names["redrawn"].result == names["trace"].result
    assert names["many"].log_prob.shape == (1000,) and len(names["sims"]) == 1000


def test_the_exact_sum_is_what_importance_sampling_says(names):
    program = names["board"].program
    keys = jax.random.split(jax.random.key(0), 4000)
    one = jax.jit(jax.vmap(lambda key: program.generate({"tilt": 0.3}, {"x": 2.0}, key=key)[1]))
    weights = np.exp(one(keys))
    assert abs(weights.mean() - np.exp(names["log_likelihood"])) < 3 * weights.std() / np.sqrt(len(weights))
    assert names["best"]["right"].shape == (3, 8) and names["chances"].shape == (8, 2)
    assert "other values at other ['width']" in names["refused"]
