"""Figures as SVG: colours that follow the screen, thinned paths, nothing fetched."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np

from quincunx import plot
from quincunx.plot.style import THEMES
from quincunx.plot.thinning import kept_vertices, thin_path


def test_a_saved_figure_is_sound_xml_that_turns_dark(tmp_path):
    path = plot.save_svg(plot.loop(), tmp_path / "loop.svg", alt="The <loop> & more.")
    root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root[0].text == "The <loop> & more."
    text = path.read_text(encoding="utf-8")
    assert text.count("http") == 1, "the namespace, and nothing to fetch"
    drawn = text[text.index("</style>") :]
    assert not re.findall(r"(?:fill|stroke): #[0-9a-fA-F]{6}", drawn)
    used = set(re.findall(r"var\(--([a-z]+)\)", drawn))
    assert {"posterior", "reference", "ink", "surface"} <= used <= set(THEMES["dark"].colours())
    assert len(text) < 200_000


def test_drawing_twice_gives_the_same_file(tmp_path):
    one, two = (plot.save_svg(plot.loop(), tmp_path / name, alt="x").read_bytes() for name in ("a.svg", "b.svg"))
    assert one == two


def test_thinning_moves_no_line_by_more_than_the_eye_sees():
    t = np.linspace(0, 6, 2000)
    points = np.column_stack([50 * t, 40 * np.sin(t)])
    kept = kept_vertices(points, 0.1)
    assert kept.sum() < 100
    redrawn = np.interp(points[:, 0], points[kept, 0], points[kept, 1])
    # The tolerance is across the line, whose slope is at most 0.8.
    assert np.abs(redrawn - points[:, 1]).max() <= 0.1 * np.hypot(1, 0.8)
    spike = np.array([[0, 0], [10, 0], [3, 0]], dtype=float)
    assert kept_vertices(spike).all(), "a line that turns back keeps its end"
    assert thin_path("M 0 0 Q 1 1 2 0 L 3 0 z") == "M0 0Q1 1 2 0L3 0z"
