"""What the samples share with the train samples, as a section."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tinymed.evaluate.report.facts import fact_tables, list_table, words
from tinymed.evaluate.report.figures import percent
from tinymed.pages.document import (
    Block,
    Cell,
    Column,
    Row,
    RowGroup,
    Section,
    Table,
    Text,
)

_LABELS = {
    "same_file": "the very same image file",
    "near_image": "an image that looks the same",
    "same_question": "the same question, about any image",
    "same_image_and_question": "the same image and the same question",
    "same_image_question_and_answer": "the same image, question and answer",
}
_EXAMPLES_OF_A_KIND = 2
_TOTALS = ("num_samples", "num_train")


def leakage_section(
    leakage: Mapping[str, Any] | None, *, questions: Mapping[str, str] | None = None
) -> Section:
    """Counts with their share of the samples, examples, then whatever else was found out.

    Args:
        leakage: As scores.json holds it; None where it was not looked for.
        questions: The question of each sample by its id, to be shown with the examples.
    """
    title = "What the test shares with the training data"
    if leakage is None:
        nothing = (
            "Not checked in this run; `tinymed evaluate run` checks it where --train is given."
        )
        return Section(id="leakage", title=title, blocks=(Text(paragraphs=(nothing,)),))
    counts = {key: value for key, value in leakage.items() if _is_shared(key, value)}
    blocks: list[Block] = [_counts_table(leakage, counts)] if counts else []
    examples = leakage.get("examples")
    rows = list(_examples(examples, questions or {})) if isinstance(examples, Mapping) else examples
    if isinstance(rows, list) and rows:
        blocks.append(list_table(rows, "Examples: a sample and a train sample"))
    shown = {*counts, *_TOTALS, "examples"}
    rest = {key: value for key, value in leakage.items() if key not in shown}
    blocks += fact_tables(rest, caption="How it was looked for")
    return Section(id="leakage", title=title, blocks=tuple(blocks))


def _is_shared(key: str, value: object) -> bool:
    return not key.startswith("num_") and isinstance(value, int) and not isinstance(value, bool)


def _examples(
    examples: Mapping[str, Any], questions: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """The first two of each kind: enough to look one up."""
    for kind, found in examples.items():
        for example in found[:_EXAMPLES_OF_A_KIND] if isinstance(found, list) else ():
            if isinstance(example, Mapping):
                question = questions.get(str(example.get("sample")))
                asked = {} if question is None else {"question": question}
                yield {"shared": _LABELS.get(kind, words(kind)), **example, **asked}


def _counts_table(leakage: Mapping[str, Any], counts: Mapping[str, int]) -> Table:
    num_samples, num_train = (leakage.get(key) for key in _TOTALS)
    share_of = num_samples if isinstance(num_samples, int) and num_samples > 0 else None
    rows = tuple(
        Row(
            cells=(
                Cell(text=_LABELS.get(key, words(key))),
                Cell(text=str(count)),
                Cell(text="–" if share_of is None else f"{percent(count / share_of)} %"),
            )
        )
        for key, count in counts.items()
    )
    of = "" if num_samples is None else f" {num_samples}"
    train = "" if num_train is None else f" {num_train}"
    return Table(
        caption=f"How many of the{of} samples share something with the{train} train samples",
        columns=(
            Column(title="shared", kind="text"),
            Column(title="samples"),
            Column(title="share"),
        ),
        groups=(RowGroup(rows=rows),),
    )
