"""Samples and predictions as JSON lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tinymed.errors import DataError
from tinymed.jsonl import read_predictions, read_samples, write_samples
from tinymed.records import Prediction, Sample

ROW = {"id": "1", "question": "q", "reference": "a", "answer_type": "open"}


def _write(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows))
    return path


def test_samples_read_back_as_written(tmp_path: Path) -> None:
    sample = Sample(
        id="1",
        question="é?",
        reference="",
        answer_type="closed",
        image=tmp_path / "images" / "a.png",
        group="a",
        modality="CT",
        context="Figure 1: a mass.",
    )
    write_samples(tmp_path / "s.jsonl", [sample])
    assert read_samples(tmp_path / "s.jsonl") == [sample]
    assert '"image": "images/a.png"' in (tmp_path / "s.jsonl").read_text()


def test_numbers_become_text_and_unknown_fields_are_allowed(tmp_path: Path) -> None:
    row = {**ROW, "id": 5, "reference": 3, "group": 0.5, "image": None, "modality": "", "x": 1}
    [sample] = read_samples(_write(tmp_path / "s.jsonl", row))
    assert (sample.id, sample.reference, sample.group) == ("5", "3", "0.5")
    assert (sample.image, sample.modality) == (None, None)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ((ROW, "{"), "line 2 is not JSON"),
        (("[1]",), "line 1 is not a JSON object"),
        (({**ROW, "answer_type": "CLOSED "},), "write 'open' or 'closed'"),
        (({"id": "1"},), "line 1 has no 'question'"),
        ((ROW, ROW), "line 2 repeats the id '1'"),
        (({**ROW, "question": ["q"]},), "'question' is not text"),
        (({**ROW, "modality": ["CT"]},), "'modality' is not text"),
        (("",), "holds no samples"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, rows: tuple[object, ...], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read_samples(_write(tmp_path / "s.jsonl", *rows))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Cannot read"):
        read_samples(tmp_path / "none.jsonl")


def test_predictions_need_an_id_and_a_text(tmp_path: Path) -> None:
    path = _write(tmp_path / "p.jsonl", {"id": 1, "text": "yes", "confidence": 0.5})
    assert read_predictions(path) == [Prediction(id="1", text="yes", confidence=0.5)]
    with pytest.raises(DataError, match="line 1 needs an 'id' and a 'text'"):
        read_predictions(_write(tmp_path / "p.jsonl", {"id": 1}))


@pytest.mark.parametrize("confidence", ["high", 1.01, -0.1, True, float("nan")])
def test_a_confidence_is_a_fraction(tmp_path: Path, confidence: object) -> None:
    with pytest.raises(DataError, match="line 1: 'confidence' is"):
        read_predictions(
            _write(tmp_path / "p.jsonl", {"id": 1, "text": "yes", "confidence": confidence})
        )
