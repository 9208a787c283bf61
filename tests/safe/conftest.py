"""Lets the tests here, and the processes they start, import the scoring engine."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pytest

from tinymed.safe import measure


@pytest.fixture(autouse=True)
def _without_text_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether this computer has the detector is nothing that tests of measuring depend on."""
    monkeypatch.setattr(measure, "find_text_finder", lambda: None)
