"""Bars of pieces: as long as what they are made of."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from tinymed.pages.bars import Bar, BarPlot, draw_bars


def drawn(*bars: Bar, names: tuple[str, ...] = ("first", "second")) -> ET.Element:
    plot = BarPlot(title="T <t>", description="seen", axis="ms", names=names, bars=bars)
    return ET.fromstring(draw_bars(plot))


def pieces(svg: ET.Element) -> list[tuple[str, float, float]]:
    return [
        (one.get("class", ""), float(one.get("x", "")[:-1]), float(one.get("width", "")[:-1]))
        for one in svg.findall("rect")
    ]


def test_pieces_lie_one_behind_the_other_in_proportion() -> None:
    svg = drawn(
        Bar(label="a", pieces=(10, 30), total="40 ms"), Bar(label="b", pieces=(20, 0), total="")
    )
    (_, first_at, first), (_, second_at, second), (kind, _, other) = pieces(svg)
    assert first_at == 0
    assert second_at == pytest.approx(first, abs=0.01)
    assert second == pytest.approx(3 * first, abs=0.01)
    assert other == pytest.approx(2 * first, abs=0.01)
    assert kind == "piece-1"


def test_the_longest_bar_stays_within_the_plot() -> None:
    svg = drawn(Bar(label="a", pieces=(10, 90), total=""))
    assert 80 < sum(width for *_, width in pieces(svg)) < 100


def test_the_key_names_every_piece_in_its_colour() -> None:
    svg = drawn(Bar(label="a", pieces=(1, 2), total=""))
    key = [(one.find("rect"), one.findtext("text")) for one in svg.findall("svg")]
    assert [(rect.get("class"), text) for rect, text in key if rect is not None] == [
        ("piece-1", "first"),
        ("piece-2", "second"),
    ]


def test_names_and_totals_stand_above_their_bars() -> None:
    svg = drawn(Bar(label="a & b", pieces=(1, 2), total="3 ms"))
    assert ["a & b", "3 ms"] in [[one.text for one in text] for text in svg.iter("text")]
    assert svg.get("aria-label") == "T <t>. seen"


def test_more_kinds_than_colours_are_refused() -> None:
    with pytest.raises(ValueError, match="7 kinds of pieces; there are 6 colours"):
        drawn(Bar(label="a", pieces=(1,) * 7, total=""), names=tuple("abcdefg"))
