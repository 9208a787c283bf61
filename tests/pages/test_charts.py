"""Plots as SVG: well-formed, where they should be, readable without seeing them."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from tinymed.pages.charts import Axes, Point, square_plot, strip, strip_axis
from tinymed.pages.document import Mark

AXES = Axes(title="A <plot>", x="x & more", y='"y"')


def drawn(points: list[Point], **options: bool) -> ET.Element:
    return ET.fromstring(square_plot(AXES, points, description="What <is> seen", **options))


def test_a_strip_has_each_figure_at_its_percent() -> None:
    svg = ET.fromstring(strip([Mark(value=0.651, low=0.58, high=0.712)]))
    line, circle = svg.findall("g/*")
    assert (line.get("x1"), line.get("x2"), circle.get("cx")) == ("58.00%", "71.20%", "65.10%")
    assert svg.get("aria-hidden") == "true"


def test_the_model_is_drawn_last_and_apart_from_its_control() -> None:
    model, control = (
        Mark(value=0.5, low=0.4, high=0.6),
        Mark(value=0.5, low=0, high=1, is_model=False),
    )
    groups = ET.fromstring(strip([model, control])).findall("g")
    assert [group.get("class") for group in groups] == ["control", "model"]
    heights = [group.find("circle") for group in groups]
    assert all(circle is not None for circle in heights)
    assert len({circle.get("cy") for circle in heights if circle is not None}) == 2


def test_a_strip_does_not_leave_its_column() -> None:
    svg = ET.fromstring(strip([Mark(value=1.2, low=-0.1, high=float("nan"))]))
    line, circle = svg.findall("g/*")
    assert circle.get("cx") == "100.00%"
    assert line.get("x1") == "0.00%"


def test_an_axis_is_well_formed() -> None:
    assert [text.text for text in ET.fromstring(strip_axis()).findall("text")] == ["0", "50", "100"]


def test_a_square_plot_says_what_it_shows_to_who_cannot_see_it() -> None:
    svg = drawn([])
    assert svg.get("role") == "img"
    assert svg.get("aria-label") == "A <plot>. What <is> seen"
    assert [svg.findtext(name) for name in ("title", "desc")] == ["A <plot>", "What <is> seen"]
    assert {"x & more", '"y"'} <= {text.text for text in svg.findall("text")}


def test_points_rise_from_the_lower_left() -> None:
    line = drawn([Point(x=0, y=0), Point(x=1, y=1)]).find("g/polyline")
    assert line is not None
    assert line.get("points") == "52,312 352,12"


def test_a_dots_area_shows_its_number() -> None:
    points = [Point(x=0.1, y=0.1, num_samples=25), Point(x=0.9, y=0.9, num_samples=100)]
    small, large = [float(dot.get("r", "")) for dot in drawn(points).findall("g/circle")]
    assert (large / small) ** 2 == pytest.approx(4)


def test_a_curve_without_numbers_has_no_dots_and_a_diagonal_only_if_asked() -> None:
    points = [Point(x=0.1, y=0.1), Point(x=0.9, y=0.9)]
    assert drawn(points).findall("g/circle") == []
    assert len(drawn(points, diagonal=True).findall("line[@class='diagonal']")) == 1
    assert drawn(points).findall("line[@class='diagonal']") == []
