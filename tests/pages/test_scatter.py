"""Plots on two scales: names apart, bars both ways, every look its own, words escaped."""

from __future__ import annotations

import math
import random
from itertools import combinations, pairwise
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tinymed.pages.labels import Anchor, Box, leader_end, place_labels
from tinymed.pages.scales import Scale, scale_over
from tinymed.pages.scatter import HEIGHT_PX, WIDTH_PX, Axis, Dot, Drawn, Scatter, draw_scatter

FRAME = Box(left=0, top=0, right=400, bottom=300)


def around(x: float, y: float) -> Box:
    return Box(left=x - 5, top=y - 5, right=x + 5, bottom=y + 5)


def crowd(count: int, seed: int) -> list[tuple[float, float]]:
    """Places that stand as close as those of builds of one model do."""
    chance = random.Random(seed)
    return [(chance.uniform(100, 300), chance.uniform(130, 170)) for _ in range(count)]


@pytest.mark.parametrize("seed", range(12))
def test_no_name_lies_over_another_or_over_a_dot(seed: int) -> None:
    places = crowd(12, seed)
    anchors = [Anchor(x=x, y=y, width=70) for x, y in places]
    dots = [around(x, y) for x, y in places]
    boxes = [one for one in place_labels(anchors, frame=FRAME, dots=dots, lines=[]) if one]
    assert len(boxes) >= 10
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert not any(box.overlaps(dot) for box in boxes for dot in dots)
    assert all(FRAME.holds(box) for box in boxes)


def test_a_name_stands_right_beside_a_lone_dot() -> None:
    (box,) = place_labels(
        [Anchor(x=200, y=150, width=60)], frame=FRAME, dots=[around(200, 150)], lines=[]
    )
    assert box is not None
    assert 200 < box.left < 215
    assert box.top < 150 < box.bottom


def test_a_name_keeps_off_an_error_bar_where_it_can() -> None:
    bar = Box(left=200, top=149.5, right=400, bottom=150.5)
    (box,) = place_labels(
        [Anchor(x=200, y=150, width=60)], frame=FRAME, dots=[around(200, 150)], lines=[bar]
    )
    assert box is not None
    assert not box.overlaps(bar)


def test_a_name_without_room_is_left_out_and_the_first_has_its_choice() -> None:
    small = Box(left=0, top=0, right=90, bottom=30)
    anchors = [Anchor(x=10, y=15, width=60) for _ in range(2)]
    boxes = place_labels(anchors, frame=small, dots=[around(10, 15)], lines=[])
    assert boxes[0] is not None
    assert boxes[1] is None


def test_a_leader_ends_at_the_nearest_edge() -> None:
    box = Box(left=50, top=10, right=90, bottom=24)
    assert leader_end(Anchor(x=0, y=100, width=40), box) == (50, 21)


def dot(look: str = "front", **fields: Any) -> Dot:
    return Dot(**({"label": "a <b> & c", "look": look, "x": 100.0, "y": 50.0} | fields))


def plot(*dots: Dot, **fields: Any) -> Scatter:
    given: dict[str, Any] = {
        "title": "A <plot>",
        "description": 'What "is" seen',
        "x": Axis(title="MiB & more", scale=Scale(low=0, high=200)),
        "y": Axis(title="%", scale=Scale(low=0, high=100)),
        **fields,
    }
    return Scatter(dots=dots, **given)


def parsed(drawn: Drawn) -> ET.Element:
    return ET.fromstring(drawn.svg)


def test_words_of_the_data_are_escaped_and_said_to_who_cannot_see() -> None:
    svg = parsed(draw_scatter(plot(dot())))
    assert svg.get("role") == "img"
    assert svg.get("aria-label") == 'A <plot>. What "is" seen'
    texts = {text.text for text in svg.iter("text")}
    assert {"a <b> & c", "MiB & more", "%"} <= texts


def test_a_dot_stands_where_its_scales_say() -> None:
    svg = parsed(draw_scatter(plot(dot(x=0.0, y=0.0, label=""), dot(x=200.0, y=100.0, label=""))))
    lower, upper = sorted(
        (float(one.get("cx", "")), float(one.get("cy", ""))) for one in svg.iter("circle")
    )
    assert lower[0] < upper[0] <= WIDTH_PX
    assert upper[1] < lower[1] <= HEIGHT_PX
    frame = [(float(one.get("x1", "")), float(one.get("y2", ""))) for one in svg.findall("line")]
    assert lower == (min(x for x, _ in frame), max(y for _, y in frame))


def test_error_bars_reach_both_ways() -> None:
    one = dot(x_interval=(80.0, 140.0), y_interval=(40.0, 55.0))
    svg = parsed(draw_scatter(plot(one)))
    across, upright = svg.findall("g[@class='bars front']/line")
    x1, x2 = (float(across.get(name, "")) for name in ("x1", "x2"))
    y1, y2 = (float(upright.get(name, "")) for name in ("y1", "y2"))
    circle = next(svg.iter("circle"))
    x, y = float(circle.get("cx", "")), float(circle.get("cy", ""))
    assert (x - x1) / (x2 - x) == pytest.approx(20 / 40)
    assert (y - y1) / (y2 - y) == pytest.approx(5 / 10)


def test_a_figure_that_is_what_it_is_has_no_bar() -> None:
    assert parsed(draw_scatter(plot(dot(x_interval=(100.0, 100.0))))).findall("g") == []


@pytest.mark.parametrize("look", ["front", "untold", "dominated", "published"])
def test_every_look_has_a_class_of_its_own(look: str) -> None:
    svg = parsed(draw_scatter(plot(dot(look))))
    assert [one.get("class") for one in svg.iter("circle")] == [f"dot {look}"]
    assert len(svg.findall(f"text[@class='label {look}']")) == 1


def test_what_takes_no_part_is_a_cross() -> None:
    svg = parsed(draw_scatter(plot(dot("refused"))))
    assert [one.get("class") for one in svg.iter("path")] == ["dot refused"]


def test_steps_run_straight_or_upright() -> None:
    steps = ((50.0, 0.0), (50.0, 40.0), (100.0, 40.0), (100.0, 60.0), (200.0, 60.0))
    line = parsed(draw_scatter(plot(dot(), steps=steps))).find("polyline[@class='steps']")
    assert line is not None
    corners = [tuple(map(float, one.split(","))) for one in line.get("points", "").split()]
    assert len(corners) == 5
    for (x1, y1), (x2, y2) in pairwise(corners):
        assert (x1 == x2) != (y1 == y2)


def test_the_band_holds_what_agrees_within_its_share() -> None:
    scale = Axis(title="ms", scale=scale_over([10, 1000]))
    svg = parsed(draw_scatter(plot(dot(label=""), x=scale, y=scale, band=0.1)))
    band = svg.find("polygon[@class='band']")
    line = svg.find("polyline[@class='agree']")
    assert band is not None
    assert line is not None
    corners = [tuple(map(float, one.split(","))) for one in band.get("points", "").split()]
    above, below = corners[: len(corners) // 2], corners[len(corners) // 2 :][::-1]
    middle = len(above) // 2
    height = below[middle][1] - above[middle][1]
    per_factor = (HEIGHT_PX - 56) / math.log(scale.scale.high / scale.scale.low)
    assert height == pytest.approx(per_factor * math.log(1.1 / 0.9), rel=0.01)


def test_names_that_found_no_room_are_told() -> None:
    many = [
        dot(label="a name that is rather long and long", x=100 + place / 9) for place in range(90)
    ]
    drawn = draw_scatter(plot(*many))
    assert len(drawn.unnamed) + drawn.svg.count('class="label') == 90
    assert drawn.unnamed
