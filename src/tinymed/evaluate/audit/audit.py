"""Audit a model: ask everything an audit needs, then judge it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinymed.engines.protocol import Engine
from tinymed.errors import ConfigError, DataError
from tinymed.evaluate.asking import (
    Encode,
    ToAsk,
    ask_all,
    how_asked,
    one_image,
    own_images,
    samples_to_ask,
)
from tinymed.evaluate.audit.abstention import Abstention, abstention, declined
from tinymed.evaluate.audit.calibration import (
    CALIBRATION_FILE,
    Calibration,
    calibrate_types,
    confidences,
    rightness,
    write_calibration,
)
from tinymed.evaluate.audit.confidence import Confidence, Kind, measure
from tinymed.evaluate.audit.figures import Floats, Resamples
from tinymed.evaluate.audit.image_use import INSTEAD, ImageUse, image_use, noise_image
from tinymed.evaluate.audit.polarity import polarity
from tinymed.evaluate.audit.report import AUDIT_FILE, Audit, audit_json
from tinymed.evaluate.audit.subsets import by_subset
from tinymed.evaluate.audit.twins import Twin, has_yes_or_no, twin_line, twins_of
from tinymed.evaluate.controls import black_image, shuffled_images
from tinymed.evaluate.metrics.table import Subset
from tinymed.evaluate.metrics.words import normalized_words
from tinymed.evaluate.pairing import Pair, pair
from tinymed.evaluate.run_folder import SAMPLES_FILE, predictions_file
from tinymed.evaluate.score import cluster
from tinymed.jsonl import samples_digest, write_samples
from tinymed.progress import Progress
from tinymed.records import Sample
from tinymed.runs import only_one, open_run_folder, write_bytes, write_json

TWINS_FILE = "twins.jsonl"
_TARGET_ACCURACY = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """What to ask and where to write."""

    samples: Path
    """JSON lines of samples to audit on, each with an image."""
    out: Path
    """Run folder: new, or one begun with the same settings, which is then finished."""
    calibrate: Path | None = None
    """Samples to fit the calibration and to choose thresholds on; none of those above."""
    limit: int | None = None
    """Only the first so many samples, of either file."""
    target_accuracy: float | None = None
    """What the answers given shall reach when the unsure ones are withheld; without a word,
    0.9. Changes no answer, so a finished audit can be started again with another."""
    max_new_tokens: int = 64
    """An answer's longest length."""
    seed: int = 0
    """Of the noise, the shuffle and the bootstrap; the answers are greedy and need none."""


def run_audit(engine: Engine, settings: AuditSettings) -> Audit:
    """Ask, judge, write the run folder and give back what it holds.

    Answers go to disk as they come; an audit that was killed goes on where it stopped when
    started again with the same settings.

    Raises:
        ConfigError: If a target accuracy cannot be aimed at.
        DataError: If the samples cannot be used, or the folder holds another run or is in use.
        ImageError: If an image cannot be read; what was answered until then is kept.
    """
    target_accuracy = _target_accuracy(settings)
    to_ask = samples_to_ask(settings.samples, settings.limit)
    to_calibrate = None
    if settings.calibrate is not None:
        to_calibrate = samples_to_ask(settings.calibrate, settings.limit)
    samples = to_ask.samples
    split = None if to_calibrate is None else to_calibrate.samples
    warnings = [] if split is None else _overlap(samples, split, settings)
    twins = twins_of(samples)
    identity = _identity(engine, settings, to_ask, to_calibrate, twins)
    with only_one(settings.out):
        open_run_folder(settings.out, identity)
        write_samples(settings.out / SAMPLES_FILE, samples)
        lines = "".join(map(twin_line, twins))
        write_bytes(settings.out / TWINS_FILE, lines.encode())
        answers = _ask(engine, settings, samples, split, twins)
        calibration = None
        if settings.calibrate is not None and split is not None:
            calibration = Calibration(
                model=engine.model,
                engine=engine.name,
                weights_sha256=engine.weights_digest,
                prompt_template=engine.prompt_template,
                split=settings.calibrate.name,
                split_sha256=samples_digest(split),
                by_type=calibrate_types(answers["calibration"]),
            )
            write_calibration(settings.out / CALIBRATION_FILE, calibration)
        audit = _judge(
            answers,
            calibration,
            run=identity,
            twins=twins,
            target_accuracy=target_accuracy,
            warnings=warnings,
        )
        write_json(settings.out / AUDIT_FILE, audit_json(audit))
    return audit


def _target_accuracy(settings: AuditSettings) -> float:
    target = settings.target_accuracy
    if target is None:
        return _TARGET_ACCURACY
    if settings.calibrate is None:
        raise ConfigError(
            "A target accuracy needs a calibration split to choose a threshold on: "
            "name one with --calibrate."
        )
    if not 0 < target <= 1:
        raise ConfigError(f"The target accuracy is {target}; name one above 0 and up to 1.")
    return target


def _overlap(
    samples: Sequence[Sample], split: Sequence[Sample], settings: AuditSettings
) -> list[str]:
    """Warn of images in both splits.

    Raises:
        DataError: If a question about the same image is in both. A calibration that has
            seen test answers looks better than it is, and cannot be told from a good one.
    """
    asked = {_question(sample): sample.id for sample in samples}
    twice = [asked[_question(sample)] for sample in split if _question(sample) in asked]
    if twice:
        raise DataError(
            f"{len(twice)} questions of '{settings.calibrate}' are asked of the same image in "
            f"'{settings.samples}' (first: {twice[:3]}): calibrate on a split without them."
        )
    shared = {cluster(sample) for sample in samples} & {cluster(sample) for sample in split}
    if not shared:
        return []
    warning = (
        f"{len(shared)} images or patients are in the calibration split and in the test, with "
        "other questions: calibration and thresholds may look better than they are."
    )
    return [warning]


def _question(sample: Sample) -> tuple[str, tuple[str, ...]]:
    return cluster(sample), normalized_words(sample.question)


def _identity(
    engine: Engine,
    settings: AuditSettings,
    to_ask: ToAsk,
    to_calibrate: ToAsk | None,
    twins: Sequence[Twin],
) -> dict[str, Any]:
    """What makes this run this run; file names without folders, so that a copy goes on too."""
    calibrate = settings.calibrate
    return {
        "command": "evaluate audit",
        **how_asked(engine, max_new_tokens=settings.max_new_tokens),
        "samples": settings.samples.name,
        "samples_sha256": to_ask.file_digest,
        "calibrate": None if calibrate is None else calibrate.name,
        "calibrate_sha256": None if to_calibrate is None else to_calibrate.file_digest,
        # Twins that other rules made are other questions.
        "twins_sha256": samples_digest(twin.absence for twin in twins),
        "limit": settings.limit,
        "seed": settings.seed,
    }


def _ask(
    engine: Engine,
    settings: AuditSettings,
    samples: Sequence[Sample],
    split: Sequence[Sample] | None,
    twins: Sequence[Twin],
) -> dict[str, list[Pair]]:
    """Every answer, by condition, each paired with its question."""
    own = own_images(engine)
    size_px = engine.preprocessing.size_px
    plan: dict[str, tuple[Sequence[Sample], Encode]] = {"model": (samples, own)}
    if split is not None:
        plan["calibration"] = (split, own)
    plan["blank"] = (samples, one_image(engine, black_image(size_px=size_px)))
    noise = noise_image(size_px=size_px, seed=settings.seed)
    plan["noise"] = (samples, one_image(engine, noise))
    images = [(image, cluster(one)) for one in samples if (image := one.image) is not None]
    if len({group for _, group in images}) > 1:
        exchanged = shuffled_images(images, seed=settings.seed)
        plan["shuffled"] = (samples, lambda image: own(exchanged[image]))
    plan["absence"] = ([twin.absence for twin in twins], own)
    answers: dict[str, list[Pair]] = {}
    for condition, (asked, encode) in plan.items():
        if not asked:
            answers[condition] = []
            continue
        predictions = ask_all(
            engine,
            asked,
            predictions_file(settings.out, condition),
            label=condition,
            encode=encode,
            max_new_tokens=settings.max_new_tokens,
        )
        answers[condition] = pair(asked, predictions)
    return answers


def _judge(
    answers: Mapping[str, Sequence[Pair]],
    calibration: Calibration | None,
    *,
    run: Mapping[str, Any],
    twins: Sequence[Twin],
    target_accuracy: float,
    warnings: Sequence[str],
) -> Audit:
    own, seed = answers["model"], run["seed"]
    notes = []
    if "shuffled" not in answers:
        notes.append("Not asked about another patient's image: all samples are of one group.")
    if not twins:
        notes.append("No polarity: no question has an opposite that a rule is sure of.")
    thresholds: list[Abstention] = []
    if calibration is None:
        notes.append(
            "No calibration and no thresholds: they need --calibrate; choosing them on the "
            "test would flatter the model."
        )
    else:
        notes.append(
            "Calibration and thresholds hold for images and questions like those of "
            f"'{calibration.split}'; on others they can be far off."
        )
        thresholds = abstention(
            answers["calibration"],
            own,
            target_accuracy=target_accuracy,
            seed=seed,
        )
    return Audit(
        run=run,
        num_samples=len(own),
        image_use=tuple(_image_use(own, answers, seed=seed)),
        polarity=polarity(
            twins,
            {one.sample.id: one.prediction for one in own},
            {one.sample.id: one.prediction for one in answers["absence"]},
            num_closed_yes_no=sum(has_yes_or_no(one.sample) for one in own),
            seed=seed,
        ),
        confidence=tuple(_confidence(own, calibration, seed=seed)),
        calibration=calibration,
        abstention=tuple(thresholds),
        declined=tuple(declined(own)),
        warnings=tuple(warnings),
        notes=tuple(notes),
    )


def _image_use(
    own: Sequence[Pair], answers: Mapping[str, Sequence[Pair]], *, seed: int
) -> list[ImageUse]:
    found: list[ImageUse] = []
    for condition in INSTEAD:
        if condition in answers:
            found += image_use(own, answers[condition], condition=condition, seed=seed)
    return found


def _confidence(
    own: Sequence[Pair], calibration: Calibration | None, *, seed: int
) -> list[Confidence]:
    whole = [cluster(one.sample) for one in own]
    asked: list[tuple[Subset, Kind, Floats]] = []
    subsets = by_subset(own)
    for subset, pairs in subsets.items():
        raw = confidences(pairs)
        asked.append((subset, "raw", raw))
        types = [one.sample.answer_type for one in pairs]
        calibrated = None if calibration is None else calibration(raw, types)
        if calibrated is not None:
            asked.append((subset, "calibrated", calibrated))
    found = []
    with Progress("confidence", total=len(asked), unit="measure") as progress:
        for subset, kind, confidence in asked:
            pairs = subsets[subset]
            groups = [cluster(one.sample) for one in pairs]
            resamples = Resamples(groups, whole=whole, seed=seed)
            found.append(measure(confidence, rightness(pairs), resamples, subset=subset, kind=kind))
            progress.step()
    return found
