"""The picture of the loop: every step, in order, readable."""

import matplotlib
import numpy as np
import pytest

from quincunx import plot

STEPS = ["simulate", "learn", "infer", "check", "design", "the experiment"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_step_is_there_large_enough_and_inside_its_card(theme):
    figure = plot.loop(theme=theme)
    figure.canvas.draw()
    ground = figure.axes[0]
    titles = {t.get_text(): t for t in ground.texts}
    assert [name for name in titles if name in STEPS] == STEPS
    cards = [p.get_window_extent() for p in ground.patches if isinstance(p, matplotlib.patches.FancyBboxPatch)]
    assert len(cards) == 6
    for text in ground.texts:
        box = text.get_window_extent()
        assert any(c.x0 < box.x0 and box.x1 < c.x1 and c.y0 < box.y0 and box.y1 < c.y1 for c in cards), text.get_text()
    # On a page the picture is 700 px wide: no letter smaller than 10 px.
    scale = 700 / (figure.get_size_inches()[0] * 72)
    sizes = [t.get_fontsize() for axes in figure.axes for t in axes.texts]
    assert min(sizes) * scale >= 10


def test_the_steps_run_round_clockwise():
    figure = plot.loop()
    arrows = [p for p in figure.axes[0].patches if isinstance(p, matplotlib.patches.FancyArrowPatch)]
    steps = np.array([np.subtract(*arrow._posA_posB[::-1]) for arrow in arrows])
    assert len(arrows) == 6 and np.allclose(steps.sum(axis=0), 0)
