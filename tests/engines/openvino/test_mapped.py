from __future__ import annotations

import mmap
import sys
import time
from pathlib import Path

import pytest
from tiny_model import Load

from tinymed.engines.openvino import mapped
from tinymed.engines.openvino.layers import Array
from tinymed.engines.openvino.mapped import released

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells and releases")

NUM_BYTES = 2**20


def resident_bytes(path: Path) -> int:
    """How much of a file this process keeps in memory, wherever it is mapped."""
    total, ours = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            ours = line.endswith(str(path.resolve()))
        elif ours and line.startswith("Rss:"):
            total += 1024 * int(line.split()[1])
    return total


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "weights.bin"
    path.write_bytes(bytes(range(256)) * (NUM_BYTES // 256))
    return path


def test_pages_that_were_read_are_given_back_and_can_be_read_again(path: Path) -> None:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapping:
        content = mapping[:]
        assert resident_bytes(path) == NUM_BYTES
        with released(path):
            assert mapping[:] == content
        assert resident_bytes(path) == 0
        assert mapping[:] == content


def test_pages_are_given_back_while_others_are_still_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped, "PAUSE_S", 0.001)
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapping,
        released(path),
    ):
        assert mapping[:]
        latest = time.monotonic() + 10
        while resident_bytes(path):
            assert time.monotonic() < latest


def test_what_was_written_to_a_private_copy_is_kept(path: Path) -> None:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as mapping:
        mapping[:4] = b"mine"
        with released(path):
            pass
        assert mapping[:4] == b"mine"


def test_another_file_is_left_alone(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.bin"
    other.write_bytes(path.read_bytes())
    with other.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapping:
        assert mapping[:]
        with released(path):
            pass
        assert resident_bytes(other) == NUM_BYTES


def test_an_engine_gives_back_its_builds_pages_once_they_are_repacked(
    load: Load, pixels: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_back: list[str] = []
    release = mapped._release

    def recorded(path: Path) -> None:
        given_back.append(path.name)
        release(path)

    monkeypatch.setattr(mapped, "_release", recorded)
    engine = load("int8")
    assert set(given_back) == {"vision.bin", "language.bin"}
    given_back.clear()
    image = engine.encode(pixels)
    assert set(given_back) == {"language.bin"}
    given_back.clear()
    engine.answer(image, "Is it there?", max_new_tokens=2)
    assert set(given_back) == {"language.bin"}
    given_back.clear()
    engine.answer(engine.encode(pixels), "Where?", max_new_tokens=2)
    assert given_back == []
