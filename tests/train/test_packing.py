"""Several questions about one image in one sequence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.tiny import tiny_tokenizer

from tinymed.models.prompt import Prompt, build_prompt
from tinymed.records import Sample
from tinymed.train.packing import IGNORED, batches, collate, group_by_image, pack


@pytest.fixture
def prompt(tmp_path: Path) -> Prompt:
    return build_prompt(tiny_tokenizer(tmp_path))


def sample(number: int, image: str = "a.png", answer: str = "yes") -> Sample:
    return Sample(
        id=str(number),
        question=f"question {number}?",
        reference=answer,
        answer_type="closed",
        image=Path("/images") / image,
    )


def test_labels_are_the_next_tokens_of_answers_and_nothing_else(prompt: Prompt) -> None:
    row = pack("a", [sample(1), sample(2, answer="no")], prompt, num_image_tokens=4)
    predicted = [int(label) for label in row.labels if label != IGNORED]
    assert predicted == [*prompt.answer_ids("yes"), *prompt.answer_ids("no")]
    for index in np.flatnonzero(row.labels[:-1] != IGNORED):
        if row.labels[index] != prompt.end_id:
            assert row.token_ids[index + 1] == row.labels[index]


def test_positions_restart_after_the_image_for_each_question(prompt: Prompt) -> None:
    row = pack("a", [sample(1), sample(2)], prompt, num_image_tokens=4)
    start = len(prompt.prefix_ids) + 4
    for block in (1, 2):
        inside = row.positions[row.blocks == block]
        assert inside.tolist() == list(range(start, start + len(inside)))


def test_a_question_sees_the_image_and_itself_and_no_other_question(prompt: Prompt) -> None:
    row = pack("a", [sample(1), sample(2)], prompt, num_image_tokens=4)
    mask = collate([row], padding_id=0).mask[0, 0]
    first, second = (np.flatnonzero(row.blocks == block) for block in (1, 2))
    shared = np.flatnonzero(row.blocks == 0)
    assert mask[np.ix_(second, shared)].all()
    assert not mask[np.ix_(second, first)].any()
    assert not mask[np.ix_(shared, second)].any()
    assert not np.triu(mask, 1).any()


def test_padding_is_seen_by_no_token_of_a_sequence(prompt: Prompt) -> None:
    long = pack("a", [sample(1), sample(2)], prompt, num_image_tokens=4)
    short = pack("b", [sample(3)], prompt, num_image_tokens=4)
    batch = collate([long, short], padding_id=0)
    length = len(short.token_ids)
    assert not batch.mask[1, 0, :length, length:].any()
    assert (batch.labels[1, length:] == IGNORED).all()


def test_an_epoch_holds_every_sequence_once_and_resumes_in_the_same_order(prompt: Prompt) -> None:
    rows = [pack(str(i), [sample(i)], prompt, num_image_tokens=4) for i in range(21)]
    plan = batches(rows, size=4, seed=3, epoch=1)
    assert sorted(row.image for batch in plan for row in batch) == sorted(r.image for r in rows)
    again = batches(rows, size=4, seed=3, epoch=1)
    assert [[r.image for r in b] for b in plan] == [[r.image for r in b] for b in again]
    other = batches(rows, size=4, seed=3, epoch=2)
    assert [[r.image for r in b] for b in plan] != [[r.image for r in b] for b in other]


def test_questions_are_grouped_by_their_image_file() -> None:
    groups = group_by_image([sample(1), sample(2, "b.png"), sample(3)])
    assert [[s.id for s in group] for group in groups.values()] == [["1", "3"], ["2"]]
