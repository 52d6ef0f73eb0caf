"""Every example of the page on gold is run."""

import re
from pathlib import Path

import numpy as np
import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "gold.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def names():
    found: dict = {}
    for text in BLOCKS:
        exec(compile(text, "gold.md", "exec"), found)
    return found


def test_what_is_mined_is_what_the_page_says(names):
    assert sorted(names["sims"].gold) == ["joint_log_ratio", "joint_score", "label"]
    ratio = np.exp(names["sims"].gold["joint_log_ratio"].astype(float))
    # a mixture of three that holds theta would bound it by three; theta is drawn from the prior, which the points cover
    reference = ratio[names["sims"].gold["label"] == 0]
    assert abs(reference.mean() - 1) < 3 * reference.std() / np.sqrt(len(reference))


def test_the_ratio_is_near_the_exact_one(names):
    # what 4,000 labels could know of one ratio, by twenty coefficients; gold knows more
    assert abs(float(names["ratio"][0]) - 0.2) < 4 * np.sqrt(4 * 20 / 4000)
