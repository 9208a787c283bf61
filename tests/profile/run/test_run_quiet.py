"""Waiting for a quiet machine, judging what was, and gauges that keep what they saw."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from slow_model import Script, SlowEngine
from slow_points import grey_image

from tinymed.hardware.memory import peak_memory_mib
from tinymed.profile.point import Conditions, measured
from tinymed.profile.run import gauges
from tinymed.profile.run.figures import energy_of, figures_of
from tinymed.profile.run.gauges import EnergyGauge, MemoryGauges
from tinymed.profile.run.observation import (
    Levels,
    Meanwhile,
    Observation,
    Opened,
    Questions,
    Repetition,
    read_observation,
)
from tinymed.profile.run.picture import HEIGHT_PX, WIDTH_PX, draw_picture
from tinymed.profile.run.quiet import conditions_of, reasons_against, wait_until_quiet
from tinymed.profile.run.repetition import see
from tinymed.profile.run.session import LONGER_QUESTIONS, _questions

QUIET = Conditions(
    used_by_others=0.1,
    stolen=0.05,
    throttled=False,
    widest_spread=0.15,
    widest_figure="first_token_ms",
    is_busy=False,
)


def repetition(**fields: Any) -> Repetition:
    made = {
        "image_decode_ms": 1.0,
        "preprocess_ms": 2.0,
        "vision_ms": 3.0,
        "image_prefill_ms": 4.0,
        "question_prefill_ms": 5.0,
        "first_token_ms": 16.0,
        "second_question_ms": 6.0,
        "answer_ms": 48.0,
        "decode_ms": 32.0,
        "answer_tokens": 33,
        "image_tokens": 4,
        "joules": None,
        "peak_mib": None,
    }
    return Repetition(**(made | fields))


def observation(*repetitions: Repetition) -> Observation:
    return Observation(
        model="tiny",
        engine="openvino",
        device="cpu",
        threads=1,
        weights_sha256="",
        prompt_tokens=8,
        questions=Questions(first="a", second="b", longer="c"),
        opened=Opened(import_s=0.1, load_s=0.2, first_token_cold_ms=20.0),
        repetitions=repetitions,
        levels=Levels(),
        meanwhile=Meanwhile(used_by_others=0.0, stolen=0.0, throttled=None),
        counter=None,
    )


def test_it_waits_until_others_are_done_and_says_so_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shares = iter([0.5, 0.3, 0.1, 0.9])
    wait_until_quiet(lambda: next(shares))
    assert next(shares) == 0.9
    said = capsys.readouterr().err
    assert said == (
        "Waiting for a quiet machine, 30 s at most: other programs use 50% of the processors …\n"
    )


def test_it_waits_no_longer_than_the_limit_and_not_where_nothing_is_told() -> None:
    looks = []

    def look() -> float:
        looks.append(0.0)
        time.sleep(0.02)
        return 0.9

    wait_until_quiet(look, limit_s=0.1)
    assert 3 <= len(looks) <= 6
    wait_until_quiet(lambda: None)


def test_on_the_bound_is_quiet_and_beyond_it_is_not() -> None:
    assert reasons_against(QUIET, max_spread=0.15) == ()
    for changed in (
        {"used_by_others": 0.11},
        {"stolen": 0.051},
        {"throttled": True},
        {"widest_spread": 0.151},
    ):
        row = {name: getattr(QUIET, name) for name in QUIET.__slots__}
        assert len(reasons_against(Conditions(**(row | changed)), max_spread=0.15)) == 1


def test_a_slow_token_widens_the_spread_and_a_quick_one_does_not() -> None:
    """Tokens a second would have it the other way round."""
    meanwhile = Meanwhile(used_by_others=0.0, stolen=0.0, throttled=None)

    def spread(*decode_ms: float) -> Conditions:
        seen = observation(*(repetition(decode_ms=ms) for ms in decode_ms))
        return conditions_of(meanwhile, figures_of(seen).by_name)

    slow, quick = spread(*[32.0] * 9, 64.0), spread(*[32.0] * 9, 16.0)
    assert slow.widest_figure == "decode_token_ms"
    assert slow.widest_spread == pytest.approx(measured([1.0] * 9 + [2.0]).spread)
    assert slow.widest_spread > 0.4
    assert quick.widest_spread == 0.0


def test_what_an_engine_does_not_do_apart_is_absent_and_not_zero() -> None:
    figures = figures_of(observation(repetition(image_prefill_ms=0.0)))
    assert "image_prefill_ms" not in figures.by_name
    assert any("image_prefill is part of question_prefill" in note for note in figures.notes)


def test_answers_of_one_token_do_not_spoil_those_that_can_be_timed() -> None:
    short = repetition(answer_tokens=1, decode_ms=0.0)
    figures = figures_of(observation(short, repetition(), repetition(decode_ms=64.0)))
    decoded = figures.by_name["decode_token_ms"]
    assert (decoded.num_runs, decoded.low, decoded.high) == (2, 1.0, 2.0)
    assert "answers of 1 to 33 tokens" in figures.notes[0]


def test_an_observation_passes_as_json() -> None:
    seen = observation(repetition(), repetition(joules=1.5))
    assert read_observation(json.loads(json.dumps(asdict(seen)))) == seen


def test_the_longest_answer_is_timed_where_none_is_long() -> None:
    seen = see(SlowEngine(Script()), _image(), turn=0)

    def longer(*tokens: int) -> str:
        class Terse(SlowEngine):
            def answer(self, image: Any, question: str, **options: Any) -> Any:
                asked = ("Is it?", *LONGER_QUESTIONS).index(question)
                self.script = Script(token_ms=0, tokens=tokens[asked])
                return super().answer(image, question, **options)

        return _questions(Terse(Script()), seen, "Is it?").longer

    assert longer(3, 5, 3) == LONGER_QUESTIONS[0]
    assert longer(3, 3, 5) == LONGER_QUESTIONS[1]
    assert longer(8, 33, 33) == "Is it?"  # which is long enough


def test_a_peak_that_began_anew_is_not_lost() -> None:
    memory = MemoryGauges(on_gpu=False)
    assert memory.peak_mib() is None  # it never began
    memory.begin_peak()
    if memory.peak_mib() is None:
        pytest.skip("only Linux can begin a peak anew")
    before = memory.peak_mib()
    # Not of the heap, which may still hold as much from before.
    held = mmap(-1, 2**25)
    for page in range(0, 2**25, 4096):
        held[page] = 1
    high = memory.peak_mib()
    assert before is not None
    assert high is not None
    assert high >= before + 31
    held.close()
    memory.begin_peak()
    low = memory.peak_mib()
    assert low is not None
    assert low <= high - 31
    peak = memory.levels(memory.resting()).peak
    assert peak is not None
    assert peak >= high
    assert peak_memory_mib() == pytest.approx(low, abs=16)


def test_the_peak_of_opening_is_not_lost_when_answers_begin_theirs() -> None:
    held = mmap(-1, 2**25)
    for page in range(0, 2**25, 4096):
        held[page] = 1
    high = peak_memory_mib()
    held.close()
    memory = MemoryGauges(on_gpu=False)
    memory.begin_peak()
    if high is None or memory.peak_mib() is None:
        pytest.skip("only Linux can begin a peak anew")
    peak = memory.levels(memory.resting()).peak
    assert peak is not None
    assert peak >= high - 1


def test_energy_of_some_repetitions_is_not_taken_for_that_of_all() -> None:
    told, untold = repetition(joules=1.5), repetition(joules=None)
    assert energy_of(replace(observation(told, told), counter="rapl")) is not None
    assert energy_of(replace(observation(told, untold), counter="rapl")) is None
    assert energy_of(observation(told, told)) is None


def test_a_counter_that_cannot_be_read_any_more_tells_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Forbidden:
        name = "rapl"

        def read_joules(self) -> float:
            raise PermissionError

        def close(self) -> None:
            pass

    monkeypatch.setattr(gauges, "find_counter", Forbidden)
    gauge = EnergyGauge(on_gpu=False)
    assert (gauge.name, gauge.read_joules()) == ("rapl", None)
    gauge.close()


def test_the_drawn_picture_has_two_megapixels_and_is_the_same_each_time(tmp_path: Path) -> None:
    path = draw_picture(tmp_path)
    first = path.read_bytes()
    assert draw_picture(tmp_path).read_bytes() == first
    with Image.open(path) as picture:
        assert picture.size == (WIDTH_PX, HEIGHT_PX)
        assert np.asarray(picture).std() > 20
    assert WIDTH_PX * HEIGHT_PX == 2_000_000


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _image() -> Path:
    return grey_image(Path())
