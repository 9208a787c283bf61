"""Measuring gates: what is chosen where, what it costs, and what a kill leaves."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from scoring_engine import (
    OPEN,
    PRESENCE,
    ScoringEngine,
    truthful,
    write_set,
    yes_sayer,
)

from tinymed.engines.protocol import prepared
from tinymed.errors import ConfigError, DataError, ImageError
from tinymed.images.intake import read_image
from tinymed.records import NOTICE
from tinymed.safe.answering import SeenImage
from tinymed.safe.costs import CostRow
from tinymed.safe.gate import Alert
from tinymed.safe.measure import MeasureSettings
from tinymed.safe.measure import measure_gates as measure_with
from tinymed.safe.measure_report import GatesReport, gates_text
from tinymed.safe.observe import See
from tinymed.safe.policy import read_policy


def see_plainly(engine: ScoringEngine) -> See:
    """No gate looks: these images are grey squares, which every gate finds fault with."""

    def see(path: Path) -> SeenImage:
        return SeenImage(encoded=engine.encode(prepared(engine, read_image(path))))

    return see


def measure_gates(
    engine: ScoringEngine, settings: MeasureSettings, see: See | None = None
) -> GatesReport:
    return measure_with(engine, settings, see=see or see_plainly(engine))


@pytest.fixture
def settings(tmp_path: Path) -> MeasureSettings:
    """Sixty images, the lower half of which the references say the opposite of."""
    path = write_set(tmp_path / "set", "validation", images=range(60), wrong_below=12)
    return MeasureSettings(samples=path, out=tmp_path / "run", target_accuracy=0.9)


def row(report: GatesReport, gates: str, kind: str = "all", *, split: int = 0) -> CostRow:
    (found,) = [
        one for one in report.measured[split].rows if (one.gates, one.kind) == (gates, kind)
    ]
    return found


def values(cost: CostRow) -> tuple[float | None, ...]:
    figures = (cost.coverage, cost.accuracy, cost.wrong_withheld, cost.right_withheld)
    return tuple(None if one.value is None else round(one.value, 3) for one in figures)


def test_the_threshold_is_the_lowest_that_reaches_the_target(settings: MeasureSettings) -> None:
    report = measure_gates(ScoringEngine(truthful), settings)
    for answer_type in ("closed", "open"):
        found = report.policy.thresholds[answer_type].threshold  # type: ignore[index]
        assert found is not None
        assert found.accuracy >= 0.9
    # Twelve of sixty wrong, all of them the least sure; 48 / 0.9 answers may be given.
    open_threshold = report.policy.threshold("open")
    assert open_threshold == pytest.approx(0.6 + 7 / 100)
    assert values(row(report, "none", "open")) == (1.0, 0.8, 0.0, 0.0)
    assert values(row(report, "threshold", "open")) == (0.883, 0.906, 0.583, 0.0)


def test_thresholds_and_calibration_come_from_the_validation_split_alone(
    settings: MeasureSettings, tmp_path: Path
) -> None:
    alone = measure_gates(ScoringEngine(truthful), settings)
    for number, wrong_below in enumerate((0, 260)):
        test = write_set(
            tmp_path / f"test-{number}", "test", images=range(200, 240), wrong_below=wrong_below
        )
        both = measure_gates(
            ScoringEngine(truthful),
            replace(settings, test=test, out=tmp_path / f"run-{number}"),
        )
        assert replace(both.policy, costs=()) == replace(alone.policy, costs=())
        assert both.measured[0] == alone.measured[0]
        accuracy = row(both, "none", split=1).accuracy.value
        assert accuracy == (0.0 if wrong_below else 1.0)


def test_questions_are_fitted_as_they_are_answered_whatever_their_label(tmp_path: Path) -> None:
    """Scored and decoded answers are sure in different ways; a label tells nothing of that."""
    samples = write_set(tmp_path / "set", "validation", images=range(4))
    samples.write_text(
        samples.read_text().replace('"answer_type": "open"', '"answer_type": "closed"')
    )
    settings = MeasureSettings(samples=samples, out=tmp_path / "run", target_accuracy=0.9)
    fitted = measure_gates(ScoringEngine(truthful), settings).policy.calibration
    assert (fitted["closed"].num_samples, fitted["open"].num_samples) == (8, 4)


def test_a_gate_alone_and_all_but_it_cost_what_they_withhold(settings: MeasureSettings) -> None:
    report = measure_gates(ScoringEngine(yes_sayer), settings)
    # It says yes to both questions of every pair.
    assert values(row(report, "polarity", "yes-no"))[0] == 0.0
    assert values(row(report, "polarity", "choice"))[0] == 1.0
    assert values(row(report, "all but polarity", "yes-no"))[0] == 1.0
    # It is as sure of the left lung without the image.
    assert values(row(report, "blank", "open")) == (0.0, None, 1.0, 1.0)
    assert values(row(report, "blank", "yes-no"))[0] == 1.0
    assert values(row(report, "all"))[0] == 0.0


def test_gates_before_the_model_are_measured_with_what_they_saw(
    settings: MeasureSettings,
) -> None:
    engine = ScoringEngine(truthful)
    plain = see_plainly(engine)

    def see(image: Path) -> SeenImage:
        alert = Alert(code="blurred", gate="quality", withholds=False, detail="It is blurred.")
        is_blurred = int(image.stem) < 12
        not_checked = {"film-photo": "colour"}
        return replace(plain(image), alerts=(alert,) if is_blurred else (), not_checked=not_checked)

    report = measure_gates(engine, settings, see=see)
    assert values(row(report, "quality")) == (0.8, 1.0, 1.0, 0.0)
    assert values(row(report, "film-photo"))[0] == 1.0
    assert report.notes == (
        "The gate 'film-photo' could not look at images, so what it costs is not known: colour.",
    )


def test_without_a_word_the_gates_before_the_model_do_look(settings: MeasureSettings) -> None:
    report = measure_with(ScoringEngine(truthful), settings)
    assert values(row(report, "quality"))[0] == 0.0
    seen = (settings.out / "seen-validation.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(seen) == 60
    assert "low-resolution" in seen[0]


def test_an_image_that_cannot_be_read_is_named(settings: MeasureSettings) -> None:
    (settings.samples.parent / "3.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"Cannot read .*3\.png: "):
        measure_with(ScoringEngine(truthful), settings)


def test_questions_out_of_scope_are_measured_by_their_words(
    settings: MeasureSettings, tmp_path: Path
) -> None:
    lines = settings.samples.read_text(encoding="utf-8")
    path = tmp_path / "set" / "odd.jsonl"
    path.write_text(lines.replace(OPEN, "What does this scan cost?"), encoding="utf-8")
    report = measure_gates(ScoringEngine(truthful), replace(settings, samples=path))
    assert values(row(report, "scope", "open"))[0] == 0.0
    assert values(row(report, "scope"))[0] == 0.667


def test_kinds_are_reported_apart_and_all_together(settings: MeasureSettings) -> None:
    report = measure_gates(ScoringEngine(truthful), settings)
    numbers = {
        one.kind: one.coverage.num_samples for one in report.measured[0].rows if one.gates == "none"
    }
    assert numbers == {"all": 180, "yes-no": 60, "choice": 60, "open": 60}


def test_the_policy_in_the_folder_is_the_one_that_engines_read(
    settings: MeasureSettings,
) -> None:
    engine = ScoringEngine(truthful)
    report = measure_gates(engine, replace(settings, split_name="Our validation"))
    policy = read_policy(settings.out, engine)
    assert policy == report.policy
    assert policy is not None
    assert (policy.split, policy.num_samples) == ("Our validation", 180)
    found = policy.calibrated("yes-no", 0.9)
    assert found is not None
    assert (found.num_samples, found.split) == (120, "Our validation")
    costs = {(one.gates, one.kind): one for one in policy.costs}
    assert costs["none", "open"].accuracy == 0.8


def test_a_target_that_nothing_reaches_gives_no_threshold_and_says_so(
    settings: MeasureSettings, tmp_path: Path
) -> None:
    path = write_set(tmp_path / "wrong", "validation", images=range(40), wrong_below=99)
    report = measure_gates(ScoringEngine(truthful), replace(settings, samples=path))
    assert report.policy.threshold("open") is None
    assert "the best is 0.0 %" in report.policy.why_no_threshold("open")
    assert values(row(report, "threshold"))[0] == 1.0
    assert report.policy.calibrated("open", 0.9) is None
    assert "no threshold" in gates_text(report)


def test_another_target_asks_nothing_anew(settings: MeasureSettings) -> None:
    measure_gates(ScoringEngine(truthful), settings)
    engine = ScoringEngine(truthful)
    report = measure_gates(engine, replace(settings, target_accuracy=0.95))
    assert [one for one in engine.asked if one[1] != "black"] == []
    found = report.policy.thresholds["open"].threshold
    assert found is not None
    assert found.accuracy >= 0.95


def measure_and_die(settings: MeasureSettings, dies_after: int) -> None:
    measure_gates(ScoringEngine(truthful, dies_after=dies_after), settings)


def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been_killed(
    settings: MeasureSettings, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("spawn")
    child = context.Process(target=measure_and_die, args=(settings, 100))
    child.start()
    child.join(60)
    assert child.exitcode == 9
    kept = (settings.out / "said-validation.jsonl").read_bytes()
    assert 0 < kept.count(b"\n") < 180
    engine = ScoringEngine(truthful)
    measure_gates(engine, settings)
    asked_of = {image for _, image, _ in engine.asked}
    assert "0" not in asked_of
    unkilled = replace(settings, out=tmp_path / "unkilled")
    measure_gates(ScoringEngine(truthful), unkilled)
    for name in (
        "seen-validation.jsonl",
        "said-validation.jsonl",
        "policy.json",
        "gates.json",
        "gates.md",
        "run.json",
    ):
        assert (settings.out / name).read_bytes() == (unkilled.out / name).read_bytes(), name


def test_a_folder_of_another_model_is_refused(settings: MeasureSettings) -> None:
    measure_gates(ScoringEngine(truthful), settings)
    with pytest.raises(DataError, match="holds another run"):
        measure_gates(ScoringEngine(truthful, weights_digest="4" * 64), settings)


def test_the_validation_split_is_no_test(settings: MeasureSettings) -> None:
    with pytest.raises(DataError, match="the very samples to choose on"):
        measure_gates(ScoringEngine(truthful), replace(settings, test=settings.samples))


def test_images_in_both_splits_are_told_of(settings: MeasureSettings, tmp_path: Path) -> None:
    test = write_set(tmp_path / "other", "test", images=range(50, 70))
    report = measure_gates(ScoringEngine(truthful), replace(settings, test=test))
    assert report.notes[0].startswith("10 images or patients are in both splits")
    assert gates_text(report).startswith("Warning: 10 images")


@pytest.mark.parametrize("target", [0.0, 1.1])
def test_a_target_that_cannot_be_is_refused(settings: MeasureSettings, target: float) -> None:
    with pytest.raises(ConfigError, match="The target accuracy is"):
        measure_gates(ScoringEngine(truthful), replace(settings, target_accuracy=target))


def test_report_and_page_say_what_they_are(settings: MeasureSettings) -> None:
    report = measure_gates(ScoringEngine(truthful), settings)
    found = json.loads((settings.out / "gates.json").read_text(encoding="utf-8"))
    assert found["notice"] == NOTICE
    page = (settings.out / "gates.md").read_text(encoding="utf-8")
    text = gates_text(report)
    for written in (page, text):
        assert NOTICE in written
        assert "all but polarity" in written
        assert "88.3 [" in written.replace("\\", "")


def test_an_open_answer_is_decoded_and_a_closed_one_scored(settings: MeasureSettings) -> None:
    def likely(image: str, question: str) -> Mapping[str, float]:
        return truthful(image, question)

    engine = ScoringEngine(likely)
    measure_gates(engine, replace(settings, limit=3))
    assert [one for one in engine.asked if one[0] == "answer"] == [("answer", "0", OPEN)]
    assert ("score", "0", PRESENCE) in engine.asked
