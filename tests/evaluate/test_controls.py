"""The controls see what they may see and nothing else."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tinymed.errors import DataError
from tinymed.evaluate.controls import (
    black_image,
    constant,
    nearest_question,
    question_only,
    shuffled_images,
)
from tinymed.images.prepare import Preprocessing, prepare
from tinymed.records import AnswerType, Sample


def sample(id_: str, question: str, reference: str, answer_type: AnswerType = "open") -> Sample:
    return Sample(id=id_, question=question, reference=reference, answer_type=answer_type)


TRAIN = [
    sample("1", "Is there a mass?", "No", "closed"),
    sample("2", "is there a MASS? ", "no", "closed"),
    sample("3", "Is there a mass?", "Yes", "closed"),
    sample("4", "Which organ?", "Lung"),
    sample("5", "Which plane?", "Axial"),
    sample("6", "Which plane is it?", "axial"),
]


@pytest.mark.parametrize(
    ("question", "answer_type", "answer"),
    [
        ("IS there a mass?", "open", "No"),
        ("Which organ?", "open", "Lung"),
        ("Which organ?", "closed", "Lung"),
        ("Where?", "open", "Axial"),
        ("Is it normal?", "closed", "No"),
    ],
)
def test_the_question_alone_gives_the_most_common_train_answer(
    question: str, answer_type: AnswerType, answer: str
) -> None:
    (prediction,) = question_only(TRAIN, [sample("q", question, "hidden", answer_type)])
    assert (prediction.id, prediction.text) == ("q", answer)


def test_an_answer_type_unknown_to_train_gets_the_most_common_answer_of_all() -> None:
    (prediction,) = question_only(TRAIN[3:], [sample("q", "Is it?", "", "closed")])
    assert prediction.text == "Axial"


def test_references_of_the_answered_samples_change_nothing() -> None:
    asked = [sample("a", "Is there a mass?", "Yes", "closed"), sample("b", "Where?", "Liver")]
    hidden = [dataclasses.replace(one, reference="hidden") for one in asked]
    assert question_only(TRAIN, asked) == question_only(TRAIN, hidden)


def test_no_train_samples_are_refused() -> None:
    with pytest.raises(DataError, match="at least one train sample"):
        question_only([], TRAIN)


def test_a_black_image_prepares_to_one_value_a_channel() -> None:
    pixels = prepare(black_image(size_px=32), Preprocessing(size_px=32))
    assert all(len(set(channel.ravel().tolist())) == 1 for channel in pixels)


def images(*groups: int) -> list[tuple[Path, str]]:
    return [
        (Path(f"{group}-{number}.png"), f"patient {group}")
        for group, size in enumerate(groups)
        for number in range(size)
    ]


@pytest.mark.parametrize("groups", [(1, 1), (1,) * 7, (1,) * 200, (3, 1), (2, 5, 1, 1), (9, 1)])
@pytest.mark.parametrize("seed", range(5))
def test_every_image_gives_way_to_one_of_another_group(groups: tuple[int, ...], seed: int) -> None:
    pairs = images(*groups)
    group_of = dict(pairs)
    exchanged = shuffled_images(pairs, seed=seed)
    assert set(exchanged) == set(group_of)
    assert all(group_of[image] != group_of[other] for image, other in exchanged.items())


def test_where_each_group_is_one_image_every_image_is_used_once() -> None:
    exchanged = shuffled_images(images(*(1,) * 50))
    assert sorted(exchanged.values()) == sorted(exchanged)


def test_repeated_images_count_once_and_the_same_seed_exchanges_the_same() -> None:
    pairs = images(*(1,) * 50)
    assert shuffled_images(pairs * 3, seed=4) == shuffled_images(pairs, seed=4)
    assert len({tuple(shuffled_images(pairs, seed=seed).items()) for seed in range(20)}) > 1


def test_images_of_one_group_cannot_be_exchanged() -> None:
    with pytest.raises(DataError, match="at least two groups"):
        shuffled_images(images(4))


def test_a_constant_answer_is_the_same_for_all() -> None:
    assert {one.text for one in constant(TRAIN, "Yes")} == {"Yes"}
    assert [one.id for one in constant(TRAIN, "Yes")] == [one.id for one in TRAIN]


def on_image(id_: str, question: str, reference: str, image: str, group: str = "") -> Sample:
    return dataclasses.replace(
        sample(id_, question, reference), image=Path(image) if image else None, group=group
    )


def test_the_nearest_question_is_one_about_the_same_image() -> None:
    train = [
        on_image("1", "Is there a mass in the lung?", "yes", "/a.png"),
        on_image("2", "Is there a mass?", "no", "/b.png"),
        on_image("3", "Where is the mass?", "left", "/a.png"),
        on_image("4", "Where is the mass exactly?", "right", "", "patient 7"),
    ]
    asked = [
        on_image("a", "Is there a mass?", "", "/a.png"),
        on_image("b", "WHERE is the mass", "", "/other/place.png", "patient 7"),
        on_image("c", "Where is the mass?", "", "/c.png"),
    ]
    assert [one.text for one in nearest_question(train, asked)] == ["yes", "right", ""]


def test_the_first_of_two_equally_near_questions_is_copied() -> None:
    train = [on_image("1", "a b", "first", "/a.png"), on_image("2", "b a", "second", "/a.png")]
    [answer] = nearest_question(train, [on_image("a", "a c", "", "/a.png")])
    assert answer.text == "first"


def test_without_a_common_image_there_is_no_nearest_question() -> None:
    with pytest.raises(DataError, match="needs images that the train samples hold"):
        nearest_question([on_image("1", "?", "", "/a.png")], [on_image("a", "?", "", "/b.png")])
