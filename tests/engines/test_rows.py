from __future__ import annotations

import pytest

from tinymed.engines.protocol import Answer
from tinymed.engines.rows import TOKENS_AT_ONCE, answer_in_rounds, padded, rows_of


def test_a_token_sees_what_was_cached_and_its_own_question_up_to_itself() -> None:
    rows = rows_of([3, 1], num_cached=2)
    assert rows.positions.tolist() == [[2, 3, 4]] * 2
    assert rows.last.tolist() == [2, 0]
    assert rows.visible.shape == (2, 1, 3, 5)
    assert rows.visible[0, 0].astype(int).tolist() == [
        [1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 1, 1, 1],
    ]
    assert rows.visible[1, 0, 0].tolist() == [True, True, True, False, False]


def test_a_decoded_token_continues_its_own_text_and_sees_no_padding() -> None:
    rows = rows_of([3, 1, 2], num_cached=2).following([0, 1]).following([1])
    assert rows.positions.tolist() == [[4]]
    assert rows.last.tolist() == [0]
    assert rows.visible[0, 0, 0].astype(int).tolist() == [1, 1, 1, 0, 0, 1, 1]


@pytest.mark.parametrize("lengths", [[5], [20] * 60, [600, 3, 500, 3], [9, 400, 40, 11, 8] * 9])
def test_rounds_answer_each_question_once_within_the_bound(lengths: list[int]) -> None:
    questions = [[index] * length for index, length in enumerate(lengths)]
    sizes: list[tuple[int, int]] = []

    def answer(together: list[list[int]]) -> list[Answer]:
        sizes.append(padded(together).shape)
        return [
            Answer(text=str(ids[0]), confidence=1.0, num_tokens=1, prefill_ms=0.0, decode_ms=0.0)
            for ids in together
        ]

    answers = answer_in_rounds(questions, answer)
    assert [answer.text for answer in answers] == [str(index) for index in range(len(lengths))]
    assert all(number * tokens <= TOKENS_AT_ONCE for number, tokens in sizes if number > 1)
    assert len(sizes) <= 1 + sum(lengths) * 2 // TOKENS_AT_ONCE + 2
