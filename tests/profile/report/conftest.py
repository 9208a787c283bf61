"""Made-up run folders, and a plan."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "pareto"))

from made_up_profile import write_runs


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, ...]:
    """A profile and evaluations on two sets of samples."""
    return tuple(write_runs(tmp_path / "runs"))
