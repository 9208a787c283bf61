"""Makes the made-up run folders importable."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from made_up_profile import write_runs


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """A profile and evaluations on two sets of samples."""
    return write_runs(tmp_path / "runs")
