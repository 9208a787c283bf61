"""Probes of speed: that they count what they do, never how fast this machine is."""

from __future__ import annotations

import time

import numpy as np
import pytest

from tinymed.hardware import bandwidth
from tinymed.hardware.bandwidth import float32_gflop_per_s, median_s, read_gb_per_s


@pytest.fixture
def one_second_each(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock on which each call of `median_s` takes a second."""
    asked: list[float] = []

    def second(call: object, seconds: float) -> float:
        assert callable(call)
        call()
        asked.append(seconds)
        return 1.0

    monkeypatch.setattr(bandwidth, "median_s", second)
    return asked


def test_bandwidth_is_the_bytes_of_a_pass_by_its_time(one_second_each: list[float]) -> None:
    assert read_gb_per_s(3, free_bytes=2**28, cache_bytes=None, seconds=2) == 2**25 / 1e9
    assert 0 < one_second_each[0] < 2


@pytest.mark.parametrize(
    ("free_bytes", "cache_bytes", "taken_bytes"),
    [
        (2**40, 2**20, 2**22),
        (2**40, 2**23, 2**25),
        (2**40, 2**30, 2**26),
        (2**40, None, 2**26),
        (None, None, 2**26),
        (2**28, 2**30, 2**25),
        (2**28, None, 2**25),
    ],
)
def test_four_caches_are_read_and_no_more_than_an_eighth_of_free_memory(
    one_second_each: list[float],
    monkeypatch: pytest.MonkeyPatch,
    free_bytes: int | None,
    cache_bytes: int | None,
    taken_bytes: int,
) -> None:
    taken: list[int] = []
    empty = np.empty

    def watched(count: int, kind: type) -> np.ndarray:
        found = empty(count, kind)
        taken.append(found.nbytes)
        return found

    monkeypatch.setattr(np, "empty", watched)
    monkeypatch.setattr(bandwidth, "SMALLEST_BYTES", 2**22)
    monkeypatch.setattr(bandwidth, "LARGEST_BYTES", 2**26)
    read_gb_per_s(2, free_bytes=free_bytes, cache_bytes=cache_bytes, seconds=1)
    assert taken == [taken_bytes]


def test_every_word_is_read_by_one_of_the_threads(
    one_second_each: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    class Or:
        @staticmethod
        def reduce(share: np.ndarray) -> None:
            read.append(share.nbytes)

    monkeypatch.setattr(np, "bitwise_or", Or)
    read_gb_per_s(3, free_bytes=2**28, cache_bytes=2**20, seconds=1)
    assert sum(read) == 2**25
    assert len(read) == 3


def test_products_are_counted_twice_a_weight_and_use_in_every_thread(
    one_second_each: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    multiplied: list[tuple[int, ...]] = []
    monkeypatch.setattr(np, "matmul", lambda left, right, out: multiplied.append(out.shape))
    rate = float32_gflop_per_s(2, seconds=1)
    assert len(multiplied) == 2
    rows, columns = multiplied[0]
    assert rate == pytest.approx(2 * 2 * rows * columns * rows / 1e9)


def test_the_median_is_of_calls_after_a_first_that_warms_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    takes = iter([200.0, 20.0, 1.0, 60.0])
    now = [0.0]

    def call() -> None:
        now[0] += next(takes)

    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    assert median_s(call, seconds=0.0) == 20
    assert next(takes, None) is None
