"""Which cases stay open, and whose are closed to make room."""

from __future__ import annotations

import pytest
from slow_desk import JsonDecoder, picture

from tinymed.serve.cases.cases import MAX_HISTORY, Case, Cases
from tinymed.serve.cases.stored_image import MAX_FRAME_BYTES, MAX_PICTURES, StoredImage
from tinymed.serve.desk.jobs import Picture
from tinymed.serve.desk.read_images import SHARE_OF_READ_IMAGES
from tinymed.serve.refusals import NoSuchCaseError
from tinymed.serve.settings import Limits

FRAME_BYTES = 16 * 24 * 5


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Office:
    def __init__(self, **limits: float) -> None:
        self.clock = Clock()
        self.forgotten: list[str] = []
        self.cases = Cases(
            Limits(**limits),  # type: ignore[arg-type]
            on_forgotten=self.forgotten.append,
            clock=self.clock,
        )

    def open(self, name: str, *, user: str = "ada") -> Case:
        body = picture(name)
        kept = self.cases.image(name)
        return self.cases.open(
            kept or StoredImage(name, body, JsonDecoder().decode(body)), user=user
        )

    def is_open(self, case: Case) -> bool:
        try:
            return self.cases.find(case.id, user=case.user) is case
        except NoSuchCaseError:
            return False


def test_the_case_used_longest_ago_makes_room() -> None:
    office = Office(max_cases=2)
    first, second = office.open("a"), office.open("b")
    office.cases.find(first.id, user="ada")
    third = office.open("c")
    assert [office.is_open(case) for case in (first, second, third)] == [True, False, True]
    assert office.forgotten == ["b"]


def test_nobody_pushes_out_anothers_case() -> None:
    office = Office(max_cases=3)
    clinician = office.open("a", user="clinician")
    robots = [office.open(f"r{number}", user="robot") for number in range(9)]
    assert office.is_open(clinician)
    assert [office.is_open(case) for case in robots] == [False] * 7 + [True] * 2


def test_nobody_pushes_out_anothers_case_by_few_large_images() -> None:
    office = Office(max_case_bytes=10 * FRAME_BYTES / (1 - SHARE_OF_READ_IMAGES))
    small = [office.open(f"c{number}", user="clinician") for number in range(4)]
    large = []
    for number in range(3):
        large.append(office.open(f"r{number}", user="robot"))
        large[-1].image.body = b"x" * 3 * FRAME_BYTES
        office.cases.make_room(keep=large[-1])
    assert [office.is_open(case) for case in small] == [True] * 4
    assert [office.is_open(case) for case in large] == [False, False, True]


def test_cases_are_closed_by_their_bytes() -> None:
    office = Office(max_case_bytes=2 * FRAME_BYTES / (1 - SHARE_OF_READ_IMAGES))
    cases = [office.open(name) for name in "abc"]
    assert office.cases.num_bytes() == 2 * FRAME_BYTES
    assert [office.is_open(case) for case in cases] == [False, True, True]
    shared = office.open("c", user="bo")
    assert office.cases.num_bytes() == 2 * FRAME_BYTES
    assert office.is_open(shared)


def test_one_image_larger_than_all_may_be_is_kept_alone() -> None:
    office = Office(max_case_bytes=1)
    first, second = office.open("a"), office.open("b")
    assert (office.is_open(first), office.is_open(second)) == (False, True)


def test_cases_nobody_touches_are_closed() -> None:
    office = Office(case_idle_s=10.0)
    first, second = office.open("a"), office.open("b")
    kept = office.open("c")
    office.cases.close(kept, keep_image=True)
    office.clock.now = 8.0
    office.cases.touch(second)
    office.clock.now = 11.0
    office.cases.sweep()
    assert (office.is_open(first), office.is_open(second)) == (False, True)
    assert office.forgotten == ["a", "c"]


def test_images_without_a_case_go_first_and_are_few() -> None:
    office = Office(max_cases=2)
    case = office.open("a")
    for name in "bcde":
        office.cases.close(office.open(name), keep_image=True)
    assert office.is_open(case)
    assert office.cases.image("a") is case.image
    office.cases.make_room()
    assert office.forgotten == ["b", "c"]
    assert office.cases.image("e") is not None
    again = office.open("e")
    office.cases.close(again)
    assert office.forgotten == ["b", "c", "e"]


def test_an_image_that_has_a_case_again_is_not_forgotten() -> None:
    office = Office(case_idle_s=10.0)
    office.cases.close(office.open("a"), keep_image=True)
    office.clock.now = 8.0
    case = office.open("a")
    office.clock.now = 11.0
    office.cases.sweep()
    assert office.is_open(case)
    assert office.forgotten == []


def test_ids_are_drawn_and_none_is_another() -> None:
    office = Office(max_cases=500)
    ids = {office.open("a").id for _ in range(300)}
    assert len(ids) == 300
    assert all(len(case_id) == 12 and case_id.isalnum() for case_id in ids)


def test_a_history_does_not_grow_for_ever() -> None:
    case = Office().open("a")
    for number in range(MAX_HISTORY + 5):
        case.remember({"id": number, "answer": {}, "verdicts": []})
    assert len(case.history) == MAX_HISTORY
    assert case.history[-1]["id"] == MAX_HISTORY + 4


def test_few_frames_are_kept_as_the_model_takes_them_and_always_the_first_shown() -> None:
    decoder, body = JsonDecoder(), picture(frames=2 * MAX_PICTURES)
    image = StoredImage("a", body, decoder.decode(body))
    frames = [image.first_frame, *range(MAX_PICTURES)]
    for frame in frames:
        image.keep_picture(frame, Picture(key=("a", frame), pixels=None))
    kept = [frame for frame in frames if image.picture(frame) is not None]
    assert kept == [image.first_frame, *range(1, MAX_PICTURES)]


def test_frames_that_were_looked_at_longest_ago_are_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert MAX_FRAME_BYTES > FRAME_BYTES
    monkeypatch.setattr("tinymed.serve.cases.stored_image.MAX_FRAME_BYTES", 2 * FRAME_BYTES)
    decoder, body = JsonDecoder(), picture(frames=9)
    image = StoredImage("a", body, decoder.decode(body))
    for frame in (1, 2):
        image.keep(decoder.decode(body, frame=frame))
    assert image.frame(4) is None
    assert image.frame(1) is not None
    image.keep(decoder.decode(body, frame=3))
    assert image.frame(2) is None
    assert image.num_bytes() == 2 * FRAME_BYTES + len(body)
    image.forget()
    assert image.num_bytes() == 0
