"""Published memory: every figure labelled and sourced, ours marked as ours."""

from __future__ import annotations

import pytest

from tinymed.published.memory import (
    definitions,
    derived_static,
    derived_statics,
    measured_elsewhere,
    reductions,
    targets,
)
from tinymed.published.rows import datasets, judge_rows, published_rows


def test_every_figure_has_a_source_and_a_definition_that_is_known() -> None:
    for one in (*reductions(), *measured_elsewhere(), *targets(), *definitions().values()):
        assert one.source
    assert {one.definition for one in measured_elsewhere()} <= set(definitions())


def test_every_reduction_has_a_figure_and_says_of_which_memory() -> None:
    for one in reductions():
        figures = [one.static_percent, one.dynamic_percent, one.total_percent]
        assert any(figures)
        assert all(-100 < float(figure) < 0 for figure in figures if figure)


def gib(system: str) -> float:
    found = derived_static(system)
    assert found is not None
    return float(found.static_gib)


@pytest.mark.parametrize(
    ("system", "derived", "printed"),
    [("TinyLLaVA-Med-FQ4", -89.4, -90), ("LLaVA-Med-Q4 (Mistral)", -69.4, -67)],
)
def test_what_we_derived_comes_near_what_was_printed(
    system: str, derived: float, printed: float
) -> None:
    percent = 100 * (gib(system) / gib("LLaVA-Med (Mistral)") - 1)
    assert percent == pytest.approx(derived, abs=0.06)
    row = next(one for one in reductions() if system.startswith(one.system))
    assert float(row.static_percent or "") == printed
    assert abs(percent - printed) < 3
    assert any(str(derived) in remark for remark in row.remarks)


def test_fewer_bits_take_less() -> None:
    for shape in {one.shape for one in derived_statics()}:
        sizes = [float(one.static_gib) for one in derived_statics() if one.shape == shape]
        assert sizes == sorted(sizes, reverse=True)
        assert len(sizes) == 3


def test_every_system_named_is_a_published_row_and_stands_once() -> None:
    systems = [name for one in derived_statics() for name in one.systems]
    rows = {row.system for name in datasets() for row in published_rows(name)}
    rows |= {row.system for row in judge_rows()}
    assert set(systems) <= rows
    assert len(set(systems)) == len(systems)


def test_a_system_whose_shape_is_another_has_no_derived_memory() -> None:
    """LLaVA-Med of the first version is a LLaMA with another vision encoder."""
    assert derived_static("LLaVA-Med (from LLaVA)") is None
    assert derived_static("Med-MoE StableLM") is None


def test_no_gigabytes_are_shown_as_printed_by_the_seeds() -> None:
    """No such table exists; only the first paper's Jetson has a figure."""
    seeds = [one for one in measured_elsewhere() if "LLaVA-Med" in one.system]
    assert [(one.device, one.memory, one.definition) for one in seeds] == [
        ("Jetson Xavier", "11.9 GB", "used")
    ]
