"""Whole fronts: who takes part, published rows, and the same as JSON, CSV and text."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_up_profile import (
    SLAKE_VALIDATION,
    VQA_RAD_TEST,
    made_up_point,
    write_evaluation,
    write_profile,
)

from tinymed.errors import ConfigError, DataError
from tinymed.profile.pareto.bounds import read_bound
from tinymed.profile.pareto.costs import COSTS, Cost
from tinymed.profile.pareto.folders import SampleSet
from tinymed.profile.pareto.front import Figure
from tinymed.profile.pareto.published import blind_best, published_points, why_no_published
from tinymed.profile.pareto.rows import fronts_csv, fronts_json
from tinymed.profile.pareto.text import fronts_text
from tinymed.profile.pareto.weigh import Front, ParetoSettings, weigh

RAD = SampleSet(file="test.jsonl", sha256=VQA_RAD_TEST, limit=None)


def fronts(runs: list[Path], **fields: Any) -> list[Front]:
    return weigh(ParetoSettings(folders=tuple(runs), **fields))


def by_name(front: Front) -> dict[str, str]:
    return {row.name.removeprefix("nano:"): row.status for row in front.rows}


def test_each_build_stands_where_its_figures_put_it(runs: list[Path]) -> None:
    rad, slake = fronts(runs)
    assert (rad.title, slake.title) == ("VQA-RAD, test", "SLAKE, English, validation")
    assert by_name(rad) == {
        "native-int4": "on the front",
        "native-int8": "on the front",
        "gguf-q4_k_m": "refused by the gate",
        "gguf-q8_0": "dominated, intervals overlap",
        "openvino-int8": "on the front",
        "openvino-f32": "on the front",
        "torch-f32": "dominated, intervals overlap",
    }
    assert by_name(slake) == dict.fromkeys(("native-int8", "openvino-int8"), "on the front")
    assert [one.name for one in rad.without_quality] == ["tinyllava-1.5b:native-int4"]
    assert [one.name for one in rad.without_cost] == ["nano:nf4"]


def test_a_build_that_the_gate_refused_beats_nothing_and_is_not_recommended(
    tmp_path: Path,
) -> None:
    """It would beat the other in everything."""
    points = [made_up_point("int8", peak=100, parity="failed"), made_up_point("nf4", peak=900)]
    runs = [
        write_profile(tmp_path / "profile", points),
        write_evaluation(tmp_path / "int8", "int8", 0.9),
        write_evaluation(tmp_path / "nf4", "nf4", 0.7),
    ]
    (front,) = fronts(runs, bounds=(read_bound("peak=4GB"),))
    assert by_name(front) == {"int8": "refused by the gate", "nf4": "on the front"}
    assert front.choice is not None
    assert front.choice.best == "nano:nf4"


def test_a_missing_figure_keeps_a_build_out_and_is_told(tmp_path: Path) -> None:
    points = [made_up_point("int8", peak=None), made_up_point("nf4")]
    runs = [
        write_profile(tmp_path / "profile", points),
        write_evaluation(tmp_path / "int8", "int8", 0.9),
        write_evaluation(tmp_path / "nf4", "nf4", 0.7),
    ]
    (front,) = fronts(runs)
    assert by_name(front) == {"nf4": "on the front", "int8": "not available: peak memory"}
    (front,) = fronts(runs, costs=("energy",))
    assert set(by_name(front).values()) == {"not available: energy of an answer"}


def test_more_tokens_a_second_are_better(tmp_path: Path) -> None:
    points = [made_up_point("int8", first_token=100), made_up_point("nf4", first_token=1000)]
    runs = [
        write_profile(tmp_path / "profile", points),
        write_evaluation(tmp_path / "int8", "int8", 0.9),
        write_evaluation(tmp_path / "nf4", "nf4", 0.7),
    ]
    (front,) = fronts(runs, costs=("tokens",))
    assert by_name(front) == {"int8": "on the front", "nf4": "dominated"}
    assert [row.costs["tokens"].value for row in front.rows] == [200, 20]


def test_several_costs_are_weighed_together(runs: list[Path]) -> None:
    """One that is dominated in memory alone may be on the front for its speed."""
    points = [
        made_up_point("int8", peak=300, first_token=500),
        made_up_point("nf4", peak=400, first_token=100),
    ]
    folder = runs[0].parent / "several"
    mine = [
        write_profile(folder / "profile", points),
        write_evaluation(folder / "int8", "int8", 0.9),
        write_evaluation(folder / "nf4", "nf4", 0.7),
    ]
    assert by_name(fronts(mine)[0])["nf4"] == "dominated"
    together = fronts(mine, costs=("peak", "first-token"))[0]
    assert by_name(together)["nf4"] == "on the front"


def test_a_gpus_memory_counts_on_a_gpu() -> None:
    point = made_up_point(peak=900)
    memory = replace(point.memory, gpu_reserved=500.0)
    peak = COSTS["peak"].take
    assert peak(point) == Figure(value=900, low=900, high=900)
    on_gpu = peak(replace(point, device="a GPU", memory=memory))
    assert on_gpu is not None
    assert on_gpu.value == 500
    seen = peak(replace(point, device="a GPU", memory=replace(memory, gpu_driver=800.0)))
    assert seen is not None
    assert seen.value == 800
    assert peak(replace(point, device="a GPU")) is None


@pytest.mark.parametrize("cost", COSTS.values(), ids=lambda cost: cost.name)
def test_a_cost_carries_the_spread_of_its_runs(cost: Cost) -> None:
    figure = cost.take(made_up_point())
    if figure is None:
        assert cost.name == "energy"
        return
    assert figure.low <= figure.value <= figure.high
    is_measured_often = cost.unit in ("ms", "tokens/s")
    assert (figure.low < figure.high) == is_measured_often


def test_published_systems_stand_only_by_the_same_metric_samples_and_cost() -> None:
    found = published_points(RAD, "tinyllava_med_closed", "static")
    assert [(one.system, round(one.quality, 4), round(one.mib)) for one in found] == [
        ("TinyLLaVA-Med-F", 0.8125, 2929),
        ("TinyLLaVA", 0.5993, 2929),
    ]
    assert all("derived" in one.definition and "derived" in one.differs_in for one in found)
    assert "leaks" in found[0].differs_in
    assert published_points(RAD, "closed_accuracy", "static") == ()
    assert published_points(RAD, "llava_med_closed_published", "static") == ()
    assert published_points(RAD, "tinyllava_med_closed", "peak") == ()
    assert published_points(replace(RAD, limit=100), "tinyllava_med_closed", "static") == ()
    validation = replace(RAD, sha256=SLAKE_VALIDATION)
    assert published_points(validation, "tinyllava_med_closed", "static") == ()
    opens = published_points(RAD, "llava_med_open_recall", "static")
    assert [one.quality for one in opens] == pytest.approx([0.506, 0.1915])


def test_why_nothing_published_stands_there_is_told() -> None:
    assert why_no_published(RAD, "tinyllava_med_closed", "static") == ""
    assert "by closed_accuracy" in why_no_published(RAD, "closed_accuracy", "static")
    assert "only the static memory" in why_no_published(RAD, "tinyllava_med_closed", "peak")
    own = replace(RAD, sha256="f" * 64)
    assert "no test split" in why_no_published(own, "tinyllava_med_closed", "static")


def test_what_blind_answers_reach_stands_beside_a_published_metric(runs: list[Path]) -> None:
    assert blind_best(RAD, "tinyllava_med_closed") == pytest.approx(0.9228)
    assert blind_best(RAD, "closed_accuracy") is None
    front = fronts(runs, quality="tinyllava_med_closed", costs=("static",))[0]
    assert any("92.3 %" in remark for remark in front.remarks)


def test_published_systems_can_be_left_out(runs: list[Path]) -> None:
    fields: dict[str, Any] = {"quality": "tinyllava_med_closed", "costs": ("static",)}
    assert len(fronts(runs, **fields)[0].published) == 2
    assert fronts(runs, with_published=False, **fields)[0].published == ()


def test_samples_are_chosen_by_any_of_their_names(runs: list[Path]) -> None:
    for name in ("slake", "slake-validation"):
        (front,) = fronts(runs, samples=name)
        assert front.title == "SLAKE, English, validation"
    with pytest.raises(ConfigError, match=r"'pathvqa'\. There are: vqa-rad-test, slake-val"):
        fronts(runs, samples="pathvqa")


def test_an_unknown_metric_is_refused_with_those_there_are(runs: list[Path]) -> None:
    with pytest.raises(ConfigError, match=r"'bleu'\. There are: closed, open, closed_accuracy"):
        fronts(runs, quality="bleu")


def test_profiles_alone_have_nothing_to_weigh(runs: list[Path]) -> None:
    with pytest.raises(DataError, match="no quality to weigh"):
        fronts(runs[:1])


def test_json_holds_every_figure(runs: list[Path]) -> None:
    found = fronts_json(fronts(runs, bounds=(read_bound("peak=400MB"),)))
    rad = found["fronts"][0]
    first = rad["builds"][0]
    assert first["name"] == "nano:native-int4"
    assert first["is_busy"] is True
    assert first["quality"] == {"value": 0.61, "interval": [0.57, 0.65]}
    assert first["costs"] == {"peak": {"value": 260.0, "interval": [260.0, 260.0]}}
    assert rad["costs"]["peak"]["unit"] == "MiB"
    assert rad["choice"]["best"] == "nano:native-int8"
    assert rad["builds"][3]["dominated_by"] == ["nano:native-int8"]


def test_csv_is_one_line_a_build_and_set_of_samples(runs: list[Path]) -> None:
    text = fronts_csv(fronts(runs, costs=("peak", "energy")))
    assert text.count("\r\n") == text.count("\n") == 1 + 7 + 2
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows[0]["samples"] == "vqa-rad-test"
    by_name = {row["name"]: row for row in rows if row["samples"] == "vqa-rad-test"}
    assert (by_name["nano:native-int4"]["peak MiB"], by_name["nano:native-int4"]["energy J"]) == (
        "260",
        "",
    )
    assert float(by_name["nano:openvino-f32"]["energy J"]) == pytest.approx(4.0)
    assert by_name["nano:openvino-f32"]["status"] == "on the front"


def test_text_fits_a_terminal_and_says_all_that_matters(runs: list[Path]) -> None:
    text = fronts_text(
        fronts(
            runs,
            costs=("peak", "first-token"),
            bounds=(read_bound("peak=400MB"), read_bound("first-token=2s")),
        )
    )
    assert max(map(len, text.splitlines())) <= 101
    assert "* nano:native-int8" in text
    assert "~ nano:gguf-q8_0" in text
    assert "refused by the gate" in text
    assert "240 ms (p95 248)" in text
    assert "Evaluated, not measured: nano:nf4." in text
    assert "Measured on a busy machine: nano:native-int4." in text
    assert "Best within peak=400MB, first-token=2s: nano:native-int8." in text
    published = fronts_text(fronts(runs, quality="tinyllava_med_closed", costs=("static",)))
    assert "o TinyLLaVA-Med-F: 81.25 at 2.86 GiB" in published
