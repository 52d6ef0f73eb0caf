"""Every example of the page on confidence sets and information is run, and prints what the page says."""

import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "answers.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"-?\d+\.?\d*(?:e-?\d+)?")


@pytest.fixture(scope="module")
def ran():
    """The page's names after all its examples, and what each example printed."""
    names, printed = {}, []
    for language, text in BLOCKS:
        if language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(text, "answers.md", "exec"), names)
            printed.append(out.getvalue())
    return names, printed


def test_what_is_printed_is_what_the_page_says(ran):
    """Words exactly, numbers to three digits: the last one is the processor's."""
    _, printed = ran
    shown = [text for language, text in BLOCKS if language == "text"]
    assert len(shown) == len(printed)
    for page, real in zip(shown, printed, strict=True):
        assert NUMBER.sub("#", page) == NUMBER.sub("#", real)
        numbers = [[float(number) for number in NUMBER.findall(text)] for text in (page, real)]
        np.testing.assert_allclose(*numbers, rtol=5e-3)


def test_the_answers_agree_with_the_truth_and_with_each_other(ran):
    names, _ = ran
    error = 0.02429
    assert abs(names["best"].theta["theta"] + 0.7) < 3 * error
    assert names["best"].standard_errors["theta"] == pytest.approx(error, rel=0.1)
    ((low, high),) = names["large"].intervals(0.95)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)
    for result, level in zip(names["covered"], (0.6827, 0.95), strict=True):
        # 2000 toys of the belt, and as many of the check
        assert abs(result.statistic - level) < 3 * (level * (1 - level) * 2 / 2000) ** 0.5
    for name, truth in (("full", 1.695387), ("complete", 2.686991)):
        assert abs(names[name]["theta"] - truth) < 3 * names[name].error[0, 0]
    assert names["thirds"]["theta"] < names["full"]["theta"]
