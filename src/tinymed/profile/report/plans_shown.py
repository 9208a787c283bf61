"""Planned figures: what models would take on devices, before any download."""

from __future__ import annotations

from collections.abc import Sequence

from tinymed.pages.document import Cell, Column, Row, RowGroup, Section, Table
from tinymed.profile.pareto.costs import said
from tinymed.profile.plan.plan import Plan

_REMARK = (
    "Planned from the configuration alone, not measured. Usable: memory of the device that a "
    "program may take. Static: parameters and buffers, without scales."
)
_MIB = 2**20


def plans_section(plans: Sequence[Plan]) -> Section | None:
    """Plans by model; None where there are none."""
    if not plans:
        return None
    models = dict.fromkeys(plan.model for plan in plans)
    return Section(
        id="plans",
        title="Planned, not measured",
        blocks=tuple(
            _table(model, [plan for plan in plans if plan.model == model]) for model in models
        ),
    )


def _table(model: str, plans: Sequence[Plan]) -> Table:
    devices = dict.fromkeys(plan.device for plan in plans)
    titles = ("static", "peak", "usable", "disk", "first token", "second question", "tokens/s")
    groups = tuple(
        RowGroup(
            title=device,
            rows=tuple(_row(plan) for plan in plans if plan.device == device),
        )
        for device in devices
    )
    return Table(
        caption=f"{model}: what it would take",
        columns=(
            Column(title="Scheme", kind="text"),
            Column(title="verdict", kind="text"),
            *(Column(title=title) for title in titles),
        ),
        groups=groups,
        remarks=(_REMARK, *_said_once(plans)),
    )


def _said_once(plans: Sequence[Plan]) -> list[str]:
    """What speeds are taken from, each behind its schemes, and the plans' own remarks."""
    schemes: dict[str, dict[str, None]] = {}
    for plan in plans:
        if plan.speed is not None:
            schemes.setdefault(plan.speed.basis, {})[plan.scheme] = None
    bases = [f"Speed of {', '.join(names)}: {basis}" for basis, names in schemes.items()]
    return list(dict.fromkeys([*bases, *(remark for plan in plans for remark in plan.remarks)]))


def _row(plan: Plan) -> Row:
    memory, speed = plan.memory, plan.speed
    sizes = (memory.static_bytes, memory.peak_bytes, plan.usable_bytes, memory.disk_bytes)
    times = (
        ("–", "–", "–")
        if speed is None
        else (
            said(1000 * speed.first_token_s, "ms"),
            said(1000 * speed.second_question_s, "ms"),
            f"{speed.decode_tokens_per_s:.1f}",
        )
    )
    return Row(
        cells=(
            Cell(text=plan.scheme),
            Cell(
                text=plan.verdict,
                detail=f"instead: {plan.instead}" if plan.instead else "",
                is_strong=plan.verdict == "fits",
            ),
            *(Cell(text=said(size / _MIB, "MiB")) for size in sizes),
            *(Cell(text=text) for text in times),
        )
    )
