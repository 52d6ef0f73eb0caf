"""Drawing leaves nothing behind: no settings, no figures, no window, no values of ours."""

import ast
import subprocess
import sys
import threading
from pathlib import Path

import matplotlib
import numpy as np
import pytest

import quincunx.plot
from quincunx import plot

RANDOM = np.random.default_rng(0)
DRAWS = RANDOM.normal(size=(200, 2))
LEVELS = np.linspace(0.1, 0.9, 9)
GRID = np.linspace(-3.0, 3.0, 21)
BOWL = GRID[:, None] ** 2 + GRID**2
RING = np.stack([np.cos(np.linspace(0, 6.3, 50)), np.sin(np.linspace(0, 6.3, 50))], axis=1)
INTERVAL = {"mean": 0.0, "68% low": -1.0, "68% high": 1.0, "95% low": -2.0, "95% high": 2.0}
CALLS = {
    "checked_coverage": lambda **o: plot.checked_coverage({"tarp": {"fractions": RANDOM.random(100)}}, 100, **o),
    "checked_ranks": lambda **o: plot.checked_ranks(
        {"sbc: a": {"ranks": RANDOM.integers(0, 100, 100), "draws": 99}}, **o
    ),
    "compared_intervals": lambda **o: plot.compared_intervals(["one", "two"], {"a": [INTERVAL, None]}, **o),
    "confidence_curve": lambda **o: plot.confidence_curve(
        GRID, GRID**2, np.full((1, 21), 3.84), [0.95], [[(-1.96, 1.96)]], "a", **o
    ),
    "confidence_regions": lambda **o: plot.confidence_regions(
        [GRID, GRID], BOWL, np.full((1, 21, 21), 5.99), [0.95], ["a", "b"], **o
    ),
    "corner": lambda **o: plot.corner(DRAWS, ["a", "b"], **o),
    "coverage": lambda **o: plot.coverage(LEVELS, {"joint": LEVELS}, 100, **o),
    "design_curve": lambda **o: plot.design_curve(GRID, 9 - GRID**2, "a", se=0 * GRID + 0.1, chosen=0.0, **o),
    "design_map": lambda **o: plot.design_map(DRAWS, DRAWS[:, 0], ["a", "b"], chosen=[0.0, 0.0], **o),
    "design_slices": lambda **o: plot.design_slices(BOWL[:, :3], GRID, ["a", "b", "c"], chosen=[0.0, 0.0, 0.0], **o),
    "designs_compared": lambda **o: plot.designs_compared({"a": GRID, "b": BOWL[:, :2]}, 9 - GRID**2, **o),
    "failures": lambda **o: plot.failures(DRAWS, DRAWS[:, 0] > 1, ["a", "b"], **o),
    "information_ellipses": lambda **o: plot.information_ellipses({"full": RING}, ["a", "b"], **o),
    "learning_curves": lambda **o: plot.learning_curves({"a": [1e3, 1e4]}, {"a": [[0.1], [0.01]]}, **o),
    "loop": lambda **o: plot.loop(**o),
    "losses": lambda **o: plot.losses(DRAWS[:, :1], DRAWS[:, 1:], np.array([3]), **o),
    "predictive_series": lambda **o: plot.predictive_series(DRAWS, np.zeros(2), **o),
    "predictive_summaries": lambda **o: plot.predictive_summaries(DRAWS, np.zeros(2), ["a", "b"], **o),
    "scan_curve": lambda **o: plot.scan_curve(GRID, GRID**2, "a", **o),
    "scan_map": lambda **o: plot.scan_map([GRID, GRID], BOWL, ["a", "b"], **o),
    "sbc_ranks": lambda **o: plot.sbc_ranks(RANDOM.integers(0, 100, (100, 2)), 99, ["a", "b"], **o),
    "widths": lambda **o: plot.widths(np.arange(3.0), np.array([[1.0, 2.0], [0.5, 1.0], [0.2, 0.9]]), ["a", "b"], **o),
}


def test_every_public_picture_is_in_this_table():
    assert set(CALLS) == set(plot.__all__) - {
        "central_band",
        "colour_rules",
        "inline_svg",
        "save_svg",
        "setting_columns",
        "svg_text",
    }


@pytest.mark.parametrize("name", CALLS)
def test_a_picture_changes_no_setting_and_registers_no_figure(name):
    before = dict(matplotlib.rcParams)
    for theme in ("light", "dark"):
        figure = CALLS[name](theme=theme)
        figure.canvas.draw()
        assert dict(matplotlib.rcParams) == before
        assert figure.number is None if hasattr(figure, "number") else True


@pytest.mark.parametrize("name", CALLS)
def test_a_users_own_settings_do_not_reach_into_a_picture(name):
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 40, "text.usetex": True, "axes.grid": True}):
        figure = CALLS[name]()
    assert all(axes.get_facecolor()[:3] != (1.0, 0.0, 0.0) for axes in figure.axes)
    figure.canvas.draw()


def test_an_unknown_theme_is_refused():
    with pytest.raises(ValueError, match="light, dark"):
        plot.loop(theme="sepia")


def test_pyplot_is_never_imported():
    code = "import sys, quincunx.plot, quincunx.lab.report; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_threads_may_draw_at_once():
    before, failures = dict(matplotlib.rcParams), []

    def draw(theme: str) -> None:
        try:
            for _ in range(3):
                figure = plot.coverage(LEVELS, {"joint": LEVELS}, 100, theme=theme)
                expected = "#ffffff" if theme == "light" else "#12171e"
                assert matplotlib.colors.to_hex(figure.get_facecolor()) == expected
        except AssertionError as error:
            failures.append(error)

    threads = [threading.Thread(target=draw, args=(theme,)) for theme in ("light", "dark") * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and dict(matplotlib.rcParams) == before


def test_plot_knows_no_values():
    for path in Path(quincunx.plot.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                if name.startswith("quincunx"):
                    assert name.startswith(("quincunx.plot", "quincunx.errors", "quincunx.palette")), (path.name, name)
