"""A whole evaluation with a small engine: one encoding an image, controls, run folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scripted_engine import ScriptedEngine

from tinymed.errors import DataError, ImageError
from tinymed.evaluate.report.report import HEADINGS, report_json
from tinymed.evaluate.report.text import report_text
from tinymed.evaluate.run import RunSettings, run_evaluation
from tinymed.jsonl import read_predictions, write_samples
from tinymed.records import NOTICE, Sample
from tinymed.runs import only_one

HERE = Path(__file__).parent
NUM_IMAGES = 6
QUESTIONS = ("Is there a mass?", "Where is it?", "Is it normal?")
FILES = (
    "predictions.jsonl",
    "predictions-blank.jsonl",
    "predictions-shuffled.jsonl",
    "predictions-nearest-question.jsonl",
    "predictions-question-only.jsonl",
    "predictions-always-no.jsonl",
    "predictions-always-yes.jsonl",
    "report.html",
    "report.md",
    "run.json",
    "samples.jsonl",
    "scores.json",
)
ASKED = FILES[:3]


def write_set(folder: Path, name: str, *, num_images: int = NUM_IMAGES) -> Path:
    """Samples whose questions jump from image to image, as data sets have them."""
    folder.mkdir(exist_ok=True)
    samples = []
    for turn, question in enumerate(QUESTIONS):
        for number in range(num_images):
            image = folder / f"{number}.png"
            pixels = (np.arange(768) + 7 * number).astype(np.uint8).reshape(16, 16, 3)
            Image.fromarray(pixels).save(image)
            samples.append(
                Sample(
                    id=f"{name}-{turn}-{number}",
                    question=question,
                    reference="left lung" if turn == 1 else "yes",
                    answer_type="open" if turn == 1 else "closed",
                    image=image,
                    group=f"image-{number}",
                )
            )
    path = folder / f"{name}.jsonl"
    write_samples(path, samples)
    return path


@pytest.fixture
def settings(tmp_path: Path) -> RunSettings:
    return RunSettings(
        samples=write_set(tmp_path / "set", "test"),
        train=write_set(tmp_path / "set", "train"),
        out=tmp_path / "run",
    )


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal.txt"


def only(settings: RunSettings, **changes: object) -> RunSettings:
    from dataclasses import replace

    return replace(settings, **changes)  # type: ignore[arg-type]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".lock"}


def noted(journal: Path, verb: str) -> Counter[str]:
    lines = journal.read_text(encoding="utf-8").splitlines() if journal.exists() else []
    return Counter(line for line in lines if line.startswith(verb))


def test_each_image_is_encoded_once_a_condition_and_black_once(
    settings: RunSettings, journal: Path
) -> None:
    run_evaluation(ScriptedEngine(journal), settings)
    encoded = noted(journal, "encode")
    assert encoded.pop("encode black") == 1
    # Once with its own questions and once with those of another image.
    assert sorted(encoded.values()) == [2] * NUM_IMAGES


def test_the_folder_holds_every_answer_and_the_scores(settings: RunSettings, journal: Path) -> None:
    report = run_evaluation(ScriptedEngine(journal), settings)
    assert sorted(contents(settings.out)) == sorted(FILES)
    scores = json.loads((settings.out / "scores.json").read_text(encoding="utf-8"))
    assert scores == json.loads(json.dumps(report_json(report)))
    assert list(scores["conditions"]) == list(HEADINGS)
    assert scores["num_samples"] == NUM_IMAGES * len(QUESTIONS)
    run = json.loads((settings.out / "run.json").read_text(encoding="utf-8"))
    assert run == scores["run"]
    assert (run["model"], run["engine"], run["decoding"]) == ("tiny", "scripted", "greedy")
    assert len(run["samples_sha256"]) == len(run["weights_sha256"]) == 64


def test_the_controls_see_black_and_another_image(settings: RunSettings, journal: Path) -> None:
    run_evaluation(ScriptedEngine(journal), settings)
    blank = read_predictions(settings.out / "predictions-blank.jsonl")
    assert {one.text for one in blank} == {"no"}
    asked = noted(journal, "answer")
    # Every question was asked of every image twice: of its own and of another.
    asked_of_images = {line: count for line, count in asked.items() if "black" not in line}
    assert set(asked_of_images.values()) == {2}
    # The engine's confidence tells which image it saw: never a question's own.
    model = read_predictions(settings.out / "predictions.jsonl")
    shuffled = read_predictions(settings.out / "predictions-shuffled.jsonl")
    own = {one.id: one.confidence for one in model}
    assert all(one.confidence != own[one.id] for one in shuffled)
    question_only = read_predictions(settings.out / "predictions-question-only.jsonl")
    assert {one.text for one in question_only} == {"yes", "left lung"}


def test_the_table_says_what_was_measured_and_what_it_is_not_for(
    settings: RunSettings, journal: Path
) -> None:
    text = report_text(run_evaluation(ScriptedEngine(journal), only(settings, limit=4)))
    for words in (
        "always  question   nearest    image    images",
        "no      only  question  blanked  shuffled",
        "warning: ",
        "unparsed",
        "95 % interval",
        "llava_med_closed_published",
        "closed_accuracy",
        "tiny on scripted; split test.jsonl (sha256 ",
        "the first 4 only; 4 samples",
        "decoding greedy, at most 64 tokens",
        NOTICE,
    ):
        assert words in text
    # The first four samples are closed; the control of an open metric would be a dash.
    assert "open_exact_match" not in text


def test_a_folder_takes_one_run_at_a_time(settings: RunSettings, journal: Path) -> None:
    with only_one(settings.out), pytest.raises(DataError, match="Another process is at work in"):
        run_evaluation(ScriptedEngine(journal), settings)
    assert noted(journal, "").total() == 0
    run_evaluation(ScriptedEngine(journal), settings)


def test_without_controls_no_other_image_is_asked_about(
    settings: RunSettings, journal: Path
) -> None:
    report = run_evaluation(ScriptedEngine(journal), only(settings, controls=False, train=None))
    assert list(report.conditions) == ["model", "always-yes", "always-no"]
    assert report.leakage is None
    assert set(noted(journal, "encode").values()) == {1}
    text = report_text(report)
    assert "(--no-controls)" in text
    assert "no leakage report: name --train." in text


def test_one_image_alone_cannot_be_shuffled_and_the_report_says_so(
    settings: RunSettings, journal: Path
) -> None:
    report = run_evaluation(ScriptedEngine(journal), only(settings, limit=1))
    assert set(report.conditions) == set(HEADINGS) - {"shuffled"}
    assert "The shuffled-images control needs images of at least two groups." in report.notes


def test_a_finished_run_started_again_asks_nothing_and_changes_nothing(
    settings: RunSettings, journal: Path
) -> None:
    run_evaluation(ScriptedEngine(journal), settings)
    before, asked = contents(settings.out), noted(journal, "")
    run_evaluation(ScriptedEngine(journal), settings)
    assert contents(settings.out) == before
    assert noted(journal, "") == asked


@pytest.mark.parametrize("torn", [b'{"id": "test-0-', b'{"id": 1}\n', b"\0\0\0\n", b"\0\xff"])
def test_a_torn_last_line_is_asked_again(settings: RunSettings, journal: Path, torn: bytes) -> None:
    run_evaluation(ScriptedEngine(journal), settings)
    whole = contents(settings.out)
    path = settings.out / "predictions.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:5]) + torn)
    asked = noted(journal, "answer").total()
    run_evaluation(ScriptedEngine(journal), settings)
    assert contents(settings.out) == whole
    # Of five whole lines three are all of one image; the two of the next are asked for again
    # with their neighbour, because an answer's last digits can depend on its company.
    assert noted(journal, "answer").total() - asked == len(lines) - len(QUESTIONS)


def test_a_spoilt_line_in_the_middle_is_refused(settings: RunSettings, journal: Path) -> None:
    run_evaluation(ScriptedEngine(journal), settings)
    path = settings.out / "predictions.jsonl"
    path.write_bytes(b"{}\n" + path.read_bytes())
    with pytest.raises(DataError, match=r"predictions.jsonl' line 1 is not a prediction\."):
        run_evaluation(ScriptedEngine(journal), settings)


def test_another_run_in_the_folder_is_refused_and_the_difference_named(
    settings: RunSettings, journal: Path
) -> None:
    run_evaluation(ScriptedEngine(journal), only(settings, limit=2))
    before = contents(settings.out)
    message = r"holds another run: limit is 2 there and None now\. Name a new folder\."
    with pytest.raises(DataError, match=message):
        run_evaluation(ScriptedEngine(journal), settings)
    with pytest.raises(DataError, match=f"weights_sha256 is '{'0' * 64}' there and 'f' now"):
        run_evaluation(ScriptedEngine(journal, weights_digest="f"), only(settings, limit=2))
    assert contents(settings.out) == before


def test_a_folder_of_something_else_is_refused(settings: RunSettings, journal: Path) -> None:
    settings.out.mkdir()
    (settings.out / "thesis.txt").write_text("do not touch")
    with pytest.raises(DataError, match=r"holds no run.json \(first: 'thesis.txt'\)"):
        run_evaluation(ScriptedEngine(journal), settings)


@pytest.mark.parametrize("text", ["{", "[]", "\xff"])
def test_a_damaged_run_file_is_refused(settings: RunSettings, journal: Path, text: str) -> None:
    settings.out.mkdir()
    (settings.out / "run.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"run\.json"):
        run_evaluation(ScriptedEngine(journal), settings)


def test_a_folder_that_cannot_be_made_is_refused(settings: RunSettings, journal: Path) -> None:
    with pytest.raises(DataError, match="Cannot make the folder"):
        run_evaluation(
            ScriptedEngine(journal), only(settings, out=settings.samples / "below a file")
        )


def test_samples_that_cannot_be_asked_are_refused(
    settings: RunSettings, journal: Path, tmp_path: Path
) -> None:
    engine = ScriptedEngine(journal)
    with pytest.raises(DataError, match="A limit of 0 leaves no samples"):
        run_evaluation(engine, only(settings, limit=0))
    with pytest.raises(DataError, match="the very samples to evaluate"):
        run_evaluation(engine, only(settings, train=settings.samples))
    with pytest.raises(DataError, match=r"Cannot read .*gone.jsonl"):
        run_evaluation(engine, only(settings, train=tmp_path / "gone.jsonl"))
    text_only = tmp_path / "text.jsonl"
    write_samples(text_only, [Sample(id="t", question="?", reference="yes", answer_type="closed")])
    with pytest.raises(DataError, match=r"1 samples of .* have no image \(first: \['t'\]\)"):
        run_evaluation(engine, only(settings, samples=text_only))
    assert not settings.out.exists()


def test_an_unreadable_image_stops_the_run_and_keeps_what_was_answered(
    settings: RunSettings, journal: Path
) -> None:
    image = settings.samples.parent / "3.png"
    whole = image.read_bytes()
    image.write_bytes(b"not an image")
    with pytest.raises(ImageError):
        run_evaluation(ScriptedEngine(journal), settings)
    assert len(read_predictions(settings.out / "predictions.jsonl")) == 3 * len(QUESTIONS)
    image.write_bytes(whole)
    report = run_evaluation(ScriptedEngine(journal), settings)
    assert report.num_samples == NUM_IMAGES * len(QUESTIONS)


RUN_SLOWLY = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from scripted_engine import ScriptedEngine
from tinymed.runs import only_one
from tinymed.evaluate.run import RunSettings, run_evaluation
samples, train, out, journal = map(Path, sys.argv[2:])
engine = ScriptedEngine(journal, seconds_an_answer=0.02)
run_evaluation(engine, RunSettings(samples=samples, train=train, out=out))
"""


@pytest.mark.parametrize("num_answers", [1, 5, 16, 25, 44])
def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been_killed(
    settings: RunSettings, journal: Path, tmp_path: Path, num_answers: int
) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            RUN_SLOWLY,
            *map(str, (HERE, settings.samples, settings.train, settings.out, journal)),
        ],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    while noted(journal, "answer").total() < num_answers and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (settings.out / "scores.json").exists()
    acknowledged = sum(
        path.read_bytes().count(b"\n")
        for path in settings.out.glob("predictions*.jsonl")
        if path.name in ASKED
    )
    asked_before = noted(journal, "answer").total()
    # An image's answers are kept in one piece.
    assert acknowledged % len(QUESTIONS) == 0
    assert asked_before - len(QUESTIONS) <= acknowledged <= asked_before

    run_evaluation(ScriptedEngine(journal), settings)
    asked_after = noted(journal, "answer").total() - asked_before
    assert asked_after == 3 * NUM_IMAGES * len(QUESTIONS) - acknowledged

    unkilled = only(settings, out=tmp_path / "unkilled")
    run_evaluation(ScriptedEngine(tmp_path / "other.txt"), unkilled)
    assert contents(settings.out) == contents(unkilled.out)
