"""Every example of the page on command simulators is run."""

import re
from pathlib import Path

import numpy as np
import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "command-simulators.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def block(language):
    (text,) = [text for name, text in BLOCKS if name == language]
    return text


@pytest.fixture(scope="module")
def namespace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    (folder / "decay.awk").write_text(block("awk"))
    (folder / "decay.toml").write_text(block("toml"))
    names: dict = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, text in BLOCKS:
            if name == "python":
                exec(compile(text, "command-simulators.md", "exec"), names)
    return names, folder


def test_the_program_counts_decays(namespace):
    """Poisson counts, whose mean is the sum of rate exp(-t / lifetime): standardised over the run, they have mean zero."""
    sims = namespace[0]["sims"]
    assert sims.x.shape == (100, 10) and not sims.failed.any()
    rate, lifetime = (sims.theta[name].astype(float)[:, None] for name in ("rate", "lifetime"))
    mean = rate * np.exp(-np.arange(10) / lifetime)
    z = (sims.x.sum(axis=1) - mean.sum(axis=1)) / np.sqrt(mean.sum(axis=1))
    assert abs(z.mean()) < 4 / np.sqrt(100)


def test_a_batch_and_a_chain_are_made(namespace):
    names, folder = namespace
    assert names["many"].x.shape == (500, 1)
    np.testing.assert_array_equal(names["totals"].x[:, 0] >= 0, True)
    # Two stages of 10 simulations, and what the look at the simulator took.
    assert len(list((folder / "outcomes").glob("*/*"))) >= 20


def test_the_table_of_statuses_is_that_of_the_package():
    from quincunx.run.status import NAMES

    said = dict(re.findall(r"(\d) ([a-z ]+?)(?=[,|]| \|)", PAGE))
    assert {int(code): name.strip() for code, name in said.items() if int(code) < len(NAMES)} == dict(enumerate(NAMES))


def test_the_full_loop_on_programs_ends_with_what_was_measured(namespace):
    """The draws stay where the prior is; how right such posteriors are is told by tests/gallery/test_weinberg_external.py."""
    names = namespace[0]
    assert names["loop"].state == "stopped" and names["loop"].timeline()[0]["events"] == 200
    draws = names["knowledge"].draws[:, 0]
    assert draws.min() >= 0.2 and draws.max() <= 0.25
