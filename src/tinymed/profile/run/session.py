"""Measuring one point in this process: open, the first answer, warm up, and then what counts."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tinymed.engines.protocol import Engine
from tinymed.hardware.load import Watch
from tinymed.images.intake import read_image
from tinymed.profile.run.gauges import EnergyGauge, MemoryGauges
from tinymed.profile.run.observation import (
    Levels,
    Meanwhile,
    Observation,
    Opened,
    Questions,
    Repetition,
    Request,
)
from tinymed.profile.run.opening import OpenEngine
from tinymed.profile.run.repetition import (
    LONGEST_ANSWER,
    Gauges,
    Seen,
    repeat,
    see,
    timed_answer,
)

SECOND_QUESTION = "Is there a fracture?"
LONGER_QUESTIONS = (
    "Describe this image in detail.",
    "How to prevent the occurrence of the disease on the left lobe of brain in this image?",
)
"""Asked after the first question, until an answer is long enough to time its tokens. The second
is SLAKE's, whatever the image: models tuned to short answers give one of a dozen tokens there."""
ENOUGH_TOKENS = 8
WARM_UPS = 2
"""Repetitions that do not count: the process's first answer, and one more."""

OnStep = Callable[[Repetition | None], None]
"""Told of each repetition; None for one that warmed up."""


def observe_point(
    request: Request,
    *,
    prepare: Callable[[], None],
    open_engine: Callable[[], OpenEngine],
    on_step: OnStep,
) -> Observation:
    """Measure one point in this process, which should be a fresh one.

    Args:
        request: What is measured.
        prepare: Imports what the engine needs; timed apart.
        open_engine: Opens it; `load_s` is how long that takes.
        on_step: Told of each repetition, warming ones too.

    Raises:
        UserError: If the image cannot be shown, the question does not fit the model, or the
            model is damaged.
    """
    image = Path(request.image)
    start = time.perf_counter()
    prepare()
    # Codecs are imported when the first image needs them: that is no model's time.
    read_image(image)
    import_s = time.perf_counter() - start
    watch = Watch()
    watch.start()
    start = time.perf_counter()
    opened = open_engine()
    load_s = time.perf_counter() - start
    with closing(EnergyGauge(on_gpu=opened.on_gpu)) as energy:
        measured = _measure(opened, request, energy, on_step)
    load = watch.stop()
    engine, static = opened.engine, opened.static
    return Observation(
        model=engine.model,
        engine=engine.name,
        device=opened.device,
        threads=engine.num_threads,
        weights_sha256=engine.weights_digest,
        prompt_tokens=measured.prompt_tokens,
        questions=measured.questions,
        opened=Opened(
            import_s=import_s, load_s=load_s, first_token_cold_ms=measured.first_token_cold_ms
        ),
        repetitions=measured.repetitions,
        levels=measured.levels,
        meanwhile=Meanwhile(
            used_by_others=load.used_by_others, stolen=load.stolen, throttled=load.throttled
        ),
        counter=energy.name,
        static_mib=None if static is None else static.parameters / 2**20,
        static_with_scales_mib=None if static is None else static.all / 2**20,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """What an open engine was seen to do."""

    first_token_cold_ms: float
    prompt_tokens: int
    questions: Questions
    repetitions: tuple[Repetition, ...]
    levels: Levels


def _measure(
    opened: OpenEngine, request: Request, energy: EnergyGauge, on_step: OnStep
) -> _Measured:
    """The first answer, warming up, and the repetitions that count."""
    engine, image = opened.engine, Path(request.image)
    memory = MemoryGauges(on_gpu=opened.on_gpu)
    gauges = Gauges(
        begin_peak=memory.begin_peak, peak_mib=memory.peak_mib, joules=energy.read_joules
    )
    seen, cold_ms = _first_answer(engine, image, request.question)
    on_step(None)
    asked = _questions(engine, seen, request.question)
    prompt_tokens = opened.count_prompt(seen.encoded, asked.first)
    del seen  # its cache would lie beside those of later images
    repeat(engine, image, asked, turn=1, gauges=gauges)
    on_step(None)
    resting = memory.resting()
    repetitions = []
    for turn in range(WARM_UPS, WARM_UPS + request.runs):
        repetitions.append(repeat(engine, image, asked, turn=turn, gauges=gauges))
        on_step(repetitions[-1])
    return _Measured(
        first_token_cold_ms=cold_ms,
        prompt_tokens=prompt_tokens,
        questions=asked,
        repetitions=tuple(repetitions),
        levels=memory.levels(resting),
    )


def _first_answer(engine: Engine, image: Path, question: str) -> tuple[Seen, float]:
    """The process's first answer: the image as read, and ms from its file to the first token."""
    seen = see(engine, image, turn=0)
    _, answer_ms = timed_answer(engine, seen.encoded, question, tokens=1)
    return seen, seen.total_ms + answer_ms


def _questions(engine: Engine, seen: Seen, first: str) -> Questions:
    """What to ask in each repetition: of the questions tried, the one answered at most length."""
    longest, most = first, 0
    for question in (first, *LONGER_QUESTIONS):
        answer, _ = timed_answer(engine, seen.encoded, question, tokens=LONGEST_ANSWER)
        if answer.num_tokens > most:
            longest, most = question, answer.num_tokens
        if most >= ENOUGH_TOKENS:
            break
    return Questions(first=first, second=SECOND_QUESTION, longer=longest)
