"""What a model said of every question of a data set, and what the gates before it saw."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tinymed.engines.protocol import EncodedImage, Engine, prepared
from tinymed.errors import ImageError
from tinymed.evaluate.line_log import LineLog
from tinymed.images.receive import receive
from tinymed.images.received import ReceivedFrame
from tinymed.progress import Progress
from tinymed.records import Sample
from tinymed.safe.answering import SeenImage
from tinymed.safe.decide import Before
from tinymed.safe.gate import Alert, Gates
from tinymed.safe.image.look import look_at, not_looked
from tinymed.safe.image.scope import Scope, scope_alerts
from tinymed.safe.image.text import TextFinder
from tinymed.safe.question_kind import read_question
from tinymed.safe.said import Asker, Said

See = Callable[[Path], SeenImage]
"""Reads an image file, lets the gates before the model look at it, and encodes it."""

_EVERY_GATE = Gates(
    quality="warn",
    film_photo="warn",
    text="warn",
    scope="warn",
    polarity="warn",
    blank="warn",
    threshold="warn",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One sample, and all that the gates decide by."""

    sample: Sample
    before: Before
    """Of the image; what is to be said of the question follows from its words."""
    said: Said


def see_with_gates(
    engine: Engine, *, finder: TextFinder | None = None, scope: Scope | None = None
) -> See:
    """Let every gate before the model look at images.

    Args:
        engine: Encodes them.
        finder: What finds writing; without one the gate "text" looks at none.
        scope: What the training images look like; without it the gate "scope" knows an image
            by what its file says of it alone.
    """
    not_checked = not_looked(finder, knows_scope=scope is not None)

    def see(path: Path) -> SeenImage:
        frame = _frame(path)
        pixels = prepared(engine, frame.image)
        encoded = engine.encode(pixels, keep_stages=scope is not None)
        alerts = look_at(frame, _EVERY_GATE, finder=finder)
        if scope is not None:
            alerts += scope_alerts(encoded, scope, _EVERY_GATE)
        return SeenImage(
            encoded=replace(encoded, stages=None), alerts=alerts, not_checked=not_checked
        )

    return see


def _frame(path: Path) -> ReceivedFrame:
    try:
        return receive(path.read_bytes(), None)
    except ImageError as error:
        raise ImageError(f"Cannot read {path}: {error}.") from error
    except OSError as error:
        raise ImageError(f"Cannot read {path}: {error.strerror}.") from error


def observe_all(
    engine: Engine, samples: Sequence[Sample], folder: Path, *, label: str, see: See
) -> list[Observed]:
    """Ask every sample's question under every condition, and keep what was seen and said.

    Each image is seen once. What was seen and said of it goes to disk as soon as it is there,
    so a run that was killed goes on where it was.

    Args:
        engine: The model.
        samples: Each with an image.
        folder: Where `seen-LABEL.jsonl` (a line an image, under its first question's id) and
            `said-LABEL.jsonl` (a line a question) are kept.
        label: What the split is called in the folder and beside the progress.
        see: What looks at an image and encodes it.

    Returns:
        One of each sample, in the order of the samples.

    Raises:
        ImageError: If an image cannot be read; what was said until then is kept.
        DataError: If the folder holds a line that is none of ours.
    """
    by_image: dict[Path, list[Sample]] = {}
    for sample in samples:
        assert sample.image is not None
        by_image.setdefault(sample.image, []).append(sample)
    asker = Asker(engine, gates=_EVERY_GATE)
    with (
        LineLog(folder / f"seen-{label}.jsonl", _read_seen, kind="what was seen") as seen_log,
        LineLog(folder / f"said-{label}.jsonl", _read_said, kind="what was said") as said_log,
        Progress(label, total=len(samples), done=len(said_log.found)) as progress,
    ):
        seen, said = dict(seen_log.found), dict(said_log.found)
        for image, about_it in by_image.items():
            missing = [sample for sample in about_it if sample.id not in said]
            name = about_it[0].id
            if name in seen and not missing:
                continue
            now = see(image)
            if name not in seen:
                seen[name] = Before(alerts=now.alerts, not_checked=now.not_checked)
                seen_log.add(_seen_line(name, seen[name]))
            new = {one.id: _said(engine, asker, now.encoded, one.question) for one in missing}
            said_log.add(b"".join(_said_line(*one) for one in new.items()))
            said |= new
            progress.step(len(new))
    return [
        Observed(sample=sample, before=seen[about_it[0].id], said=said[sample.id])
        for about_it in by_image.values()
        for sample in about_it
    ]


def _said(engine: Engine, asker: Asker, image: EncodedImage, question: str) -> Said:
    asked = read_question(question)
    if asked.kind == "open":
        return asker.opened(question, engine.answer(image, question))
    return asker.closed(image, asked)


def _seen_line(id_: str, before: Before) -> bytes:
    """What the gates before the model found, as a line of JSON; details are not kept."""
    alerts = [
        {"code": alert.code, "gate": alert.gate, "figures": dict(alert.figures)}
        for alert in before.alerts
    ]
    return _line({"id": id_, "alerts": alerts, "not_checked": dict(before.not_checked)})


def _read_seen(row: Any) -> tuple[str, Before]:
    alerts = tuple(Alert(withholds=False, detail="", **alert) for alert in row["alerts"])
    return row["id"], Before(alerts=alerts, not_checked=row["not_checked"])


_KEPT = ("text", "confidence", "to_opposite", "confidence_without")
"""Of what was said; tokens decide nothing."""


def _said_line(id_: str, said: Said) -> bytes:
    return _line({"id": id_, **{name: getattr(said, name) for name in _KEPT}})


def _read_said(row: Any) -> tuple[str, Said]:
    return row["id"], Said(**{name: row[name] for name in _KEPT})


def _line(row: Mapping[str, Any]) -> bytes:
    return (json.dumps(row, ensure_ascii=False) + "\n").encode()
