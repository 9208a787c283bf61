"""The folder of an evaluation: what was asked of what, every answer, and the scores last."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tinymed.errors import DataError
from tinymed.evaluate.line_log import LineLog
from tinymed.records import Prediction
from tinymed.runs import write_json

RUN_FILE = "run.json"
SCORES_FILE = "scores.json"
SAMPLES_FILE = "samples.jsonl"
_LOCK_FILE = ".run.lock"


def predictions_file(folder: Path, condition: str) -> Path:
    """Where a run folder keeps the predictions of a condition.

    >>> predictions_file(Path("run"), "model").name, predictions_file(Path("run"), "blank").name
    ('predictions.jsonl', 'predictions-blank.jsonl')
    """
    suffix = "" if condition == "model" else f"-{condition}"
    return folder / f"predictions{suffix}.jsonl"


def open_run_folder(folder: Path, identity: Mapping[str, Any]) -> None:
    """Begin a run folder, or go on with one that was begun with the same identity.

    Raises:
        DataError: If the folder holds another run (says what differs) or files of none.
    """
    path = folder / RUN_FILE
    if path.exists():
        _refuse_another_run(path, identity)
        return
    _make(folder)
    passing = (".partial", Path(_LOCK_FILE).suffix)
    strays = sorted(entry.name for entry in folder.iterdir() if entry.suffix not in passing)
    if strays:
        raise DataError(
            f"'{folder}' is not empty and holds no {RUN_FILE} (first: '{strays[0]}'). "
            "Name a new folder."
        )
    write_json(path, identity)


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold a run folder for this process; another that comes meanwhile is refused.

    The system lets go when the process ends, however it ends.

    Raises:
        DataError: If another process holds the folder, or the folder cannot be made.
    """
    _make(folder)
    lock = FileLock(folder / _LOCK_FILE, blocking=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise DataError(
            f"Another process is at work in '{folder}': wait for it, or name another folder."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"Cannot make the folder '{folder}': {error.strerror}.") from error


def _refuse_another_run(path: Path, identity: Mapping[str, Any]) -> None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"Cannot read '{path}': {error}.") from error
    if not isinstance(found, dict):
        raise DataError(f"'{path}' is not a JSON object.")
    differences = [
        f"{key} is {found.get(key)!r} there and {identity.get(key)!r} now"
        for key in dict.fromkeys([*identity, *found])
        if found.get(key) != identity.get(key)
    ]
    if differences:
        raise DataError(
            f"'{path.parent}' holds another run: {'; '.join(differences)}. Name a new folder."
        )


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
