"""A profile as text for a terminal: measured beside predicted, and what to believe of it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from tinymed.pages.aligned import aligned
from tinymed.profile.point import FIGURES, PHASES, Conditions, Energy, Measurement, Memory, Point
from tinymed.profile.run.run import Profile

_WIDTH = 100
_WHOLE = tuple(name for name in FIGURES if name not in PHASES)
_TITLES = {
    "image_decode_ms": "image decode, ms",
    "preprocess_ms": "preprocess, ms",
    "vision_ms": "vision encode, ms",
    "image_prefill_ms": "image prefill, ms",
    "question_prefill_ms": "question prefill, ms",
    "decode_token_ms": "each decoded token, ms",
    "load_s": "load, s",
    "first_token_cold_ms": "first token, cold, ms",
    "first_token_ms": "first token, ms",
    "second_question_ms": "second question, ms",
    "answer_ms": "whole answer, ms",
    "decode_tokens_per_s": "decode, tokens/s",
}
_MEMORY = {
    "disk": ("on disk", "disk_mib"),
    "static": ("static, as published", "static_mib"),
    "static_with_scales": ("static with scales", None),
    "resident": ("resident", None),
    "proportional": ("proportional", None),
    "anonymous": ("anonymous", None),
    "dynamic": ("dynamic, as published", None),
    "above_static": ("dynamic above static", None),
    "peak": ("peak", "peak_mib"),
    "gpu_allocated": ("GPU allocated", None),
    "gpu_reserved": ("GPU reserved", None),
    "gpu_driver": ("GPU, by its driver", None),
}
"""Fields of Memory, what they are called, and the prediction beside each."""
_PARITY = {
    "passed": "the parity gate passed it",
    "failed": "THE PARITY GATE FAILED IT",
    "unseen": "the parity gate has not seen it",
    "none": "no build",
}


def profile_text(profile: Profile) -> str:
    """A profile as text: each point's tables, and what it was measured on."""
    return "\n\n".join([*map(point_text, profile.points), _machine(profile)])


def point_text(point: Point) -> str:
    """One point: its times, memory and energy beside what the plan had said."""
    random = "; random weights of its shape" if point.is_random else ""
    head = f"{point.engine}, {point.device}, {point.threads} threads; {_PARITY[point.parity]}"
    tokens = (
        f"{point.image_tokens} image tokens, {point.prompt_tokens} tokens of prompt, "
        f"{point.answer_tokens} of the answer"
    )
    lines = [
        _wrapped(f"{point.name}: {head}{random}"),
        _wrapped(f"{point.image}; {tokens}"),
        "",
        _times_table(point),
        "",
        _memory_table(point.memory, point.predicted),
        "",
        _energy(point.energy),
        _wrapped(_meanwhile(point.conditions)),
        *(["BUSY: the machine was not quiet enough."] if point.conditions.is_busy else []),
        *map(_wrapped, point.notes),
    ]
    return "\n".join(lines)


def _meanwhile(conditions: Conditions) -> str:
    throttled = {None: "not told", True: "yes", False: "no"}[conditions.throttled]
    widest = _TITLES[conditions.widest_figure].removesuffix(", ms")
    return (
        f"Meanwhile: other programs used {_percent(conditions.used_by_others)} of the processors, "
        f"the hypervisor kept {_percent(conditions.stolen)}; slowed down for heat: {throttled}; "
        f"widest spread {conditions.widest_spread:.0%} ({widest})."
    )


def _times_table(point: Point) -> str:
    rows = [["", "median", "p95", "runs", "predicted", "error"]]
    rows += [_times_row(name, point) for name in PHASES]
    rows.append([""] * len(rows[0]))
    rows += [_times_row(name, point) for name in _WHOLE]
    return "\n".join(aligned(rows))


def _times_row(name: str, point: Point) -> list[str]:
    measured, predicted = point.figures.get(name), point.predicted.get(name)
    if measured is None:
        return [_TITLES[name], "not timed", "", "", _number(predicted), ""]
    return [
        _TITLES[name],
        _number(measured.median),
        _number(measured.p95) if measured.num_runs > 1 else "",
        str(measured.num_runs),
        _number(predicted),
        _error(predicted, measured.median),
    ]


def _memory_table(memory: Memory, predicted: Mapping[str, float]) -> str:
    rows = [["memory, MiB", "measured", "predicted", "error"]]
    for field, (title, key) in _MEMORY.items():
        value = getattr(memory, field)
        if value is None and field.startswith("gpu_"):
            continue
        plan = predicted.get(key) if key else None
        measured = "not available" if value is None else f"{value:.1f}"
        rows.append([title, measured, "" if plan is None else f"{plan:.1f}", _error(plan, value)])
    return "\n".join(aligned(rows))


def _energy(energy: Energy | None) -> str:
    if energy is None:
        return "Energy: not available: no counter can be read."
    joules: Measurement = energy.joules_per_answer
    return (
        f"Energy: {_number(joules.median)} J an answer (p95 {_number(joules.p95)}, "
        f"{joules.num_runs} runs), {energy.watts:.1f} W, by {energy.counter}."
    )


def _machine(profile: Profile) -> str:
    machine, versions = profile.run["machine"], profile.run["versions"]
    has = [*machine["instructions"], *machine["gpus"]]
    return _wrapped(
        f"Measured on: {machine['processor']} ({', '.join(has)}), {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB; {machine['system']}; tinymed {versions['tinymed']}."
    )


def _wrapped(text: str) -> str:
    """Lines of a terminal's width; a line that goes on is set in."""
    return textwrap.fill(text, width=_WIDTH, subsequent_indent="  ", break_long_words=False)


def _number(value: float | None) -> str:
    """Three digits that count, and no point where whole numbers say enough.

    >>> _number(1234.5), _number(12.345), _number(0.5), _number(None)
    ('1234', '12.3', '0.50', '')
    """
    if value is None:
        return ""
    decimals = 0 if value >= 100 else 1 if value >= 10 else 2  # noqa: PLR2004
    return f"{value:.{decimals}f}"


def _error(predicted: float | None, measured: float | None) -> str:
    """How far the prediction is off, of what was measured.

    >>> _error(110.0, 100.0), _error(99.9, 100.0), _error(None, 100.0)
    ('+10 %', '+0 %', '')
    """
    if predicted is None or not measured:
        return ""
    return f"{round(100 * (predicted - measured) / measured):+d} %"


def _percent(share: float | None) -> str:
    return "(not told)" if share is None else f"{share:.0%}"
