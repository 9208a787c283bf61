"""The gate's verdict on a build, as kept beside it and as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tinymed.models.build import Build
from tinymed.quantize.accuracy import SampleParity
from tinymed.quantize.fixed_set import Case, cases_digest
from tinymed.quantize.gate import Comparison
from tinymed.quantize.machine import machine
from tinymed.quantize.observe import Observed
from tinymed.quantize.rules import MAX_ACCURACY_LOST, MIN_CLOSED_QUESTIONS
from tinymed.quantize.same_answers import Agreement
from tinymed.runs import environment

_NUM_EXAMPLES = 10
_COLUMNS = (
    "build",
    "reference",
    "same closed answers (95 %)",
    "image tokens, error",
    "logits, error",
    "closed accuracy, change",
    "verdict",
)
_PACKAGES = ("openvino", "torch", "transformers", "bitsandbytes", "xllamacpp", "numpy", "pillow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """All that was compared of a build."""

    build: Build
    cases: Sequence[Case]
    comparisons: Sequence[Comparison]
    """One for each number of threads that the build was run with, the usual one first."""
    samples: SampleParity | None = None
    """On a user's own samples, where there are any."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the build fails; empty if it passes."""
        return tuple(self._reasons())

    def _reasons(self) -> Iterator[str]:
        for place, found in enumerate(self.comparisons):
            where = f"with {found.build.num_threads} threads " if place else ""
            yield from (where + reason for reason in found.reasons)
        if self.samples is None:
            return
        closed, bound = self.samples.closed, self.comparisons[0].rules.min_same_closed
        enough = closed.num_questions >= MIN_CLOSED_QUESTIONS
        if enough and closed.share is not None and closed.share < bound:
            yield (
                f"it answers {closed.num_same} of {closed.num_questions} closed samples "
                f"({closed.share:.1%}) as the reference does, fewer than {bound:.0%}"
            )
        change = self.samples.change
        if change is not None and change.interval[1] < -MAX_ACCURACY_LOST:
            low, high = (100 * bound for bound in change.interval)
            yield (
                f"it loses closed accuracy on the samples: {low:+.1f} to {high:+.1f} points "
                f"(95 % interval), more than {100 * MAX_ACCURACY_LOST:.0f}"
            )


def parity_row(parity: Parity) -> dict[str, Any]:
    """The report as plain values, for `write_parity`."""
    first = parity.comparisons[0]
    return {
        "passed": not parity.reasons,
        "reasons": list(parity.reasons),
        "rules": {**asdict(first.rules), "max_error": dict(first.rules.max_error)},
        "model": parity.build.model,
        "scheme": parity.build.scheme,
        "precisions": {part.name: part.precision for part in parity.build.parts},
        "reference": _engine_row(first.reference),
        "cases": {
            "sha256": cases_digest(parity.cases),
            "num_images": len(parity.cases),
            "num_questions": sum(len(case.questions) for case in parity.cases),
        },
        "comparisons": [_comparison_row(found) for found in parity.comparisons],
        "samples": None if parity.samples is None else _samples_row(parity.samples),
        "versions": environment(*_PACKAGES),
        "machine": machine(),
    }


def _engine_row(observed: Observed) -> dict[str, Any]:
    return {
        "scheme": observed.scheme,
        "engine": observed.engine,
        "weights_sha256": observed.weights_digest,
        "threads": observed.num_threads,
        "prompt_template": observed.prompt_template,
    }


def _comparison_row(found: Comparison) -> dict[str, Any]:
    return {
        "threads": found.build.num_threads,
        "reasons": list(found.reasons),
        "stages": {stage.stage: asdict(stage) for stage in found.stages},
        "closed": _agreement_row(found.closed),
        "open": _agreement_row(found.open),
        "num_differing": len(found.differing),
        "differing": [asdict(one) for one in found.differing[:_NUM_EXAMPLES]],
    }


def _agreement_row(found: Agreement) -> dict[str, Any]:
    return {**asdict(found), "share": found.share}


def _samples_row(found: SampleParity) -> dict[str, Any]:
    return {
        **asdict(found),
        "closed": _agreement_row(found.closed),
        "open": _agreement_row(found.open),
    }


def parity_text(row: Mapping[str, Any]) -> str:
    """A report for the terminal, from what `parity_row` gives or `read_parity` reads."""
    lines = [f"{row['model']}:{row['scheme']} beside {row['reference']['scheme']}"]
    for found in row["comparisons"]:
        lines += ["", f"{found['threads']} threads", *_stage_lines(found["stages"])]
        lines += [_answers_line(kind, found[kind]) for kind in ("closed", "open")]
    if row["samples"] is not None:
        lines += ["", *_sample_lines(row["samples"])]
    lines += ["", f"{'passed' if row['passed'] else 'FAILED'} the rules for {row['rules']['name']}"]
    return "\n".join(lines + [f"  - {reason}" for reason in row["reasons"]])


def _stage_lines(stages: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield f"  {'':<20}{'error':>10}{'worst':>10}{'largest/range':>15}{'cosine':>10}"
    for name, stage in stages.items():
        words = f"  {name.replace('_', ' '):<20}"
        if stage["problem"]:
            yield words + stage["problem"]
            continue
        yield (
            f"{words}{stage['relative_error']:>10.2e}{stage['worst_relative_error']:>10.2e}"
            f"{stage['max_difference']:>15.2e}{stage['cosine']:>10.5f}"
        )


def _answers_line(kind: str, found: Mapping[str, Any], *, what: str = "questions") -> str:
    if not found["num_questions"]:
        return f"  no {kind} {what}"
    low, high = found["interval"]
    return (
        f"  {found['num_same']} of {found['num_questions']} {kind} {what} answered the same: "
        f"{found['share']:.1%} (95 % {low:.1%} to {high:.1%})"
    )


def _sample_lines(samples: Mapping[str, Any]) -> Iterator[str]:
    yield f"{samples['num_samples']} samples"
    for kind in ("closed", "open"):
        yield _answers_line(kind, samples[kind], what="samples")
    change = samples["change"]
    if change is not None:
        yield (
            f"  closed accuracy {change['reference']:.1%} → {change['other']:.1%}: "
            f"{_points(change)}; McNemar p {samples['test']['mid_p']:.2g}"
        )


def _points(change: Mapping[str, Any]) -> str:
    low, high = (100 * bound for bound in change["interval"])
    return f"{100 * change['value']:+.1f} points (95 % {low:+.1f} to {high:+.1f})"


def parity_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line of a Markdown table a report, for a model card."""
    head = f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}"
    return "\n".join([head, *map(_markdown_line, rows)])


def _markdown_line(row: Mapping[str, Any]) -> str:
    found = row["comparisons"][0]
    closed, samples = found["closed"], row["samples"] or {"change": None}
    low, high = closed["interval"]
    change = "not measured" if samples["change"] is None else _points(samples["change"])
    errors = [
        f"{found['stages'][name]['relative_error']:.2g}"
        if not found["stages"][name]["problem"]
        else found["stages"][name]["problem"]
        for name in ("image_tokens", "first_token_logits")
    ]
    return (
        f"| {row['scheme']} | {row['reference']['scheme']} | {closed['num_same']} of "
        f"{closed['num_questions']} ({low:.1%} to {high:.1%}) | {errors[0]} | {errors[1]} "
        f"| {change} | {'passed' if row['passed'] else 'failed'} |"
    )
