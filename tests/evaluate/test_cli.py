"""`tinymed evaluate` from the outside."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from scripted_engine import ScriptedEngine

from tinymed.cli.evaluate import evaluate
from tinymed.errors import DataError
from tinymed.jsonl import write_samples
from tinymed.records import NOTICE, Sample


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    from PIL import Image

    Image.new("RGB", (16, 16), "white").save(tmp_path / "white.png")
    path = tmp_path / "test.jsonl"
    write_samples(
        path,
        [
            Sample(
                id="1",
                question="Is there a mass?",
                reference="yes",
                answer_type="closed",
                image=tmp_path / "white.png",
            ),
            Sample(
                id="2",
                question="Where?",
                reference="left lung",
                answer_type="open",
                image=tmp_path / "white.png",
            ),
        ],
    )
    return path


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    path = tmp_path / "predictions.jsonl"
    path.write_text('{"id": "2", "text": "Left lung."}\n{"id": "1", "text": "maybe"}\n')
    return path


def call(*arguments: object) -> str:
    result = CliRunner().invoke(evaluate, [str(one) for one in arguments])
    if result.exception is not None:
        raise result.exception
    return result.stdout


def test_score_gives_json(samples: Path, predictions: Path) -> None:
    found = json.loads(call("score", "--samples", samples, "--predictions", predictions, "--json"))
    assert list(found["controls"]) == ["always-yes", "always-no"]
    assert (found["leakage"], found["warnings"]) == (None, [])
    assert found["num_samples"] == 2
    scores = {one.pop("metric"): one for one in found["scores"]}
    assert scores["open_exact_match"] == {
        "subset": "open",
        "value": 1.0,
        "interval": [0.0, 1.0],
        "num_samples": 1,
        "num_unparsed": 0,
    }
    assert scores["closed_accuracy"]["num_unparsed"] == 1
    assert "llava_med_open_candidate" not in scores


def test_score_gives_a_table_with_the_notice(samples: Path, predictions: Path) -> None:
    text = call("score", "--samples", samples, "--predictions", predictions)
    assert "open_exact_match" in text
    assert NOTICE in text


def test_score_takes_candidates(samples: Path, predictions: Path, tmp_path: Path) -> None:
    candidates = tmp_path / "candidates.json"
    candidates.write_text('{"0": ["right lung", "left lung"]}')
    text = call(
        "score", "--samples", samples, "--predictions", predictions, "--candidates", candidates
    )
    assert "llava_med_open_candidate" in text


def test_score_with_train_samples_gives_all_controls_and_the_leakage(
    samples: Path, predictions: Path, tmp_path: Path
) -> None:
    train = tmp_path / "train.jsonl"
    train.write_text(samples.read_text().replace('"reference": "yes"', '"reference": "no"'))
    asked = ("score", "--samples", samples, "--predictions", predictions, "--train", train)
    found = json.loads(call(*asked, "--json"))
    assert list(found["controls"]) == [
        "always-yes",
        "always-no",
        "question-only",
        "nearest-question",
    ]
    assert found["leakage"]["same_image_and_question"] == 2
    assert found["warnings"]
    assert call(*asked).startswith("warning: ")


def test_score_refuses_predictions_of_other_samples(samples: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text('{"id": "3", "text": "yes"}\n')
    with pytest.raises(DataError, match="2 samples have no prediction"):
        call("score", "--samples", samples, "--predictions", other)


def test_run_asks_the_model_and_prints_a_table_or_json(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def open_scripted(
        model: str, *, threads: int | None, force_build: str | None
    ) -> ScriptedEngine:
        opened.append((model, threads, force_build))
        return ScriptedEngine(tmp_path / "journal.txt")

    monkeypatch.setattr("tinymed.quantize.first_use.open_compared", open_scripted)
    asked = ("run", "tiny", "--samples", samples, "--out", tmp_path / "run", "--no-controls")
    assert "tiny on scripted" in call(*asked, "--threads", 1)
    assert "data:image" in (tmp_path / "run" / "report.html").read_text()
    call(*asked, "--no-images")
    assert "data:image" not in (tmp_path / "run" / "report.html").read_text()
    found = json.loads(call(*asked, "--force-build", "nano:nf4", "--json"))
    assert list(found["conditions"]) == ["model", "always-yes", "always-no"]
    assert opened == [
        ("tiny", 1, None),
        ("tiny", None, None),
        ("tiny", None, "nano:nf4"),
    ]


@pytest.mark.parametrize("words", [["-h"], ["run", "-h"], ["score", "--help"]])
def test_help_opens_no_engine_and_ends_with_an_example(words: list[str]) -> None:
    program = (
        "import sys\n"
        "from tinymed.cli.evaluate import evaluate\n"
        "try:\n    evaluate(sys.argv[1:])\n"
        "finally:\n    heavy = {'numpy', 'torch', 'openvino', 'PIL'} & set(sys.modules)\n"
        "    assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True
    )
    assert "Example:\n" in done.stdout
