"""Measuring points: what is written, what is refused, and what stands already."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from slow_model import DIGEST, Script
from slow_points import child_command, grey_image, tiny_target

from tinymed.errors import ConfigError, DataError, HardwareError, ModelError
from tinymed.profile.point import FIGURES, read_point
from tinymed.profile.run import process, run
from tinymed.profile.run.folder import all_points, profile_folder
from tinymed.profile.run.observation import Observation
from tinymed.profile.run.predicted import Predicted
from tinymed.profile.run.run import Profile, ProfileSettings, measure_all
from tinymed.profile.run.target import Target
from tinymed.profile.run.text import point_text, profile_text

HERE = Path(__file__).parent
ANY_SPREAD = 1e9
"""For tests that are not about it: this machine may be busy."""


def predict(_target: Target, _observed: Observation) -> Predicted:
    return Predicted(figures={"peak_mib": 100.0, "vision_ms": 1.1}, scale_bytes=2**18)


@pytest.fixture
def settings(tmp_path: Path) -> ProfileSettings:
    return ProfileSettings(
        models=(), out=tmp_path / "run", image=grey_image(tmp_path), runs=2, max_spread=ANY_SPREAD
    )


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal.txt"


Play = Callable[..., None]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch, journal: Path) -> Play:
    """Sets what measuring processes see, one script a time that a point is measured."""
    monkeypatch.setattr(run, "used_by_others", lambda: 0.0)

    def set_scripts(*scripts: Script) -> None:
        monkeypatch.setattr(process, "CHILD", child_command(journal, *scripts))

    set_scripts(Script())
    return set_scripts


def measure(settings: ProfileSettings, *targets: Target) -> Any:
    with profile_folder(settings.out, {"command": "profile run"}):
        return measure_all(targets, settings, predict=predict)


def measured_times(journal: Path) -> int:
    return journal.read_text().count("pid") if journal.exists() else 0


def test_a_point_holds_every_figure_and_is_read_back(settings: ProfileSettings, play: Play) -> None:
    (point,) = measure(settings, tiny_target())
    assert set(point.figures) == set(FIGURES)
    assert (point.image_tokens, point.prompt_tokens, point.answer_tokens) == (4, 8, 33)
    assert (point.parity, point.weights_sha256, point.is_random) == ("passed", DIGEST, False)
    for name, once in (("load_s", 1), ("first_token_cold_ms", 1), ("vision_ms", 2)):
        assert point.figures[name].num_runs == once
    assert point.figures["decode_token_ms"].median == pytest.approx(0.5)
    assert point.figures["decode_tokens_per_s"].median == pytest.approx(2000.0)
    # The engine sleeps at least so long: an image of 2 ms, and tokens of 0.5 ms.
    assert point.figures["first_token_ms"].low >= 2.5
    assert point.figures["answer_ms"].low >= 18.0
    assert point.figures["first_token_ms"].median > point.figures["second_question_ms"].median
    files = sorted(path.name for path in (settings.out / "points").iterdir())
    assert files == ["tiny-openvino-int8.json", "tiny-openvino-int8.runs.jsonl"]
    row = json.loads((settings.out / "points" / files[0]).read_text())
    assert read_point(row) == point
    lines = (settings.out / "points" / files[1]).read_text().splitlines()
    assert len(lines) == 1 + settings.runs
    assert json.loads(lines[1])["answer_tokens"] == 33


def test_phases_add_up_to_the_first_token(settings: ProfileSettings, play: Play) -> None:
    measure(settings, tiny_target())
    lines = (settings.out / "points/tiny-openvino-int8.runs.jsonl").read_text().splitlines()
    for row in map(json.loads, lines[1:]):
        phases = ("image_decode_ms", "preprocess_ms", "vision_ms", "image_prefill_ms")
        total = sum(row[name] for name in (*phases, "question_prefill_ms"))
        assert total <= row["first_token_ms"]
        assert row["answer_ms"] >= total + row["decode_ms"]


def test_memory_is_static_with_and_without_scales_and_dynamic_above(
    settings: ProfileSettings, play: Play
) -> None:
    (point,) = measure(settings, tiny_target())
    memory = point.memory
    assert (memory.disk, memory.static_with_scales, memory.static) == (2.0, 1.0, 0.75)
    assert memory.gpu_allocated is memory.gpu_reserved is memory.gpu_driver is None
    if memory.dynamic is not None:  # told by Linux alone
        assert memory.above_static == memory.dynamic - 1.0
        assert memory.peak is not None
        assert memory.peak >= memory.dynamic > 10


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (Script(used_by_others=0.4), "other programs used 40% of the processors"),
        (Script(stolen=0.06), "the hypervisor kept 6% of the processors' time"),
        (Script(throttled=True), "slowed itself down for heat"),
        (Script(slow_every=4), "first_token_ms has its 95th percentile"),
    ],
)
def test_a_busy_machines_point_is_tried_twice_and_not_written(
    settings: ProfileSettings, play: Play, journal: Path, script: Script, words: str
) -> None:
    play(script)
    if script.slow_every:
        settings = replace(settings, runs=4, max_spread=5.0)
    with pytest.raises(HardwareError, match=r"measured twice and not written.*--busy") as caught:
        measure(settings, tiny_target())
    assert words in str(caught.value)
    assert caught.value.exit_code == 3
    assert measured_times(journal) == 2
    files = [path.name for path in (settings.out / "points").iterdir()]
    assert files == ["tiny-openvino-int8.refused.jsonl"]


def test_a_point_that_is_quiet_the_second_time_is_written(
    settings: ProfileSettings, play: Play, journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    play(Script(used_by_others=0.4), Script())
    (point,) = measure(settings, tiny_target())
    assert not point.conditions.is_busy
    assert measured_times(journal) == 2
    said = capsys.readouterr().err.splitlines()
    # Two that warm up and two that count, each time.
    assert said[0].startswith("Measuring: 4 of 4 repetitions")
    assert said[1].startswith("tiny:openvino-int8: not written, because other programs used 40%")
    assert said[2].startswith("tiny:openvino-int8 once more: 4 of 4 repetitions")
    assert len(said) == 3
    assert not list((settings.out / "points").glob("*.refused.jsonl"))


def test_busy_keeps_it_and_marks_it_and_quiet_later_measures_it_again(
    settings: ProfileSettings, play: Play, journal: Path
) -> None:
    play(Script(used_by_others=0.4), Script())
    (marked,) = measure(replace(settings, busy=True), tiny_target())
    assert marked.conditions.is_busy
    assert "BUSY" in point_text(marked)
    assert measure(replace(settings, busy=True), tiny_target()) == (marked,)
    assert measured_times(journal) == 1
    (quiet,) = measure(settings, tiny_target())
    assert not quiet.conditions.is_busy
    assert "BUSY" not in point_text(quiet)


def test_busy_does_not_mark_what_was_quiet(settings: ProfileSettings, play: Play) -> None:
    (point,) = measure(replace(settings, busy=True), tiny_target())
    assert not point.conditions.is_busy


def test_what_a_machine_does_not_tell_refuses_nothing(
    settings: ProfileSettings, play: Play
) -> None:
    play(Script(used_by_others=None, stolen=None))
    (point,) = measure(settings, tiny_target())
    assert point.conditions.used_by_others is None
    assert "(not told)" in point_text(point)


def test_what_stands_is_not_measured_again_unless_its_weights_changed(
    settings: ProfileSettings, play: Play, journal: Path
) -> None:
    first = measure(settings, tiny_target())
    assert measure(settings, tiny_target()) == first
    assert measured_times(journal) == 1
    # The slow model keeps its digest, so it never stands for this target.
    measure(settings, tiny_target(weights_sha256="e" * 64))
    assert measured_times(journal) == 2


def test_points_of_an_earlier_call_stay_in_the_folder(
    settings: ProfileSettings, play: Play
) -> None:
    measure(settings, tiny_target("openvino-int4"))
    points = measure(settings, tiny_target("openvino-int8"))
    assert [point.name for point in points] == ["tiny:openvino-int8", "tiny:openvino-int4"]


@pytest.mark.parametrize(
    ("fails", "kind", "words"),
    [
        ("damaged", ModelError, "tiny:openvino-int8: The build is damaged; build it again."),
        ("killed", HardwareError, "was killed (signal 9), as happens where memory runs out"),
        ("crashes", HardwareError, "the measuring process failed (RuntimeError: out of cheese)"),
    ],
)
def test_what_fails_says_why_and_the_others_are_measured(
    settings: ProfileSettings, play: Play, fails: str, kind: type[Exception], words: str
) -> None:
    play(Script(fails=fails))
    with pytest.raises(kind) as caught:
        measure(settings, tiny_target())
    assert words in str(caught.value)
    play(Script(fails=fails), Script())
    with pytest.raises(kind):
        measure(settings, tiny_target("openvino-int4"), tiny_target())
    assert [point.scheme for point in all_points(settings.out)] == ["openvino-int8"]


def test_one_name_twice_is_refused(settings: ProfileSettings, play: Play, journal: Path) -> None:
    with pytest.raises(ConfigError, match="'tiny:openvino-int8' is named more than once"):
        measure(settings, tiny_target(), tiny_target())
    assert measured_times(journal) == 0


def test_energy_is_joules_an_answer_and_absent_without_a_counter(
    settings: ProfileSettings, play: Play
) -> None:
    (without,) = measure(settings, tiny_target())
    assert without.energy is None
    assert "Energy: not available" in point_text(without)
    play(Script(joules_a_second=50.0))
    (point,) = measure(replace(settings, out=settings.out / "with"), tiny_target())
    assert point.energy is not None
    assert point.energy.counter == "rapl"
    # 50 watts, of which only reading the clock and the counter is not in the answer's time.
    assert point.energy.watts == pytest.approx(50.0, rel=0.1)
    seconds = point.figures["answer_ms"].median / 1000
    assert point.energy.joules_per_answer.median == pytest.approx(50 * seconds, rel=0.2)
    assert "J an answer" in point_text(point)


@pytest.mark.parametrize(
    ("tokens", "told"), [(5, "answers of 5 tokens"), (1, "No decoding could be timed")]
)
def test_short_answers_say_what_decoding_was_timed_by(
    settings: ProfileSettings, play: Play, tokens: int, told: str
) -> None:
    play(Script(tokens=tokens))
    (point,) = measure(settings, tiny_target())
    is_timed = tokens > 1
    assert point.answer_tokens == tokens
    assert ("decode_token_ms" in point.figures) is is_timed
    assert ("decode_tokens_per_s" in point.figures) is is_timed
    assert any(told in note for note in point.notes)
    assert ("not timed" in point_text(point)) is not is_timed


def test_the_text_shows_measured_beside_predicted(settings: ProfileSettings, play: Play) -> None:
    points = measure(settings, tiny_target())
    facts = {
        "machine": {
            "processor": "Abacus",
            "instructions": ["avx2"],
            "gpus": [],
            "cores": 2,
            "memory_gib": 4,
            "system": "Linux 7",
        },
        "versions": {"tinymed": "0.1.0"},
    }
    text = profile_text(Profile(run=facts, points=points))
    vision = next(line for line in text.splitlines() if line.startswith("vision encode, ms"))
    assert vision.split()[3:] == ["1.00", "1.00", "2", "1.10", "+10", "%"]
    peak = next(line for line in text.splitlines() if line.startswith("peak"))
    assert peak.split()[2] == "100.0"
    assert "Abacus (avx2), 2 cores, 4 GiB" in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_killed_run_goes_on_with_the_point_that_was_not_finished(
    settings: ProfileSettings, play: Play, journal: Path
) -> None:
    """The first point stands after kill -9; the one under way leaves nothing behind."""
    started = time.monotonic()
    driver = subprocess.Popen(
        [sys.executable, str(HERE / "killed_run.py"), str(settings.out), str(settings.image),
         str(journal)],
    )  # fmt: skip
    done = settings.out / "points/tiny-openvino-int8.json"
    while not (done.exists() and measured_times(journal) == 2):
        assert time.monotonic() - started < 60
        assert driver.poll() is None
        time.sleep(0.02)
    driver.kill()
    driver.wait()
    orphan = journal.read_text().splitlines()[-1].split()[1]
    os.kill(int(orphan), signal.SIGKILL)
    before = done.read_bytes()
    assert [path.name for path in (settings.out / "points").glob("*.json")] == [done.name]
    points = measure(settings, tiny_target(), tiny_target("openvino-int4"))
    assert [point.scheme for point in points] == ["openvino-int8", "openvino-int4"]
    assert done.read_bytes() == before
    assert measured_times(journal) == 3


def test_a_folder_in_use_or_of_another_run_or_of_none_is_refused(
    settings: ProfileSettings, tmp_path: Path
) -> None:
    with (
        profile_folder(settings.out, {"runs": 2}),
        pytest.raises(DataError, match="Another process is at work"),
        profile_folder(settings.out, {"runs": 2}),
    ):
        pass
    with (
        pytest.raises(DataError, match=r"holds another run: runs is 2 there and 5 now"),
        profile_folder(settings.out, {"runs": 5}),
    ):
        pass
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters/dear.txt").touch()
    with (
        pytest.raises(DataError, match=r"first: 'dear.txt'"),
        profile_folder(tmp_path / "letters", {}),
    ):
        pass


def test_a_damaged_point_is_named(settings: ProfileSettings, play: Play) -> None:
    measure(settings, tiny_target())
    path = settings.out / "points/tiny-openvino-int8.json"
    path.write_text("{}")
    with pytest.raises(DataError, match=r"tiny-openvino-int8.json' is not a measured point"):
        measure(settings, tiny_target())
