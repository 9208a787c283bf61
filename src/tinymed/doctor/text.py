"""What the doctor found, as a page of text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tinymed.doctor.examine import Examination
from tinymed.doctor.fits import Fit
from tinymed.doctor.ingredient import Ingredient
from tinymed.doctor.layout import LABEL, NOT_TOLD, gib, labelled, table, wrapped
from tinymed.doctor.machine_text import machine_text

_FIGURES = (2, 4, 5, 6)
"""Columns of the table of models that are to be read as numbers."""


def examination_text(found: Examination) -> str:
    """Sections of aligned lines, at most 100 columns wide but for longer commands and paths."""
    sections = {
        "Engines": _ingredient_lines(found.engines),
        "Image files": _ingredient_lines(found.codecs),
        "Models here": _ingredient_lines(found.models),
        "Optional packages": _ingredient_lines(found.extras),
        "What runs here": _fit_lines(found),
    }
    told = ("\n".join([title, *lines]) for title, lines in sections.items())
    return "\n\n".join([machine_text(found.machine), *told])


def _ingredient_lines(ingredients: Iterable[Ingredient]) -> Iterator[str]:
    for one in ingredients:
        state = "yes" if one.is_here else "no"
        told = [one.version or "", one.purpose, one.note or ""]
        yield from labelled(one.name, f"{state:<3}  " + "; ".join(filter(None, told)), hanging=5)
        if one.get is not None:
            # Never broken: it is to be copied.
            yield f"  {'':{LABEL}}     get it: {one.get}"


def _fit_lines(found: Examination) -> Iterator[str]:
    head = ("model", "scheme", "peak memory", "", "first token", "next question", "tokens/s")
    yield from table([head, *map(_fit_cells, found.fits)], figures=_FIGURES)
    yield ""
    speed, when = found.planned_with, "measured just now"
    if speed.is_busy:
        when += " beside others' work"
    if speed != found.machine.speed:
        when = f"measured on {speed.measured_on}, when it was quiet"
    yield from wrapped(
        f"Foreseen from this machine's speed, {when}. One model in full: "
        "tinymed profile plan MODEL. Measured instead of foreseen: tinymed profile run MODEL."
    )
    for fit in found.fits:
        if fit.instead is not None:
            yield from wrapped(f"{fit.model} does not fit. Instead: {fit.instead}")
        if fit.get is not None:
            yield f"  {fit.model} in {fit.scheme} needs: {fit.get}"
    if not found.can_run:
        yield from wrapped("Nothing that tinymed knows can run here.")


def _fit_cells(fit: Fit) -> tuple[str, ...]:
    return (
        fit.model,
        fit.scheme,
        gib(fit.peak_bytes),
        fit.verdict,
        _seconds(fit.first_token_s),
        _seconds(fit.second_question_s),
        NOT_TOLD if fit.decode_tokens_per_s is None else f"{fit.decode_tokens_per_s:.1f}",
    )


def _seconds(value: float | None) -> str:
    return NOT_TOLD if value is None else f"{value:.2f} s"
