"""Predictions find their samples by id, or are refused."""

from __future__ import annotations

import pytest

from tinymed.errors import DataError
from tinymed.evaluate.pairing import pair
from tinymed.records import Prediction, Sample


def samples(*ids: str) -> list[Sample]:
    return [Sample(id=id_, question="?", reference="yes", answer_type="closed") for id_ in ids]


def predictions(*ids: str) -> list[Prediction]:
    return [Prediction(id=id_, text=f"to {id_}") for id_ in ids]


def test_order_does_not_matter() -> None:
    pairs = pair(samples("a", "b", "c"), predictions("c", "a", "b"))
    assert [(one.sample.id, one.prediction.text) for one in pairs] == [
        ("a", "to a"),
        ("b", "to b"),
        ("c", "to c"),
    ]


def test_nothing_pairs_with_nothing() -> None:
    assert pair([], []) == []


@pytest.mark.parametrize(
    ("asked", "answered", "message"),
    [
        ("ab", "a", r"1 sample has no prediction \('b'\)\."),
        ("abcde", "a", r"4 samples have no prediction \('b', 'c', 'd', …\)\."),
        ("a", "ab", r"1 prediction answers no sample \('b'\)\."),
        ("a", "abcdef", r"5 predictions answer no sample \('b', 'c', 'd', …\)\."),
        ("ab", "aba", r"1 id is predicted more than once \('a'\)\."),
        ("abc", "abcabc", r"3 ids are predicted more than once \('a', 'b', 'c'\)\."),
        ("aab", "ab", r"1 sample id stands more than once \('a'\)\."),
        ("ab", "ac", r"1 sample has no prediction \('b'\); 1 prediction answers no sample"),
    ],
)
def test_a_mismatch_is_refused_and_names_the_first_three(
    asked: str, answered: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        pair(samples(*asked), predictions(*answered))
