from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymed.serve.desk.fair_queue import LONGEST_RETRY_S, FairQueue
from tinymed.serve.refusals import TooManyWaitingError

USERS = ("ada", "bo", "cy")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def queue(*, max_waiting: int = 100, per_user: int = 100) -> FairQueue[str]:
    return FairQueue(max_waiting=max_waiting, max_waiting_per_user=per_user)


def all_of(waiting: FairQueue[str]) -> list[str]:
    taken = []
    while (item := waiting.take()) is not None:
        taken.append(item)
    return taken


def test_users_take_turns_and_each_one_keeps_an_order() -> None:
    waiting = queue()
    for item in ("ada1", "ada2", "ada3", "bo1", "cy1", "bo2"):
        waiting.put(item[:-1], item)
    assert all_of(waiting) == ["ada1", "bo1", "cy1", "ada2", "bo2", "ada3"]


def test_the_order_is_told_before_it_happens() -> None:
    waiting = queue()
    for item in ("ada1", "ada2", "bo1"):
        waiting.put(item[:-1], item)
    assert waiting.order() == ["ada1", "bo1", "ada2"]
    waiting.take()
    assert waiting.order() == ["bo1", "ada2"]


def test_a_user_with_too_many_waiting_is_told_so_and_the_others_are_not() -> None:
    waiting = queue(per_user=2)
    waiting.put("ada", "ada1")
    waiting.put("ada", "ada2")
    with pytest.raises(TooManyWaitingError, match="2 of your questions") as refused:
        waiting.put("ada", "ada3")
    assert refused.value.status == 429
    waiting.put("bo", "bo1")


def test_a_full_queue_refuses_everybody() -> None:
    waiting = queue(max_waiting=2)
    waiting.put("ada", "ada1")
    waiting.put("bo", "bo1")
    with pytest.raises(TooManyWaitingError, match="busy") as refused:
        waiting.put("cy", "cy1")
    assert refused.value.status == 503
    waiting.take()
    waiting.put("cy", "cy1")


def test_when_to_come_again_follows_how_long_the_last_ones_took() -> None:
    clock = Clock()
    waiting = FairQueue[str](max_waiting=10, max_waiting_per_user=10, clock=clock)
    for number in range(10):
        waiting.put("ada", f"{number}")
    for _ in range(4):
        waiting.take()
        clock.now += 4.0
    for number in range(4):
        waiting.put("ada", f"more{number}")
    with pytest.raises(TooManyWaitingError) as refused:
        waiting.put("bo", "bo1")
    assert refused.value.retry_after_s == 20
    clock.now += 1000.0
    waiting.take()
    waiting.put("ada", "last")
    with pytest.raises(TooManyWaitingError) as refused:
        waiting.put("bo", "bo1")
    assert refused.value.retry_after_s == LONGEST_RETRY_S


def test_time_in_which_nobody_waited_does_not_count() -> None:
    clock = Clock()
    waiting = FairQueue[str](max_waiting=2, max_waiting_per_user=2, clock=clock)
    waiting.put("ada", "first")
    waiting.take()
    clock.now += 1000.0
    waiting.put("ada", "second")
    waiting.take()
    waiting.put("ada", "third")
    waiting.put("ada", "fourth")
    with pytest.raises(TooManyWaitingError) as refused:
        waiting.check_room("bo")
    assert refused.value.retry_after_s == 1


def test_one_who_asks_much_waits_also_for_the_turns_of_others() -> None:
    waiting = queue(per_user=4)
    for user in USERS:
        for number in range(4):
            waiting.put(user, f"{user}{number}")
    with pytest.raises(TooManyWaitingError) as refused:
        waiting.put("ada", "ada4")
    assert (refused.value.status, refused.value.retry_after_s) == (429, 6)


def test_time_since_all_who_waited_left_does_not_count() -> None:
    clock = Clock()
    waiting = FairQueue[str](max_waiting=2, max_waiting_per_user=2, clock=clock)
    waiting.put("ada", "first")
    waiting.put("ada", "leaves")
    waiting.take()
    waiting.cancel("leaves")
    clock.now += 1000.0
    waiting.put("ada", "second")
    waiting.take()
    waiting.put("ada", "third")
    waiting.put("ada", "fourth")
    with pytest.raises(TooManyWaitingError) as refused:
        waiting.check_room("bo")
    assert refused.value.retry_after_s == 1


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(USERS)),
        st.tuples(st.just("take"), st.just("")),
        st.tuples(st.just("cancel"), st.integers(0, 30).map(str)),
    ),
    max_size=60,
)


@given(ACTIONS, st.integers(1, 8), st.integers(1, 4))
def test_whatever_happens_bounds_hold_order_holds_and_nobody_starves(
    actions: list[tuple[str, str]], max_waiting: int, per_user: int
) -> None:
    waiting = queue(max_waiting=max_waiting, per_user=per_user)
    lines: dict[str, list[str]] = defaultdict(list)
    turns_missed: dict[str, int] = defaultdict(int)
    """Of each user who waits, how often each other has been served since."""
    number = 0
    for action, argument in actions:
        if action == "put":
            number += 1
            item = f"{argument} {number}"
            total = sum(map(len, lines.values()))
            if len(lines[argument]) >= per_user or total >= max_waiting:
                with pytest.raises(TooManyWaitingError) as refused:
                    waiting.put(argument, item)
                assert 1 <= refused.value.retry_after_s <= LONGEST_RETRY_S
                assert refused.value.status == (429 if len(lines[argument]) >= per_user else 503)
                continue
            if not lines[argument]:
                turns_missed[argument] = 0
            waiting.put(argument, item)
            lines[argument].append(item)
        elif action == "take":
            expected = next(iter(waiting.order()), None)
            item = waiting.take()
            assert item == expected
            if item is None:
                assert not any(lines.values())
                continue
            user = item.split()[0]
            assert lines[user].pop(0) == item
            turns_missed[user] = 0
            for other in USERS:
                if other != user and lines[other]:
                    turns_missed[other] += 1
                    assert turns_missed[other] < len(USERS)
        else:
            found = [item for line in lines.values() for item in line if item.endswith(argument)]
            for item in found:
                assert waiting.cancel(item)
                assert not waiting.cancel(item)
                lines[item.split()[0]].remove(item)
        assert len(waiting) == sum(map(len, lines.values()))
        assert sorted(waiting.order()) == sorted(i for line in lines.values() for i in line)
