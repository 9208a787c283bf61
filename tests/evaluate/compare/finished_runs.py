"""Finished run folders and prediction files, made without a model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tinymed.evaluate.report.report import Report, report_json
from tinymed.evaluate.score import score
from tinymed.jsonl import samples_digest, write_samples
from tinymed.records import Prediction, Sample

QUESTIONS = (
    ("Is there a mass?", "yes", "closed"),
    ("Is it normal?", "no", "closed"),
    ("Where is it?", "left lung", "open"),
)
"""Asked of every image."""


def samples_of(num_images: int) -> list[Sample]:
    """Three questions about each image."""
    return [
        Sample(
            id=f"{image}-{turn}",
            question=question,
            reference=reference,
            answer_type=answer_type,
            group=f"image-{image}",
        )
        for image in range(num_images)
        for turn, (question, reference, answer_type) in enumerate(QUESTIONS)
    ]


def answered(samples: Sequence[Sample], right: Sequence[bool]) -> list[Prediction]:
    """The reference where `right`, else an answer that is wrong under every metric."""
    return [
        Prediction(id=sample.id, text=sample.reference if is_right else "spleen")
        for sample, is_right in zip(samples, right, strict=True)
    ]


def write_predictions(path: Path, predictions: Sequence[Prediction]) -> Path:
    """Write predictions as JSON lines."""
    lines = [json.dumps({"id": one.id, "text": one.text}) for one in predictions]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_run(
    parent: Path,
    name: str,
    samples: Sequence[Sample],
    predictions: Sequence[Prediction],
    *,
    controls: Mapping[str, Sequence[Prediction]] | None = None,
    warnings: tuple[str, ...] = (),
    **changed: Any,
) -> Path:
    """Write a finished run folder; `changed` is anything of its run.json."""
    folder = parent / name
    folder.mkdir()
    run = {
        "model": name,
        "engine": "openvino",
        "weights_sha256": "0" * 64,
        "samples": "test.jsonl",
        "samples_sha256": samples_digest(samples),
        "train": None,
        "train_sha256": None,
        "limit": None,
        "decoding": "greedy",
        "max_new_tokens": 64,
        **changed,
    }
    asked = list(samples)[: run["limit"]]
    report = Report(
        run=run,
        conditions={
            condition: score(asked, answers)
            for condition, answers in {"model": predictions, **(controls or {})}.items()
        },
        num_samples=len(asked),
        warnings=warnings,
    )
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "scores.json").write_text(json.dumps(report_json(report)))
    write_samples(folder / "samples.jsonl", asked)
    write_predictions(folder / "predictions.jsonl", predictions)
    return folder
