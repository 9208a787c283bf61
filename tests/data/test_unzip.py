"""Archives from the internet, which are not to be trusted."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from tinymed.data import unzip
from tinymed.data.unzip import unpack
from tinymed.errors import DataError


def zipped(folder: Path, **members: bytes) -> Path:
    path = folder / "imgs.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_a_folder_of_the_targets_name_becomes_the_target(tmp_path: Path) -> None:
    unpack(zipped(tmp_path, **{"imgs/a.jpg": b"A"}), tmp_path / "imgs", progress=False)
    assert [path.name for path in (tmp_path / "imgs").iterdir()] == ["a.jpg"]


def test_bare_files_are_put_into_the_target(tmp_path: Path) -> None:
    unpack(zipped(tmp_path, **{"a.jpg": b"A", "x/b.jpg": b"B"}), tmp_path / "imgs", progress=False)
    assert (tmp_path / "imgs" / "x" / "b.jpg").read_bytes() == b"B"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["imgs", "imgs.zip"]


@pytest.mark.parametrize("name", ["../evil.jpg", "/evil.jpg", "x/../../evil.jpg", "C:/evil.jpg"])
def test_a_file_that_would_land_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    archive = zipped(tmp_path, **{name: b"!"})
    with pytest.raises(DataError, match="would land outside its folder"):
        unpack(archive, tmp_path / "deep" / "imgs", progress=False)
    assert not list(tmp_path.rglob("evil.jpg"))
    assert not (tmp_path / "deep" / "imgs").exists()


def test_a_link_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("a.jpg")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = tmp_path / "imgs.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="would land outside its folder"):
        unpack(path, tmp_path / "imgs", progress=False)


def test_an_archive_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unzip, "MAX_UNPACKED_BYTES", 1 << 20)
    archive = zipped(tmp_path, **{"a.jpg": bytes(1 << 19), "b.jpg": bytes((1 << 19) + 1)})
    with pytest.raises(DataError, match="would unpack to more than"):
        unpack(archive, tmp_path / "imgs", progress=False)


def test_an_archive_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path, **{"a.jpg": bytes(70_001)})
    content = archive.read_bytes()
    honest = (70_001).to_bytes(4, "little")
    assert content.count(honest) == 2  # beside the file and in the directory
    archive.write_bytes(content.replace(honest, (10).to_bytes(4, "little")))
    with pytest.raises(DataError, match="cannot be unpacked"):
        unpack(archive, tmp_path / "imgs", progress=False)
    assert not (tmp_path / "imgs").exists()


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "imgs.zip"
    path.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(DataError, match=r"'.*imgs.zip' cannot be unpacked: File is not a zip file"):
        unpack(path, tmp_path / "imgs", progress=False)


def test_what_a_killed_unpacking_left_is_cleared(tmp_path: Path) -> None:
    left = tmp_path / ".imgs.partial" / "a.jpg"
    left.parent.mkdir()
    left.write_bytes(b"half")
    unpack(zipped(tmp_path, **{"a.jpg": b"whole"}), tmp_path / "imgs", progress=False)
    assert (tmp_path / "imgs" / "a.jpg").read_bytes() == b"whole"
    assert not left.exists()
