"""The benchmark's load and kills, fewer of them: nothing is lost, whatever the speed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from real_server import chest_file

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "serving.py"


def report(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    out = tmp_path / "report.json"
    command = [sys.executable, str(SCRIPT), arguments[0], str(chest_file()), *arguments[1:]]
    done = subprocess.run(
        [*command, "--json", str(out)], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return found


@pytest.mark.slow
def test_eight_clients_lose_no_request(tmp_path: Path) -> None:
    found = report(tmp_path, "load", "--requests", "160", "--clients", "8")
    assert found["answered"] == 160
    assert found["lost"] == []
    assert found["missing_from_audit"] == []


@pytest.mark.slow
def test_killed_servers_had_written_every_answer_down(tmp_path: Path) -> None:
    found = report(tmp_path, "kill", "--times", "4", "--clients", "4")
    assert found["answers_given"] > 0
    assert found["missing_from_audit"] == []
    assert found["verify"]["broken"] is None
