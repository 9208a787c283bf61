"""Plans for people: a table of several, every figure of one. GiB are 2**30 bytes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import groupby

from tinymed.models.schemes import PARTS
from tinymed.profile.plan.plan import MIB, PartPlan, Plan, SpeedPlan

_GIB = 2**30
_WIDTH = 98
_HEADINGS = (
    "scheme",
    "vision",
    "conn.",
    "lang.",
    "static",
    "peak",
    "disk",
    "first",
    "2nd",
    "tok/s",
    "verdict",
)
_LEGEND = (
    "GiB (2**30 bytes). vision, connector, language: weights with their scales; static: all "
    "without scales, as published figures count; peak: most the process holds, opening included; "
    "disk: the build. first, 2nd: seconds to the first token of the first question, and of another "
    "about the same image."
)


def plans_text(plans: Sequence[Plan]) -> str:
    """One plan in full, or a table a device."""
    if len(plans) == 1:
        return plan_text(plans[0])
    tables = [_table(list(some)) for _, some in groupby(plans, lambda plan: plan.device)]
    return "\n\n".join([*tables, _wrapped(_LEGEND)])


def plan_text(plan: Plan) -> str:
    """Everything that one plan says."""
    memory = plan.memory
    lines = [
        f"{plan.model}:{plan.scheme} on {plan.device} ({plan.engine} engine): {_verdict(plan)}",
        (
            f"  {plan.image_tokens} image tokens, {plan.prompt_tokens} with the question, "
            f"{plan.answer_tokens} of an answer"
        ),
        "",
        "weights            precision       millions        MiB     of which scales",
    ]
    lines += [_part_line(part) for part in memory.parts]
    rows = (
        ("program, libraries, context", memory.runtime_bytes),
        ("weights as they lie in memory", memory.weight_bytes),
        ("keys and values", memory.key_value_bytes),
        ("computed with at once, the image file read", memory.activation_bytes),
        ("for a moment while opening", memory.loading_bytes),
        ("peak: the first two, and the next two or the last", memory.peak_bytes),
        ("usable on the device", plan.usable_bytes),
        ("static, as published figures count it", memory.static_bytes),
        ("on disk", memory.disk_bytes),
        ("download", memory.download_bytes),
    )
    lines += ["", f"{'memory':<52} {'MiB':>9}"]
    lines += [f"  {name:<50} {_mib(value):>9}" for name, value in rows]
    if plan.speed is not None:
        lines += ["", *_speed_lines(plan.speed)]
    if plan.remarks:
        lines += ["", *(_wrapped(remark) for remark in plan.remarks)]
    return "\n".join(lines)


def _part_line(part: PartPlan) -> str:
    name, millions = part.name.replace("_", " "), part.num_weights / 1e6
    sizes = f"{_mib(part.num_bytes):>10} {_mib(part.scale_bytes):>19}"
    return f"  {name:<16} {part.precision:<11} {millions:>12,.1f} {sizes}"


def _speed_lines(speed: SpeedPlan) -> list[str]:
    rows = (
        ("reading the image's file", speed.image_s),
        ("vision encoder and connector", speed.vision_s),
        ("prompt up to the question", speed.image_prefill_s),
        ("question: to the first token of a second one", speed.question_prefill_s),
        ("to the first token of the first question", speed.first_token_s),
    )
    lines = [f"{'speed':<52} {'s':>9}"]
    lines += [f"  {name:<50} {_seconds(value):>9}" for name, value in rows]
    tokens = f"{speed.decode_tokens_per_s:.1f}"
    return [*lines, f"  {'each further token, a second':<50} {tokens:>9}", _wrapped(speed.basis)]


def _table(plans: Sequence[Plan]) -> str:
    first = plans[0]
    title = (
        f"{first.model} on {first.device}: {first.usable_bytes / _GIB:.1f} GiB usable, "
        f"{first.prompt_tokens} tokens asked ({first.image_tokens} of the image), "
        f"{first.answer_tokens} answered"
    )
    lines = [title, _row(_HEADINGS), *(_row(_cells(plan)) for plan in plans)]
    below = (
        [f"Where it does not fit, take: {', '.join(_instead(plans))}."] if _instead(plans) else []
    )
    below += _remarks(plans)
    return "\n".join([*lines, *(_wrapped(text) for text in below)])


def _remarks(plans: Sequence[Plan]) -> list[str]:
    """Each once, with the schemes that it is about where it is not about all."""
    about: dict[str, list[str]] = {}
    for plan in plans:
        for remark in plan.remarks:
            about.setdefault(remark, []).append(plan.scheme)
    return [
        text if len(schemes) == len(plans) else f"{', '.join(schemes)}: {text}"
        for text, schemes in about.items()
    ]


def _instead(plans: Sequence[Plan]) -> list[str]:
    return list(dict.fromkeys(plan.instead for plan in plans if plan.instead))


def _cells(plan: Plan) -> tuple[str, ...]:
    memory, speed = plan.memory, plan.speed
    sizes = {part.name: part.num_bytes for part in memory.parts}
    amounts = [*(sizes[name] for name in PARTS), memory.static_bytes, memory.peak_bytes]
    times = ("-", "-", "-")
    if speed is not None:
        times = (
            _seconds(speed.first_token_s),
            _seconds(speed.second_question_s),
            f"{speed.decode_tokens_per_s:.1f}",
        )
    gib = [f"{amount / _GIB:.2f}" for amount in (*amounts, memory.disk_bytes)]
    return (plan.scheme, *gib, *times, plan.verdict)


def _row(cells: Sequence[str]) -> str:
    name, *amounts, verdict = cells
    return f"  {name:<14}" + "".join(f"{cell:>7}" for cell in amounts) + f"  {verdict}"


def _verdict(plan: Plan) -> str:
    return f"{plan.verdict}, take {plan.instead}" if plan.instead else plan.verdict


def _mib(num_bytes: int) -> str:
    return f"{num_bytes / MIB:,.1f}"


def _seconds(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"  # noqa: PLR2004


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH, subsequent_indent="  ")
