"""Room on the disk where a folder lies."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tinymed.hardware.disk import read_disk


def test_a_folder_that_is_not_there_yet_lies_where_its_parent_does(tmp_path: Path) -> None:
    disk = read_disk(tmp_path / "not" / "yet")
    assert disk is not None
    assert disk.total_bytes == shutil.disk_usage(tmp_path).total
    assert 0 < disk.free_bytes <= disk.total_bytes
    assert disk.is_writable
    assert not (tmp_path / "not").exists()


def test_a_folder_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda _path, mode: mode != os.W_OK)
    disk = read_disk(tmp_path)
    assert disk is not None
    assert not disk.is_writable


def test_a_system_that_does_not_say_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path) -> None:
        raise PermissionError

    monkeypatch.setattr(shutil, "disk_usage", refuse)
    assert read_disk(tmp_path) is None
