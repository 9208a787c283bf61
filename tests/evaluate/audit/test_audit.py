"""A whole audit of engines that tell the truth, or lie in a known way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from speaking_engine import (
    ABSENCE,
    OPEN,
    PRESENCE,
    Speaker,
    SpeakingEngine,
    decliner,
    image_ignorer,
    no_sayer,
    truth,
    truth_teller,
    write_set,
    yes_sayer,
)

from tinymed.errors import ConfigError, DataError, ImageError
from tinymed.evaluate.audit.audit import AuditSettings, run_audit
from tinymed.evaluate.audit.calibration import read_calibration
from tinymed.evaluate.audit.image_use import ImageUse
from tinymed.evaluate.audit.polarity import PolarityRow
from tinymed.evaluate.audit.report import Audit, audit_json, audit_text
from tinymed.evaluate.controls import shuffled_images
from tinymed.jsonl import read_predictions, read_samples, write_samples
from tinymed.records import NOTICE, Sample

HERE = Path(__file__).parent
TEST, VALIDATION = range(10), range(20, 80)


@pytest.fixture
def settings(tmp_path: Path) -> AuditSettings:
    return AuditSettings(
        samples=write_set(tmp_path / "set", "test", images=TEST), out=tmp_path / "audit"
    )


@pytest.fixture
def calibrated(settings: AuditSettings, tmp_path: Path) -> AuditSettings:
    return replace(settings, calibrate=write_set(tmp_path / "set", "validation", images=VALIDATION))


def audited(speaker: Speaker, settings: AuditSettings) -> Audit:
    return run_audit(SpeakingEngine(speaker), settings)


def polarity_row(audit: Audit, form: str = "all") -> PolarityRow:
    (found,) = (row for row in audit.polarity.rows if row.form == form)
    return found


def use(audit: Audit, condition: str, subset: str) -> ImageUse:
    (found,) = (
        row for row in audit.image_use if (row.condition, row.subset) == (condition, subset)
    )
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.json*")}


@pytest.mark.parametrize(
    ("speaker", "expected"),
    [
        (truth_teller, {"pair_accuracy": 1.0, "presence_accuracy": 1.0, "absence_accuracy": 1.0}),
        (yes_sayer, {"contradiction": 1.0, "always_yes": 1.0, "right": 0.5}),
        (no_sayer, {"contradiction": 1.0, "always_no": 1.0, "right": 0.5}),
        # Sure of itself without a look: never contradicts itself, right half the time.
        (image_ignorer, {"pair_accuracy": 0.5, "right": 0.5}),
        (decliner, {"undecided": 1.0}),
    ],
)
def test_polarity_of_a_known_speaker(
    settings: AuditSettings, speaker: Speaker, expected: dict[str, float]
) -> None:
    audit = audited(speaker, settings)
    row = polarity_row(audit)
    half = expected.pop("right", 0.0)
    names = ("contradiction", "always_yes", "always_no", "undecided", "pair_accuracy")
    wanted = dict.fromkeys(names, 0.0)
    wanted |= {"presence_accuracy": half, "absence_accuracy": half} | expected
    assert {name: getattr(row, name).value for name in wanted} == wanted
    assert row.contradiction.num_samples == len(TEST)
    assert polarity_row(audit, "existence") == replace(row, form="existence")
    polarity = audit.polarity
    assert (polarity.num_closed_yes_no, polarity.num_used, polarity.share_used) == (10, 10, 1.0)


def test_who_looks_changes_answers_and_loses_accuracy(settings: AuditSettings) -> None:
    audit = audited(truth_teller, settings)
    for condition in ("blank", "noise"):
        # On black and on noise it sees no mass, and something on the right: true of odd images.
        for subset in ("all", "closed", "open"):
            found = use(audit, condition, subset)
            assert found.unchanged.value == 0.5
            assert (found.own_accuracy.value, found.accuracy.value) == (1.0, 0.5)
            assert found.accuracy_lost.value == 0.5
            assert found.accuracy_lost.interval is not None
            assert 0 < found.accuracy_lost.interval[0] < 0.5 < found.accuracy_lost.interval[1] < 1
    verdict = use(audit, "blank", "closed").verdict
    assert verdict.startswith(
        "The answer stays the same in 50% of closed questions when the image is black: "
        "the own image is worth accuracy (+50.0 points, 95 % interval +"
    )


def test_another_patients_image_is_the_one_of_the_exchange(settings: AuditSettings) -> None:
    found = use(audited(truth_teller, settings), "shuffled", "closed")
    samples = read_samples(settings.samples)
    exchanged = shuffled_images([(one.image, one.group) for one in samples if one.image])
    same = [truth(a.stem, PRESENCE) == truth(b.stem, PRESENCE) for a, b in exchanged.items()]
    assert found.unchanged.value == found.accuracy.value == sum(same) / len(TEST)
    assert 0 < sum(same) < len(TEST)


def test_who_ignores_the_image_never_changes_and_loses_nothing(settings: AuditSettings) -> None:
    audit = audited(image_ignorer, settings)
    assert len(audit.image_use) == 9
    for found in audit.image_use:
        assert found.unchanged.value == 1.0
        assert (found.accuracy_lost.value, found.accuracy_lost.interval) == (0.0, (0.0, 0.0))
        assert found.accuracy.value == found.own_accuracy.value == 0.5
        assert "no accuracy is measurably lost" in found.verdict


def test_who_is_better_without_the_image_is_told_so(settings: AuditSettings) -> None:
    def contrary(seen: str, question: str) -> tuple[str, float]:
        return truth("0" if not seen.isdigit() else str(int(seen) + 1), question), 0.5

    found = use(audited(contrary, settings), "blank", "closed")
    assert (found.own_accuracy.value, found.accuracy.value) == (0.0, 0.5)
    assert "accuracy is better without the own image (-50.0 points" in found.verdict


def sure_of_the_left(seen: str, question: str) -> tuple[str, float]:
    """Always no mass, always left; its confidence tells how the images are, a little off."""
    is_even = seen.isdigit() and int(seen) % 2 == 0
    if question == OPEN:
        return "left lung", 0.99 if is_even else 0.3
    return "no", 0.4 if is_even else 0.6


def test_calibration_learns_on_the_split_and_is_tried_on_the_test(
    calibrated: AuditSettings,
) -> None:
    audit = audited(sure_of_the_left, calibrated)
    rows = {(row.subset, row.kind): row for row in audit.confidence}
    assert len(rows) == 6
    raw, after = rows["closed", "raw"], rows["closed", "calibrated"]
    assert (raw.auroc.value, after.auroc.value) == (1.0, 1.0)
    assert raw.ece == pytest.approx(0.4)
    # Platt's targets: a right answer of 30 is at 31 / 32, a wrong one at 1 / 32.
    assert after.ece == pytest.approx(1 / 32, abs=1e-6)
    assert raw.accuracy_at_80.value == pytest.approx(5 / 8)
    calibration = audit.calibration
    assert calibration is not None
    assert (calibration.split, calibration.by_type["open"].num_samples) == ("validation.jsonl", 60)
    kept = read_calibration(
        calibrated.out / "calibration.json",
        weights_digest="0" * 64,
        prompt_template="{image}\n{question}\n",
    )
    assert kept == calibration
    thresholds = {(row.subset, row.policy): row for row in audit.abstention}
    closed = thresholds["closed", "target-accuracy"]
    assert closed.threshold is not None
    assert (closed.target, closed.threshold.value) == (0.9, 0.6)
    assert closed.accuracy is not None
    assert closed.coverage is not None
    assert (closed.accuracy.value, closed.coverage.value) == (1.0, 0.5)
    # One threshold for both types lets the unsure wrong ones of one type pass.
    both = thresholds["all", "target-accuracy"]
    assert both.threshold is not None
    assert both.threshold.value == 0.6


def test_where_a_type_cannot_be_calibrated_no_number_is_made_up(calibrated: AuditSettings) -> None:
    audit = audited(truth_teller, calibrated)
    assert {row.kind for row in audit.confidence} == {"raw"}
    text = audit_text(audit)
    assert "closed: not calibrated: All 60 answers are right. (60 right of 60)" in text
    assert "No AUROC for closed questions: All answers are right." in text


def test_without_a_split_nothing_is_chosen_and_the_report_says_so(settings: AuditSettings) -> None:
    audit = audited(truth_teller, settings)
    assert (audit.calibration, audit.abstention) == (None, ())
    assert not (settings.out / "calibration.json").exists()
    assert "No calibration and no thresholds: they need --calibrate" in audit_text(audit)


def test_the_folder_holds_everything_and_the_json_is_what_was_found(
    calibrated: AuditSettings,
) -> None:
    audit = audited(sure_of_the_left, calibrated)
    assert sorted(contents(calibrated.out)) == [
        "audit.json",
        "calibration.json",
        "predictions-absence.jsonl",
        "predictions-blank.jsonl",
        "predictions-calibration.jsonl",
        "predictions-noise.jsonl",
        "predictions-shuffled.jsonl",
        "predictions.jsonl",
        "run.json",
        "samples.jsonl",
        "twins.jsonl",
    ]
    found = json.loads((calibrated.out / "audit.json").read_text(encoding="utf-8"))
    assert found == audit_json(audit)
    assert found["run"] == json.loads((calibrated.out / "run.json").read_text(encoding="utf-8"))
    assert found["calibration"] == json.loads((calibrated.out / "calibration.json").read_text())
    assert len(found["confidence"][0]["reliability"]) == 15
    twins = (calibrated.out / "twins.jsonl").read_text().splitlines()
    assert json.loads(twins[0])["absence"] == ABSENCE
    text = audit_text(audit)
    for words in ("image use", "polarity", "Brier", "abstention", "declined", "tiny on", NOTICE):
        assert words in text


def test_another_target_needs_no_new_answers(calibrated: AuditSettings, tmp_path: Path) -> None:
    journal = tmp_path / "journal.txt"
    engine = SpeakingEngine(sure_of_the_left, journal=journal)
    run_audit(engine, calibrated)
    asked = journal.read_bytes()
    audit = run_audit(engine, replace(calibrated, target_accuracy=0.5))
    assert journal.read_bytes() == asked
    thresholds = [row.threshold for row in audit.abstention if row.target == 0.5]
    assert [one.value for one in thresholds if one is not None] == [0.3, 0.4, 0.3]


def test_what_cannot_be_audited_is_refused(
    settings: AuditSettings, calibrated: AuditSettings, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="A target accuracy needs a calibration split"):
        audited(truth_teller, replace(settings, target_accuracy=0.8))
    with pytest.raises(ConfigError, match=r"The target accuracy is 1\.5; name one above 0"):
        audited(truth_teller, replace(calibrated, target_accuracy=1.5))
    with pytest.raises(DataError, match="A limit of 0 leaves no samples"):
        audited(truth_teller, replace(settings, limit=0))
    with pytest.raises(DataError, match=r"Cannot read .*gone.jsonl"):
        audited(truth_teller, replace(settings, calibrate=tmp_path / "gone.jsonl"))
    text_only = tmp_path / "text.jsonl"
    write_samples(text_only, [Sample(id="t", question="?", reference="yes", answer_type="closed")])
    with pytest.raises(DataError, match=r"1 samples of .* have no image \(first: \['t'\]\)"):
        audited(truth_teller, replace(settings, samples=text_only))
    assert not settings.out.exists()


def test_a_calibration_split_that_holds_test_questions_is_refused(
    settings: AuditSettings, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"20 questions of .*test.jsonl' are asked of the same"):
        audited(truth_teller, replace(settings, calibrate=settings.samples))
    # Other ids and another spelling: still the same questions about the same images.
    copied = tmp_path / "set" / "copied.jsonl"
    samples = read_samples(settings.samples)
    write_samples(
        copied,
        [replace(samples[0], id="x", question="is there MASS"), replace(samples[1], group="new")],
    )
    with pytest.raises(DataError, match=r"1 questions .*first: \['test-0-Is there a mass\?'\]"):
        audited(truth_teller, replace(settings, calibrate=copied))
    assert not settings.out.exists()


def test_a_calibration_split_with_test_images_is_warned_of(
    settings: AuditSettings, tmp_path: Path
) -> None:
    other = tmp_path / "set" / "other.jsonl"
    samples = read_samples(settings.samples)[:4]
    write_samples(other, [replace(one, question=f"Really? {one.question}") for one in samples])

    def speaker(seen: str, question: str) -> tuple[str, float]:
        return truth(seen, question.removeprefix("Really? ")), 0.9

    audit = audited(speaker, replace(settings, calibrate=other))
    assert len(audit.warnings) == 1
    assert audit.warnings[0].startswith("2 images or patients are in the calibration split")
    assert audit_text(audit).startswith("Warning: 2 images or patients")


def test_one_image_alone_is_audited_without_an_exchange(settings: AuditSettings) -> None:
    audit = audited(truth_teller, replace(settings, limit=1))
    assert {row.condition for row in audit.image_use} == {"blank", "noise"}
    assert "Not asked about another patient's image: all samples are of one group." in audit.notes
    assert polarity_row(audit).pair_accuracy.interval is None
    assert "with a single group of images nothing can be said of others" in audit_text(audit)
    assert "the first 1 only" in audit_text(audit)


def test_questions_without_twins_leave_polarity_out(
    settings: AuditSettings, tmp_path: Path
) -> None:
    samples = [one for one in read_samples(settings.samples) if one.answer_type == "open"]
    path = tmp_path / "set" / "open.jsonl"
    write_samples(path, samples)
    audit = audited(truth_teller, replace(settings, samples=path))
    assert (audit.polarity.rows, audit.polarity.share_used) == ((), 0.0)
    assert "No polarity: no question has an opposite that a rule is sure of." in audit.notes
    assert "polarity, percent" not in audit_text(audit)
    assert not (settings.out / "predictions-absence.jsonl").exists()


def test_another_run_in_the_folder_is_refused(
    settings: AuditSettings, calibrated: AuditSettings
) -> None:
    audited(truth_teller, settings)
    before = contents(settings.out)
    with pytest.raises(DataError, match=r"weights_sha256 is '0+' there and 'f' now"):
        run_audit(SpeakingEngine(truth_teller, weights_digest="f"), settings)
    with pytest.raises(DataError, match=r"calibrate is None there and 'validation.jsonl' now"):
        audited(truth_teller, calibrated)
    with pytest.raises(DataError, match="limit is None there and 3 now"):
        audited(truth_teller, replace(settings, limit=3))
    assert contents(settings.out) == before


def test_an_unreadable_image_stops_the_audit_and_keeps_what_was_answered(
    settings: AuditSettings,
) -> None:
    image = settings.samples.parent / "3.png"
    whole = image.read_bytes()
    image.write_bytes(b"not an image")
    with pytest.raises(ImageError):
        audited(truth_teller, settings)
    assert len(read_predictions(settings.out / "predictions.jsonl")) == 6
    assert not (settings.out / "audit.json").exists()
    image.write_bytes(whole)
    assert audited(truth_teller, settings).num_samples == 20


RUN_SLOWLY = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from speaking_engine import SpeakingEngine, truth_teller
from tinymed.evaluate.audit.audit import AuditSettings, run_audit
samples, calibrate, out, journal = map(Path, sys.argv[2:])
engine = SpeakingEngine(truth_teller, journal=journal, seconds_an_answer=0.01)
run_audit(engine, AuditSettings(samples=samples, calibrate=calibrate, out=out))
"""


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.parametrize("num_answers", [3, 25, 85])
def test_a_killed_audit_goes_on_and_ends_as_if_it_had_not_been_killed(
    settings: AuditSettings, tmp_path: Path, num_answers: int
) -> None:
    settings = replace(
        settings, calibrate=write_set(tmp_path / "set", "validation", images=range(20, 25))
    )
    journal = tmp_path / "journal.txt"
    arguments = (HERE, settings.samples, settings.calibrate, settings.out, journal)
    process = subprocess.Popen(
        [sys.executable, "-c", RUN_SLOWLY, *map(str, arguments)],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    while lines(journal) < num_answers and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (settings.out / "audit.json").exists()
    kept = sum(map(lines, settings.out.glob("predictions*.jsonl")))
    assert lines(journal) - 1 <= kept <= lines(journal)

    again = tmp_path / "again.txt"
    run_audit(SpeakingEngine(truth_teller, journal=again), settings)
    # Own, black, noise and exchanged images: 20 each; 10 twins; 10 calibration questions.
    assert lines(again) == 4 * 20 + 10 + 10 - kept
    unkilled = replace(settings, out=tmp_path / "unkilled")
    audited(truth_teller, unkilled)
    assert contents(settings.out) == contents(unkilled.out)
