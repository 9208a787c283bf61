"""A calibration is kept with what it holds for, and is refused for anything else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tinymed.errors import DataError
from tinymed.evaluate.audit.calibration import (
    Calibration,
    calibrate,
    calibrate_types,
    confidences,
    read_calibration,
    rightness,
    write_calibration,
)
from tinymed.evaluate.audit.platt import PlattMap, fit_platt
from tinymed.evaluate.pairing import Pair
from tinymed.records import Prediction, Sample

RANDOM = np.random.default_rng(5)


def answered(answer_type: str, number: int) -> list[Pair]:
    found = []
    for index in range(number):
        id_ = f"{answer_type}-{index}"
        confidence = float(RANDOM.random())
        text = "yes" if RANDOM.random() < confidence**2 else "no"
        sample = Sample(
            id=id_,
            question="Is there a mass?",
            reference="yes",
            answer_type=answer_type,  # type: ignore[arg-type]
        )
        prediction = Prediction(id=id_, text=text, confidence=confidence)
        found.append(Pair(sample=sample, prediction=prediction))
    return found


@pytest.fixture
def calibration() -> Calibration:
    return Calibration(
        model="tiny",
        engine="torch",
        weights_sha256="w",
        prompt_template="{image} {question}",
        split="validation.jsonl",
        split_sha256="s",
        by_type=calibrate_types(answered("closed", 200) + answered("open", 20)),
    )


def test_closed_and_open_are_fitted_apart_and_a_reason_stands_for_a_fit(
    calibration: Calibration,
) -> None:
    closed, opened = calibration.by_type["closed"], calibration.by_type["open"]
    assert (closed.num_samples, opened.num_samples) == (200, 20)
    assert closed.reason is None
    assert opened.platt is None
    assert opened.reason == "Only 20 answers to fit to; 50 are the least."
    confidence = np.array([0.2, 0.9])
    assert closed.a is not None
    assert closed.b is not None
    calibrated = calibration(confidence, ["closed", "closed"])
    assert calibrated == pytest.approx(PlattMap(a=closed.a, b=closed.b)(confidence))
    assert calibration(confidence, ["closed", "open"]) is None


def test_the_map_is_fitted_to_what_the_model_said_and_whether_it_was_right() -> None:
    pairs = answered("closed", 200)
    fitted = calibrate(confidences(pairs), rightness(pairs))
    assert fitted.platt == fit_platt(confidences(pairs), rightness(pairs))
    assert (fitted.num_samples, fitted.num_right) == (200, rightness(pairs).sum())
    assert calibrate_types(pairs)["closed"] == fitted


def test_each_answer_gets_the_map_of_its_type() -> None:
    both = calibrate_types(answered("closed", 200) + answered("open", 100))
    calibration = Calibration(
        model="m",
        engine="e",
        weights_sha256="w",
        prompt_template="p",
        split="s",
        split_sha256="d",
        by_type=both,
    )
    confidence = np.array([0.3, 0.3])
    found = calibration(confidence, ["open", "closed"])
    assert found is not None
    for value, answer_type in zip(found, ("open", "closed"), strict=True):
        platt = both[answer_type].platt
        assert platt is not None
        assert value == platt(np.array([0.3]))[0]
    assert found[0] != found[1]


def test_what_was_written_is_read_back(calibration: Calibration, tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    write_calibration(path, calibration)
    found = read_calibration(path, weights_digest="w", prompt_template="{image} {question}")
    assert found == calibration
    assert "closed_accuracy" in json.loads(path.read_text())["right"]


@pytest.mark.parametrize(
    ("weights", "prompt", "named"),
    [
        ("other", "{image} {question}", "weights_sha256 is 'w', here it is 'other'"),
        ("w", "{question}", "prompt_template is '{image} {question}', here it is '{question}'"),
    ],
)
def test_a_calibration_of_another_model_is_refused(
    calibration: Calibration, tmp_path: Path, weights: str, prompt: str, named: str
) -> None:
    path = tmp_path / "calibration.json"
    write_calibration(path, calibration)
    with pytest.raises(DataError, match=named):
        read_calibration(path, weights_digest=weights, prompt_template=prompt)


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}", b'{"formula": 1, "by_type": {"a": 1}}'])
def test_a_file_that_is_no_calibration_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "calibration.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match="is not a calibration"):
        read_calibration(path, weights_digest="w", prompt_template="p")
    with pytest.raises(DataError, match="is not a calibration"):
        read_calibration(tmp_path / "gone.json", weights_digest="w", prompt_template="p")


def test_an_answer_without_a_confidence_is_refused() -> None:
    (one,) = answered("closed", 1)
    without = Pair(sample=one.sample, prediction=Prediction(id=one.sample.id, text="yes"))
    with pytest.raises(DataError, match=r"1 answers have no confidence \(first: \['closed-0'\]\)"):
        confidences([one, without])
