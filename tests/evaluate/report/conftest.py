"""A finished run folder, an audit and a judge's findings; every number is made up."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from made_up_run import MEAN, made_up_report, made_up_samples

from tinymed.evaluate.report.report import report_json
from tinymed.evaluate.run_folder import SAMPLES_FILE, predictions_file
from tinymed.jsonl import samples_digest, write_samples


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A finished run of a model that answers no to everything."""
    folder = tmp_path / "run"
    folder.mkdir()
    samples = made_up_samples(tmp_path)
    # A lone surrogate cannot be written as text; an escape in JSON is how one comes in.
    write_samples(folder / SAMPLES_FILE, [one for one in samples if "\ud800" not in one.question])
    with (folder / SAMPLES_FILE).open("a") as file:
        row = {"id": "4", "question": samples[4].question, "reference": "yes"}
        file.write(json.dumps({**row, "answer_type": "closed"}) + "\n")
    for condition, answer in (("model", "No"), ("blank", MEAN)):
        lines = [
            json.dumps({"id": str(number), "text": answer, "confidence": 0.9 - number / 10})
            for number in range(5)
        ]
        predictions_file(folder, condition).write_text("\n".join(lines) + "\n")
    shared = {"num_samples": 200, "num_train": 50, "same_file": 20, "same_question": 1}
    example = {"sample": "0", "train": "t7", "distance_bits": 0}
    report = made_up_report(
        run={
            "command": "evaluate run",
            "model": f"made-up {MEAN}",
            "engine": "openvino",
            "samples": "test file.jsonl",
            "samples_sha256": samples_digest(made_up_samples(tmp_path)[:4]),
            "train": None,
            "limit": None,
            "tinymed_version": "0.0.0",
        },
        leakage={**shared, "num_unreadable_train": 2, "examples": {"same_file": [example]}},
        warnings=("Leakage: 20 of 200 made-up questions.",),
        notes=(f"Left out: {MEAN}.",),
    )
    (folder / "scores.json").write_text(json.dumps(report_json(report)))
    return folder


@pytest.fixture
def audit_folder(tmp_path: Path) -> Path:
    """An audit shaped as `tinymed evaluate audit` shapes it."""
    folder = tmp_path / "audit"
    folder.mkdir()
    figure = {"value": 0.5, "interval": [0.4, 0.6], "num_samples": 9, "reason": None}
    undefined = {"value": None, "interval": None, "num_samples": 0, "reason": "All are right."}
    bins = [
        {"low": 0.0, "high": 0.5, "num_samples": 0, "mean_confidence": None, "accuracy": None},
        {"low": 0.5, "high": 1.0, "num_samples": 9, "mean_confidence": 0.9, "accuracy": 0.5},
    ]
    curve = [{"coverage": place / 100, "risk": place / 200} for place in range(1, 101)]
    audit = {
        "notice": "not shown twice",
        "confidence": [
            {
                "subset": "closed",
                "kind": "raw",
                "ece": 0.25,
                "brier": figure,
                "auroc": undefined,
                "reliability": bins,
                "risk_coverage": curve,
            }
        ],
        "polarity": {"num_used": 9, "rows": [{"form": MEAN, "contradiction": figure}]},
        "image_use": [{"condition": "blank", "verdict": "Half of the answers stay the same."}],
    }
    (folder / "audit.json").write_text(json.dumps(audit))
    return folder


@pytest.fixture
def judge_folder(tmp_path: Path) -> Path:
    """A judge's findings shaped as `tinymed evaluate judge` shapes them."""
    folder = tmp_path / "judge"
    folder.mkdir()
    figures = {
        "num_unparsed": 1,
        "reference_score": 8.0,
        "prediction_score": 4.0,
        "relative_score_percent": 51.5,
        "interval_percent": [40.0, 60.0],
    }
    group = {"group_kind": "overall", "group": MEAN, "num_samples": 9, **figures}
    judge = {
        "run": {"judge_model": "a judge"},
        "groups": [{**group, "both_orders": {**figures, "relative_score_percent": 52.5}}],
        "order": {"num_compared": 8, "position_bias_points": 0.125},
        "unparsed": [{"id": "3", "order": "swapped", "reason": "no scores"}],
    }
    (folder / "judge.json").write_text(json.dumps(judge))
    return folder
