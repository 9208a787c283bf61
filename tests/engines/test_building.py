"""Making a build in a process of its own: how far it is, what an error says, what a kill leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

pytest.importorskip("torch", reason="needs torch, to write a checkpoint")
pytest.importorskip("transformers", reason="needs transformers, to write a checkpoint")

from tiny_llava import write_llava
from tiny_model import tiny_weights

from tinymed import progress
from tinymed.engines import building
from tinymed.engines.build_progress import show_progress, watched
from tinymed.engines.openvino import build_openvino
from tinymed.errors import ModelError
from tinymed.models.build import is_build, read_build
from tinymed.models.catalog import find_source
from tinymed.models.remove import remove, unused_builds
from tinymed.models.schemes import find_scheme
from tinymed.models.weights import ModelWeights

SCHEME = find_scheme("openvino-f32")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llava(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture
def every_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)


def test_a_build_that_is_watched_is_the_same_and_tells_of_every_tensor(tmp_path: Path) -> None:
    weights = tiny_weights(tmp_path)
    told: list[tuple[int, int]] = []
    seen = watched(weights, lambda done, total: told.append((done, total)))
    plain = build_openvino(weights, tmp_path / "plain", scheme=SCHEME)
    build = build_openvino(seen, tmp_path / "watched", scheme=SCHEME)
    assert build.digest == plain.digest
    sizes = {name: values.size for name, values in weights.language.items()}
    others = [*weights.vision.values(), *weights.connector.values()]
    total = sum(sizes.values()) + sum(values.size for values in others)
    assert told[0] == (0, total)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert len(told) == 1 + len(weights.language) + len(weights.connector)
    # The last that is asked for, which stands in the build's last file, is not there yet.
    not_asked = sum(values.size for values in weights.vision.values())
    assert told[-1] == (total - sizes["embed_tokens.weight"] - not_asked, total)


def test_a_tensor_counts_once_another_is_asked_for(weights: ModelWeights) -> None:
    told: list[int] = []
    seen = watched(weights, lambda done, _: told.append(done))
    first, second = list(weights.language)[:2]
    assert np.array_equal(seen.language[first], weights.language[first])
    assert "no such tensor" not in seen.language
    assert second in seen.language
    assert seen.language.keys() == weights.language.keys()
    assert seen.language[first] is weights.language[first]
    assert told == [0, 0]
    assert seen.language[second].size
    assert told == [0, 0, weights.language[first].size]


def test_how_far_a_build_is_stands_in_lines_with_the_time_left(
    capsys: pytest.CaptureFixture[str], every_line: None
) -> None:
    lines = [
        "a library says hello\n",
        "built 0 4000000\n",
        "built in 3 s\n",
        "built 2000000 4000000\n",
        "built 2100000 4000000\n",
        "built 1 1\n",
    ]
    show_progress(iter(lines), "tiny:openvino-f32")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == [
        "tiny:openvino-f32: 2 of 4 million weights, 00:00 left",
        "tiny:openvino-f32: 4 of 4 million weights, 00:00 left",
    ]


def test_a_build_of_its_own_process_shows_its_progress(
    checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], every_line: None
) -> None:
    building.make_build(find_source(str(checkpoint)), SCHEME, tmp_path / "build")
    assert read_build(tmp_path / "build").scheme == "openvino-f32"
    shown = capfd.readouterr()
    assert shown.out == ""
    assert shown.err == "tiny:openvino-f32: 1 of 1 million weights, 00:00 left\n"


def test_an_error_halfway_arrives_as_one_sentence(checkpoint: Path, tmp_path: Path) -> None:
    broken = tmp_path / "tiny"
    broken.mkdir()
    for path in checkpoint.iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    tensors = load_file(broken / "model.safetensors")
    del tensors[next(name for name in tensors if name.endswith("model.norm.weight"))]
    save_file(tensors, broken / "model.safetensors")
    with pytest.raises(ModelError, match=r"^The checkpoint '.*' cannot be used: 1 tensors are"):
        building.make_build(find_source(str(broken)), SCHEME, tmp_path / "build")
    assert not (tmp_path / "build").exists()


@pytest.fixture
def half_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a program in Python's place that begins a build, says so and ends as it is told."""

    def use(end: str) -> None:
        program = tmp_path / "python"
        program.write_text(
            "#!/bin/sh\n# $5 is the build's folder\n"
            'mkdir "$(dirname "$5")/.build.$$.part"\necho built 0 4\n' + end
        )
        program.chmod(0o755)
        (tmp_path / "out").mkdir()
        monkeypatch.setattr(sys, "executable", str(program))

    return use


def test_a_build_that_is_interrupted_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, half_built: Callable[[str], None]
) -> None:
    def interrupt(lines: Iterator[str], _label: str) -> None:
        assert next(lines) == "built 0 4\n"
        assert any((tmp_path / "out").glob(".build.*.part"))
        raise KeyboardInterrupt

    half_built('sleep 5; mkdir "$5"')
    monkeypatch.setattr(building, "show_progress", interrupt)
    with pytest.raises(KeyboardInterrupt):
        building.make_build(find_source("nano"), SCHEME, tmp_path / "out" / "build")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("end", "sentence"),
    [
        ("kill -9 $$", r"^The build was killed \(signal 9\), .* more memory\.$"),
        ("echo warning >&2; echo 'error: No disk.' >&2; exit 2", r"^No disk\.$"),
        ("exit 3", r"^The build ended with code 3\.$"),
        ("head -c 1000000 /dev/zero >&2; echo >&2; echo Why. >&2; exit 1", r"^Why\.$"),
    ],
)
def test_a_build_that_fails_says_why_and_leaves_nothing(
    tmp_path: Path, half_built: Callable[[str], None], end: str, sentence: str
) -> None:
    half_built(end)
    with pytest.raises(ModelError, match=sentence):
        building.make_build(find_source("nano"), SCHEME, tmp_path / "out" / "build")
    assert list((tmp_path / "out").iterdir()) == []


SLOW_BUILD = """
import sys, time
from pathlib import Path
from tinymed.models.build import write_build

def make(work):
    (work / "weights.bin").write_bytes(bytes(1 << 20))
    print("begun", flush=True)
    time.sleep(60)

write_build(Path(sys.argv[1]), make)
"""


def test_what_a_killed_build_leaves_is_unused_once_its_process_is_gone(cache: Path) -> None:
    builds = cache / "builds"
    other = builds / f".other.{os.getpid()}.part"
    other.mkdir(parents=True)
    for name in (".no-build.part", ".hidden", ".name.12x.part"):
        (builds / name).mkdir()
    command = [sys.executable, "-c", SLOW_BUILD, str(builds / "nano.v1")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        assert unused_builds() == {}
        process.kill()
    left = builds / f".nano.v1.{process.pid}.part"
    replaced = builds / f".nano.v1.{process.pid}.old"
    replaced.mkdir()
    doomed = unused_builds()
    assert set(doomed) == {left, replaced}
    assert doomed[left] == 1 << 20
    remove(doomed)
    assert not left.exists()
    assert other.exists()


WAITING = """
import os, sys
from pathlib import Path
from tinymed.engines import building
from tinymed.models.catalog import find_source
from tinymed.models.schemes import find_scheme

def die(lines, label):
    next(lines)
    os.kill(os.getpid(), 9)

building.show_progress = die
building.make_build(find_source(sys.argv[1]), find_scheme("openvino-f32"), Path(sys.argv[2]))
"""


def test_a_build_stops_when_nobody_waits_for_it(checkpoint: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WAITING, str(checkpoint), str(tmp_path / "build")]
    done = subprocess.run(command, check=False)
    assert done.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 60
    while list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_build(tmp_path / "build")
    assert list(tmp_path.iterdir()) == []
