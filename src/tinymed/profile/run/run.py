"""Measure models in schemes on this machine, each in a process of its own, and keep the figures."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from tinymed.errors import ConfigError, HardwareError, TinymedError
from tinymed.hardware.load import used_by_others
from tinymed.profile.point import Point, point_row
from tinymed.profile.run.folder import (
    PROFILE_FILE,
    all_points,
    keep_point,
    keep_refused,
    profile_folder,
    standing_point,
)
from tinymed.profile.run.identity import describe_image, describe_machine, versions
from tinymed.profile.run.observation import Observation, Request
from tinymed.profile.run.predicted import Predicted, predicted, this_machines_speed
from tinymed.profile.run.process import observe_in_process
from tinymed.profile.run.quiet import reasons_against, wait_until_quiet
from tinymed.profile.run.session import WARM_UPS
from tinymed.profile.run.summary import summed_up
from tinymed.profile.run.target import Target, look_up, make_ready
from tinymed.progress import Progress
from tinymed.runs import sha256_of, write_json

QUESTION = "Is there an abnormality?"
_TRIES = 2
"""A point that the machine was too busy for is measured once more."""

Predict = Callable[[Target, Observation], Predicted]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileSettings:
    """What to measure, how and where to write."""

    models: tuple[str, ...]
    """Names or folders, each with ":SCHEME" or without."""
    out: Path
    """Folder: new, or one begun with the same settings, which is then finished."""
    image: Path
    """What is asked about: PNG, JPEG or DICOM."""
    question: str = QUESTION
    runs: int = 10
    """Repetitions that count, after two that warm up."""
    threads: int | None = None
    """Processor threads; None lets each engine choose."""
    device: str = "auto"
    """What torch computes on: "auto", "cpu" or "cuda"."""
    random_weights: Path | None = None
    """Folder for random weights of known shapes; None measures real models."""
    busy: bool = False
    """Keep what was measured on a busy machine, and mark it."""
    max_spread: float = 0.15
    """Of a figure that must be quiet, (95th percentile - median) / median."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a profile's folder holds."""

    run: dict[str, Any]
    """How it was measured, on what machine, with which versions."""
    points: tuple[Point, ...]


def profile_json(profile: Profile) -> dict[str, Any]:
    """A profile as its file has it."""
    return {**profile.run, "points": [point_row(point) for point in profile.points]}


def profile_run(settings: ProfileSettings) -> Profile:
    """Measure every model that does not stand in the folder yet.

    Checkpoints and builds that are not there are made first, outside of what is measured. A
    point is written as soon as it is measured, so a run that was killed goes on where it was
    when started again with the same settings.

    Raises:
        ConfigError: If a scheme, a device or a repetition of a model does not make sense.
        ModelError: If a model is unknown, or cannot be made or opened.
        ImageError: If the image cannot be shown.
        DataError: If the folder holds another run, or is in use.
        HardwareError: If the machine was too busy for a point, or a process was killed.
    """
    random = settings.random_weights is not None
    found = [look_up(one, device=settings.device, random=random) for one in settings.models]
    identity = _identity(settings)
    with profile_folder(settings.out, identity):
        targets = [
            make_ready(one, device=settings.device, random_weights=settings.random_weights)
            for one in found
        ]
        points = measure_all(targets, settings, predict=_predictions())
        profile = Profile(run=identity, points=points)
        write_json(settings.out / PROFILE_FILE, profile_json(profile))
    return profile


def measure_all(
    targets: Sequence[Target], settings: ProfileSettings, *, predict: Predict
) -> tuple[Point, ...]:
    """Measure what does not stand in the folder, which this process must hold.

    What goes wrong with one point does not keep the others from being measured.

    Returns:
        Every point in the folder: these in their order, and those of earlier calls.

    Raises:
        ConfigError: If two points have one name.
        TinymedError: What went wrong, once all others are written.
    """
    _refuse_twins(targets)
    missing = [target for target in targets if not _stands(target, settings)]
    failures: list[TinymedError] = []
    image = describe_image(settings.image)
    steps = len(missing) * (WARM_UPS + settings.runs)
    with Progress("Measuring", total=steps, unit="repetition") as progress:
        for target in missing:
            try:
                _measure(target, settings, predict, progress, image=image)
            except TinymedError as error:
                failures.append(error)
    if failures:
        raise type(failures[0])(" ".join(map(str, failures)))
    asked = [target.name for target in targets]
    return tuple(
        sorted(
            all_points(settings.out),
            key=lambda point: asked.index(point.name) if point.name in asked else len(asked),
        )
    )


def _measure(
    target: Target, settings: ProfileSettings, predict: Predict, progress: Progress, *, image: str
) -> None:
    """Measure one point and write it, unless the machine is too busy, twice.

    Raises:
        HardwareError: If it was.
        TinymedError: If it cannot be measured.
    """
    steps = WARM_UPS + settings.runs
    for again in range(_TRIES):
        if not settings.busy:
            wait_until_quiet(used_by_others)
        with (
            Progress(f"{target.name} once more", total=steps, unit="repetition")
            if again
            else nullcontext(progress)
        ) as shown:
            observed = observe_in_process(
                _request(target, settings), name=target.name, on_step=shown.step
            )
        point = summed_up(target, observed, predict(target, observed), image=image)
        reasons = reasons_against(point.conditions, max_spread=settings.max_spread)
        if not reasons or settings.busy:
            conditions = replace(point.conditions, is_busy=bool(reasons))
            keep_point(settings.out, replace(point, conditions=conditions), observed)
            return
        keep_refused(settings.out, target.name, observed)
        sys.stderr.write(f"{target.name}: not written, because {'; '.join(reasons)}.\n")
    raise HardwareError(
        f"{target.name} was measured twice and not written, because {'; '.join(reasons)}. Close "
        "other programs and run the same command again, which goes on from here; or keep the "
        "figures as they are with --busy, which marks them."
    )


def _stands(target: Target, settings: ProfileSettings) -> bool:
    """Whether a point was measured before, of these very weights and quietly enough."""
    point = standing_point(settings.out, target.name)
    if point is None or point.weights_sha256 != target.weights_sha256:
        return False
    return settings.busy or not reasons_against(point.conditions, max_spread=settings.max_spread)


def _refuse_twins(targets: Sequence[Target]) -> None:
    names = [target.name for target in targets]
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise ConfigError(
            f"'{twins[0]}' is named more than once: measure each model in a scheme once, and "
            "models of one name in folders of their own."
        )


def _request(target: Target, settings: ProfileSettings) -> Request:
    return Request(
        scheme=target.scheme.name,
        build=None if target.build is None else str(target.build),
        address=target.address,
        image=str(settings.image),
        question=settings.question,
        runs=settings.runs,
        threads=settings.threads,
        device=settings.device,
    )


def _identity(settings: ProfileSettings) -> dict[str, Any]:
    """What every point of a folder shares; a file's name without its folder."""
    return {
        "command": "profile run",
        "image": describe_image(settings.image),
        "image_sha256": sha256_of(settings.image),
        "question": settings.question,
        "runs": settings.runs,
        "warm_ups": WARM_UPS,
        "threads": settings.threads,
        "device": settings.device,
        "machine": describe_machine(),
        "versions": versions(),
    }


def _predictions() -> Predict:
    """Plans on this machine, whose speed is measured when the first plan needs it."""
    speed = cache(this_machines_speed)
    return lambda target, observed: predicted(target, observed, speed())
