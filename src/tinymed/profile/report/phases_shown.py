"""Where the time of an answer goes: its phases as bars, one plot a model."""

from __future__ import annotations

from collections.abc import Sequence

from tinymed.pages.bars import Bar, BarPlot, draw_bars
from tinymed.pages.document import Figure, Plots, Section
from tinymed.profile.pareto.costs import said
from tinymed.profile.pareto.join import Named
from tinymed.profile.point import PHASES, Point
from tinymed.profile.report.names import marks

PHASE_TITLES = {
    "image_decode_ms": "image decode",
    "preprocess_ms": "preprocess",
    "vision_ms": "vision encoder",
    "image_prefill_ms": "image prefill",
    "question_prefill_ms": "question prefill",
    "decode_token_ms": "decode",
}


def phases_section(points: Sequence[Named]) -> Section | None:
    """The phases of every point; None where nothing was timed."""
    models = dict.fromkeys(one.point.model for one in points if any(pieces_ms(one.point)))
    figures = [
        _figure(model, [one for one in points if one.point.model == model]) for model in models
    ]
    if not figures:
        return None
    return Section(
        id="phases", title="Where the time goes", blocks=(Plots(figures=tuple(figures)),)
    )


def pieces_ms(point: Point) -> tuple[float, ...]:
    """Milliseconds of each phase of a whole answer, 0 for what could not be timed.

    Decoding is that of one token times the tokens after the first.
    """
    pieces = []
    for name in PHASES:
        found = point.figures.get(name)
        times = max(0, point.answer_tokens - 1) if name == "decode_token_ms" else 1
        pieces.append(0.0 if found is None else found.median * times)
    return tuple(pieces)


def _figure(model: str, points: Sequence[Named]) -> Figure:
    timed = sorted(
        (one for one in points if any(pieces_ms(one.point))),
        key=lambda one: sum(pieces_ms(one.point)),
    )
    bars = tuple(
        Bar(
            label=one.name.partition(":")[2] or one.name,
            pieces=pieces_ms(one.point),
            total="; ".join([said(sum(pieces_ms(one.point)), "ms"), *marks(one.point)]),
        )
        for one in timed
    )
    fastest, slowest = timed[0], timed[-1]
    description = (
        f"Quickest {fastest.name}, {said(sum(pieces_ms(fastest.point)), 'ms')}; slowest "
        f"{slowest.name}, {said(sum(pieces_ms(slowest.point)), 'ms')}."
    )
    tokens = sorted({one.point.answer_tokens for one in timed})
    length = f"{tokens[0]}" if len(tokens) == 1 else f"{tokens[0]} to {tokens[-1]}"
    return Figure(
        name=f"phases-{model}",
        caption=f"{model}: medians of each phase, one after the other, up to the last of {length} "
        "tokens; decode is the time of one token times the tokens after the first.",
        description=description,
        svg=draw_bars(
            BarPlot(
                title=f"Phases of an answer: {model}",
                description=description,
                axis="ms since the image file's bytes",
                names=tuple(PHASE_TITLES[name] for name in PHASES),
                bars=bars,
            )
        ),
    )
