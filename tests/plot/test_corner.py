"""Corner plots, compared by structure: panels, labels, limits, lines and regions."""

from itertools import pairwise

import matplotlib
import numpy as np
import pytest
from matplotlib.contour import QuadContourSet

from quincunx.errors import ShapeMismatch
from quincunx.plot import corner


def normal(n: int, d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


def visible_text(figure) -> list[str]:
    figure.canvas.draw()
    return [t.get_text() for t in figure.findobj(matplotlib.text.Text) if t.get_visible() and t.get_text()]


@pytest.mark.parametrize("dim", [1, 2, 3, 7, 12])
def test_one_panel_for_each_parameter_and_pair(dim):
    figure = corner(normal(300, dim), [f"p{i}" for i in range(dim)])
    assert len(figure.axes) == dim * (dim + 1) // 2
    labels = [axes.get_xlabel() for axes in figure.axes if axes.get_xlabel()]
    assert labels == [f"p{i}" for i in range(dim)]


def test_labels_carry_units_powers_and_the_mass_of_regions():
    draws = normal(300, 2) * [1.0, 1e-6]
    figure = corner(draws, ["beta", "rate"], units={"beta": "1/day", "rate": "m"}, name="NPE")
    text = visible_text(figure)
    assert "beta [1/day]" in text and "rate [10$^{-6}$ m]" in text
    assert "NPE, 68 % of mass" in text and "NPE, 95 % of mass" in text


def test_axes_follow_the_posterior_respect_bounds_and_show_the_truth():
    draws = np.random.default_rng(1).beta(1.0, 9.0, size=(2000, 2))
    figure = corner(draws, ["a", "b"], bounds=[(0.0, 1.0)] * 2, prior=np.random.default_rng(2).uniform(size=(2000, 2)),
                    truth=np.array([0.9, 0.1]))  # fmt: skip
    first, pair, second = figure.axes
    assert first.get_xlim()[0] == 0.0 and 0.9 < first.get_xlim()[1] < 1.0
    assert second.get_xlim()[0] == 0.0 and second.get_xlim()[1] < 1.0
    assert pair.get_xlim() == first.get_xlim() and pair.get_ylim() == second.get_xlim()
    assert any(np.allclose(line.get_xdata(), 0.9) for line in first.lines)


def test_contours_stand_at_the_drawn_levels_for_both_posteriors():
    figure = corner(normal(2000, 2), ["a", "b"], reference=normal(2000, 2, 1), reference_name="MCMC")
    pair = figure.axes[1]
    sets = [c for c in pair.get_children() if isinstance(c, QuadContourSet)]
    filled = [c for c in sets if c.filled]
    assert len(sets) == 3 and len(filled) == 1, "regions and outlines of one, outlines of the other"
    assert len(filled[0].levels) == 3 and np.all(np.diff(filled[0].levels) > 0)
    assert "MCMC, 68 and 95 %" in visible_text(figure)


def test_ticks_lie_inside_their_axes_and_labels_do_not_overlap():
    figure = corner(normal(400, 4) * [1e-5, 1.0, 1e3, 1e6] + [0, 0.5, 1e4, 0], ["a", "b", "c", "d"])
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    for axes in figure.axes:
        low, high = axes.get_xlim()
        ticks = axes.get_xticks()
        assert np.all((ticks >= low) & (ticks <= high)) and 1 <= len(ticks) <= 5
        boxes = [
            label.get_window_extent(renderer)
            for label in axes.get_xticklabels()
            if label.get_text() and label.get_visible()
        ]
        if axes.xaxis.get_tick_params()["labelbottom"] and axes.xaxis.get_majorticklabels()[0].get_rotation() == 0:
            assert all(a.x1 <= b.x0 for a, b in pairwise(boxes))


def test_nothing_is_cut_off_by_the_edge():
    names = ["a_rather_long_parameter_name", "b", "another_long_name_of_a_rate"]
    figure = corner(normal(300, 3), names, units={names[0]: "km/s/Mpc", names[2]: "1/day"}, truth=np.zeros(3))
    figure.canvas.draw()
    width, height = figure.canvas.get_width_height()
    inches = figure.get_tightbbox(figure.canvas.get_renderer())
    assert inches.x0 >= 0 and inches.y0 >= 0
    assert inches.x1 * figure.dpi <= width and inches.y1 * figure.dpi <= height


@pytest.mark.parametrize("name", ["$\\alpha$", "cost $", "$\\nonsense$", "a_b^c", "x{y}", "Ωₘ"])
def test_any_name_can_be_drawn(name):
    corner(normal(100, 2), [name, "b"], units={name: "$"}).canvas.draw()


def test_degenerate_draws_still_draw():
    draws = normal(200, 3)
    draws[:, 1] = 2.0
    draws[:, 2] = draws[:, 0]
    corner(draws, ["a", "constant", "copy"]).canvas.draw()


def test_misfits_are_refused_by_name():
    draws = normal(100, 2)
    for wrong in (
        {"names": ["a"]}, {"bounds": [(0.0, 1.0)]}, {"prior": normal(100, 3)}, {"truth": np.zeros(3)},
        {"reference": normal(100, 1)},
    ):  # fmt: skip
        arguments = {"names": ["a", "b"]} | wrong
        with pytest.raises(ShapeMismatch, match=next(iter(wrong))):
            corner(draws, **arguments)
    with pytest.raises(ShapeMismatch, match="13 parameters"):
        corner(normal(100, 13), [f"p{i}" for i in range(13)])
    with pytest.raises(ShapeMismatch, match="NaN"):
        corner(np.where(draws > 2, np.nan, draws)[:, :2] * np.array([1.0, np.nan]), ["a", "b"])
