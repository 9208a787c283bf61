"""Measure the gates of one model: thresholds from a validation split, costs there and on a test."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tinymed.engines.protocol import Engine
from tinymed.errors import ConfigError, DataError
from tinymed.evaluate.asking import ToAsk, how_asked, samples_to_ask
from tinymed.evaluate.audit.abstention import threshold_for_accuracy
from tinymed.evaluate.audit.calibration import calibrate
from tinymed.evaluate.audit.figures import Floats
from tinymed.evaluate.score import cluster
from tinymed.jsonl import samples_digest
from tinymed.records import AnswerType, Sample
from tinymed.runs import only_one, open_run_folder, write_bytes, write_json
from tinymed.safe.costs import CostRow, costs, right, without_intervals
from tinymed.safe.image.scope import SCOPE_FILE, Scope
from tinymed.safe.image.scope_fit import fit_scope
from tinymed.safe.image.text import find_text_finder
from tinymed.safe.measure_report import GatesReport, Measured, gates_json, gates_markdown
from tinymed.safe.observe import Observed, See, observe_all, see_with_gates
from tinymed.safe.policy import Chosen, SafetyPolicy, write_policy
from tinymed.safe.question_kind import read_question

REPORT_FILE = "gates.json"
PAGE_FILE = "gates.md"
_MAX_NEW_TOKENS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureSettings:
    """What to ask and where to write."""

    samples: Path
    """The validation split: thresholds and calibration are fitted to it."""
    out: Path
    """Run folder: new, or one begun with the same settings, which is then finished."""
    target_accuracy: float
    """What answers above a threshold shall be right in. Changes no answer, so a finished run
    can be started again with another."""
    test: Path | None = None
    """Another split, on which the gates are measured and nothing is chosen."""
    split_name: str | None = None
    """What a person calls the validation split; None for its folder's and its file's name."""
    limit: int | None = None
    """Only the first so many samples, of either file."""
    training: tuple[Path, ...] = ()
    """What the model was trained on: its images show the gate "scope" what is in scope."""
    seed: int = 0
    """Of the bootstrap."""


def measure_gates(
    engine: Engine,
    settings: MeasureSettings,
    *,
    see: See | None = None,
) -> GatesReport:
    """Ask, choose, measure, and write the run folder, `policy.json` among it.

    What was said goes to disk as it comes; a run that was killed goes on where it stopped when
    started again with the same settings.

    Args:
        engine: The model.
        settings: What to ask.
        see: What lets the gates before the model look at an image; None for all that this
            computer has.

    Raises:
        ConfigError: If the target accuracy cannot be aimed at.
        DataError: If the samples cannot be used, or the folder holds another run or is in use.
        ImageError: If an image cannot be read; what was said until then is kept.
    """
    if not 0 < settings.target_accuracy <= 1:
        raise ConfigError(
            f"The target accuracy is {settings.target_accuracy}; name one above 0 and up to 1."
        )
    validation = samples_to_ask(settings.samples, settings.limit)
    test = None if settings.test is None else samples_to_ask(settings.test, settings.limit)
    notes = [] if test is None else _overlap(validation.samples, test.samples)
    training = [samples_to_ask(path, None) for path in settings.training]
    finder = find_text_finder() if see is None else None
    identity = _identity(engine, settings, validation, test) | {
        "training": [path.name for path in settings.training],
        "training_sha256": [one.file_digest for one in training],
        "finds_text": finder is not None,
    }
    with only_one(settings.out):
        open_run_folder(settings.out, identity)
        scope = _scope(engine, settings, training, validation)
        see = see or see_with_gates(engine, finder=finder, scope=scope)

        def observed(asked: ToAsk, label: str) -> list[Observed]:
            found = observe_all(engine, asked.samples, settings.out, label=label, see=see)
            notes.extend(note for note in _not_checked(found) if note not in notes)
            return found

        on_validation = observed(validation, "validation")
        policy = _policy(engine, settings, on_validation)
        name = policy.split
        measured = [Measured(split=name, rows=_costs(on_validation, policy, settings))]
        if test is not None and settings.test is not None:
            rows = _costs(observed(test, "test"), policy, settings)
            measured.append(Measured(split=_split_name(settings.test), rows=rows))
        found = tuple(
            one for part in measured for one in without_intervals(part.rows, split=part.split)
        )
        report = GatesReport(
            run=identity,
            policy=replace(policy, costs=found),
            measured=tuple(measured),
            notes=tuple(notes),
        )
        write_policy(settings.out, report.policy)
        write_bytes(settings.out / PAGE_FILE, gates_markdown(report).encode())
        write_json(settings.out / REPORT_FILE, gates_json(report))
    return report


def _scope(
    engine: Engine, settings: MeasureSettings, training: Sequence[ToAsk], validation: ToAsk
) -> Scope | None:
    """Fit the scope to the training images, unless an earlier start of this run has."""
    path = settings.out / SCOPE_FILE
    if not training:
        return None
    if path.is_file():
        return Scope.load(path, weights_sha256=engine.weights_digest)
    fitted_to = _images(sample for one in training for sample in one.samples)
    scope = fit_scope(
        engine,
        training=fitted_to,
        held_out=[path for path in _images(validation.samples) if path not in set(fitted_to)],
        fitted_to=", ".join(map(_split_name, settings.training)),
    )
    scope.save(path)
    return scope


def _images(samples: Iterable[Sample]) -> list[Path]:
    """Each image once."""
    return list(dict.fromkeys(sample.image for sample in samples if sample.image is not None))


def _costs(
    observed: Sequence[Observed], policy: SafetyPolicy, settings: MeasureSettings
) -> tuple[CostRow, ...]:
    return tuple(costs(observed, policy=policy, seed=settings.seed))


def _not_checked(observed: Sequence[Observed]) -> list[str]:
    """Name the gates whose costs are not known, because they could not look."""
    found = {gate: why for one in observed for gate, why in one.before.not_checked.items()}
    return [
        f"The gate '{gate}' could not look at images, so what it costs is not known: {why}."
        for gate, why in found.items()
    ]


def _split_name(path: Path) -> str:
    folder = path.resolve().parent.name
    return f"{folder} {path.stem}" if folder else path.stem


def _overlap(validation: Sequence[Sample], test: Sequence[Sample]) -> list[str]:
    """Refuse a test that is the validation split; warn of images in both."""
    if samples_digest(validation) == samples_digest(test):
        raise DataError("The test samples are the very samples to choose on; name another split.")
    shared = {cluster(sample) for sample in validation} & {cluster(sample) for sample in test}
    if not shared:
        return []
    note = (
        f"{len(shared)} images or patients are in both splits: "
        "what the gates cost on the test may look better than it is."
    )
    return [note]


def _identity(
    engine: Engine, settings: MeasureSettings, validation: ToAsk, test: ToAsk | None
) -> dict[str, Any]:
    """What makes this run this run; file names without folders, so that a copy goes on too."""
    asked = [*validation.samples, *(() if test is None else test.samples)]
    return {
        "command": "evaluate gates",
        **how_asked(engine, max_new_tokens=_MAX_NEW_TOKENS),
        "samples": settings.samples.name,
        "samples_sha256": validation.file_digest,
        "test": None if settings.test is None else settings.test.name,
        "test_sha256": None if test is None else test.file_digest,
        # Choices and opposites that other rules made are other questions.
        "questions_sha256": _questions_digest(asked),
        "limit": settings.limit,
        "seed": settings.seed,
    }


def _questions_digest(samples: Sequence[Sample]) -> str:
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(repr(read_question(sample.question)).encode())
    return digest.hexdigest()


def _policy(
    engine: Engine, settings: MeasureSettings, observed: Sequence[Observed]
) -> SafetyPolicy:
    by_type = _by_type(observed)
    return SafetyPolicy(
        model=engine.model,
        scheme=engine.scheme,
        weights_sha256=engine.weights_digest,
        prompt_template=engine.prompt_template,
        split=settings.split_name or _split_name(settings.samples),
        split_sha256=samples_digest(one.sample for one in observed),
        num_samples=len(observed),
        target_accuracy=settings.target_accuracy,
        thresholds={
            answer_type: _chosen(some, settings.target_accuracy)
            for answer_type, some in by_type.items()
        },
        calibration={
            answer_type: calibrate(*_columns(some)) for answer_type, some in by_type.items()
        },
    )


def _by_type(observed: Sequence[Observed]) -> dict[AnswerType, list[Observed]]:
    """By how a question is answered, scored or decoded, not by the data set's label."""
    found: dict[AnswerType, list[Observed]] = {"closed": [], "open": []}
    for one in observed:
        is_open = read_question(one.sample.question).kind == "open"
        found["open" if is_open else "closed"].append(one)
    return found


def _chosen(observed: Sequence[Observed], target: float) -> Chosen:
    confidence, is_right = _columns(observed)
    try:
        return Chosen(threshold=threshold_for_accuracy(confidence, is_right, target))
    except DataError as error:
        return Chosen(threshold=None, reason=str(error))


def _columns(observed: Sequence[Observed]) -> tuple[Floats, Floats]:
    """Confidences, and 1 for each right answer and 0 for a wrong one; shape (items,) each."""
    confidence = np.array([one.said.confidence for one in observed], dtype=np.float64)
    return confidence, np.array([right(one) for one in observed], dtype=np.float64)
