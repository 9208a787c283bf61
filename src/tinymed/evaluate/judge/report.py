"""What a judge found, as `judge.json` and as a table.

`judge.json`:

    {
      "notice": …,
      "run": {…},                      what run.json says
      "num_samples": 193,
      "num_without_context": 0,        the judge had the reference alone to go by
      "groups": [                      types, domains, then overall
        {
          "group_kind": "type" | "domain" | "overall",
          "group": "conversation",
          "num_samples": 143,
          "num_unparsed": 0,           of the published order, as the five figures below
          "reference_score": 8.7,      mean on the judge's scale of 0 to 10; null if all unparsed
          "prediction_score": 5.5,
          "relative_score_percent": 62.0,      mean of ratios, the published figure
          "interval_percent": [54.1, 69.8],    95 %; null for one cluster only
          "ratio_of_means_percent": 63.1,
          "swapped": {the same six} | null,    prediction read first
          "both_orders": {the same six} | null
        }
      ],
      "order": {"num_compared", "position_bias_points", "interval_points",
                "num_verdict_differs", "num_verdict_reversed"} | null,
      "unparsed": [{"id", "order", "reason"}],
      "usage": {"models", "num_replies", "num_reminded", "num_refused", "num_cut",
                "num_published_parser_reads", "prompt_tokens", "completion_tokens",
                "num_without_usage", "median_latency_ms", "price"}
    }
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tinymed.evaluate.judge.aggregate import Figures, Group, OrderEffect
from tinymed.evaluate.judge.parse import Order
from tinymed.records import NOTICE

_HEADINGS = {
    "conversation": "Conversation",
    "detailed_description": "Description",
    "chest_xray": "CXR",
    "mri": "MRI",
    "histology": "Histology",
    "gross": "Gross",
    "ct_scan": "CT",
    "overall": "Overall",
}
_NUM_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class UnparsedReply:
    """A sample that got no score in one order, and why."""

    id: str
    order: Order
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the replies took."""

    models: tuple[str, ...]
    """Names the server gave itself, each once."""
    num_replies: int
    num_reminded: int
    """Second requests, each after a reply without scores."""
    num_refused: int
    """Requests the server would not take."""
    num_cut: int
    """Replies that ended at the longest length allowed."""
    num_published_parser_reads: int
    """First replies that the published evaluation could have read."""
    prompt_tokens: int
    completion_tokens: int
    num_without_usage: int
    """Replies whose tokens the server did not count; they count as 0 above."""
    median_latency_ms: float | None
    price: float | None
    """By the server's own count of tokens; None without prices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeReport:
    """All of it."""

    run: Mapping[str, Any]
    num_samples: int
    num_without_context: int
    """Samples about which the judge had the reference alone to go by."""
    groups: Sequence[Group]
    order: OrderEffect | None
    unparsed: Sequence[UnparsedReply]
    usage: Usage


def judge_json(report: JudgeReport) -> dict[str, Any]:
    """A report as `judge.json` holds it."""
    return {
        "notice": NOTICE,
        "run": dict(report.run),
        "num_samples": report.num_samples,
        "num_without_context": report.num_without_context,
        "groups": [_group_json(group) for group in report.groups],
        "order": None if report.order is None else asdict(report.order),
        "unparsed": [asdict(one) for one in report.unparsed],
        "usage": asdict(report.usage),
    }


def _group_json(group: Group) -> dict[str, Any]:
    return {
        "group_kind": group.kind,
        "group": group.name,
        "num_samples": group.num_samples,
        **asdict(group.published),
        "swapped": None if group.swapped is None else asdict(group.swapped),
        "both_orders": None if group.both is None else asdict(group.both),
    }


def judge_text(report: JudgeReport) -> str:
    """A report as text: a column a group, and what a reader must know to believe it."""
    run, usage = report.run, report.usage
    first = "" if run["limit"] is None else f", the first {run['limit']} only"
    models = f" (answered as {', '.join(usage.models)})" if usage.models else ""
    lines = [
        _table(report.groups),
        "",
        *_order_lines(report.order),
        *_unparsed_lines(report.unparsed),
        (
            f"Judge {run['judge_model']}{models} at {run['url']}, "
            f"temperature {run['temperature']:g}; {run['predictions']} on {run['samples']} "
            f"(sha256 {run['samples_sha256'][:12]}){first}; {report.num_samples} samples, "
            f"{report.num_without_context} of them without a context for the judge."
        ),
        _usage_line(usage),
        "Judges differ: compare only figures that the same judge gave.",
        NOTICE,
    ]
    return "\n".join(lines)


def _table(groups: Sequence[Group]) -> str:
    rows: list[list[str]] = [["", *(_HEADINGS.get(group.name, group.name) for group in groups)]]
    rows.append(["n", *(str(group.num_samples) for group in groups)])
    orders: list[tuple[str, list[Figures | None]]] = [
        ("answer second (as published)", [*(group.published for group in groups)]),
        ("answer first", [group.swapped for group in groups]),
        ("mean of both orders", [group.both for group in groups]),
    ]
    for title, figures in orders:
        found = [one for one in figures if one is not None]
        if len(found) == len(groups):
            rows += _rows(title, found)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0])]
            + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        ).rstrip()
        for row in rows
    )


def _rows(title: str, figures: Sequence[Figures]) -> list[list[str]]:
    blank = [""] * len(figures)
    return [
        [f"{title}:", *blank],
        ["  % of reference's score", *(_number(one.relative_score_percent) for one in figures)],
        ["  95 % interval", *(_interval(one.interval_percent) for one in figures)],
        ["  ratio of means, %", *(_number(one.ratio_of_means_percent) for one in figures)],
        ["  reference's score", *(_number(one.reference_score, digits=2) for one in figures)],
        ["  answer's score", *(_number(one.prediction_score, digits=2) for one in figures)],
        ["  unparsed", *(str(one.num_unparsed) for one in figures)],
    ]


def _number(value: float | None, *, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _interval(interval: tuple[float, float] | None) -> str:
    return "-" if interval is None else f"[{interval[0]:.1f}, {interval[1]:.1f}]"


def _order_lines(order: OrderEffect | None) -> list[str]:
    if order is None:
        return ["Asked in the published order only: how much the order decides is not known."]
    if order.position_bias_points is None:
        return ["No sample has scores in both orders: how much the order decides is not known."]
    low_high = (
        ""
        if order.interval_points is None
        else f" [{order.interval_points[0]:+.2f}, {order.interval_points[1]:+.2f}]"
    )
    return [
        (
            f"Order: being read first changes a score by {order.position_bias_points:+.2f} points"
            f"{low_high}; in {order.num_verdict_differs} of {order.num_compared} samples the two "
            "orders do not agree which answer is better, "
            f"in {order.num_verdict_reversed} of them each prefers another."
        )
    ]


def _unparsed_lines(unparsed: Sequence[UnparsedReply]) -> list[str]:
    if not unparsed:
        return []
    named = "; ".join(f"'{one.id}': {one.reason}" for one in unparsed[:_NUM_NAMED])
    more = "; …" if len(unparsed) > _NUM_NAMED else ""
    return [f"Unparsed, and in no mean: {len(unparsed)} ({named}{more})."]


def _usage_line(usage: Usage) -> str:
    latency = (
        ""
        if usage.median_latency_ms is None
        else f", {usage.median_latency_ms / 1000:.1f} s each in the middle"
    )
    uncounted = f" ({usage.num_without_usage} replies uncounted)" if usage.num_without_usage else ""
    price = "" if usage.price is None else f" At your prices {usage.price:,.2f}."
    return (
        f"{usage.num_replies} replies{latency}: {usage.num_reminded} to a second request, "
        f"{usage.num_cut} cut at the longest length, {usage.num_refused} refused; "
        f"{usage.prompt_tokens:,} prompt and {usage.completion_tokens:,} completion tokens"
        f"{uncounted}. The published parser could have read "
        f"{usage.num_published_parser_reads} of the first replies.{price}"
    )
