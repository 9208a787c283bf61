"""The folder of an evaluation: what was asked of what, every answer, and the scores last."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinymed.evaluate.line_log import LineLog
from tinymed.records import Prediction

SCORES_FILE = "scores.json"
SAMPLES_FILE = "samples.jsonl"


def predictions_file(folder: Path, condition: str) -> Path:
    """Where a run folder keeps the predictions of a condition.

    >>> predictions_file(Path("run"), "model").name, predictions_file(Path("run"), "blank").name
    ('predictions.jsonl', 'predictions-blank.jsonl')
    """
    suffix = "" if condition == "model" else f"-{condition}"
    return folder / f"predictions{suffix}.jsonl"


def prediction_line(prediction: Prediction) -> str:
    """A prediction as one line of JSON, its line break included."""
    row: dict[str, Any] = {"id": prediction.id, "text": prediction.text}
    if prediction.confidence is not None:
        row["confidence"] = prediction.confidence
    return json.dumps(row, ensure_ascii=False) + "\n"


class PredictionLog(LineLog[Prediction]):
    """Predictions on disk, one line each."""

    def __init__(self, path: Path) -> None:
        """Open `path`, made if missing.

        Raises:
            DataError: If a line other than a torn last one is not a prediction.
        """
        super().__init__(path, _prediction, kind="a prediction")
        self.answered = {prediction.id for prediction in self.found}
        """Ids with a prediction on disk."""

    def extend(self, predictions: Sequence[Prediction]) -> None:
        """Keep predictions: all of them or, after a kill, none."""
        self.add("".join(map(prediction_line, predictions)).encode())
        self.answered.update(one.id for one in predictions)


def _prediction(row: Any) -> Prediction:
    return Prediction(id=row["id"], text=row["text"], confidence=row.get("confidence"))
