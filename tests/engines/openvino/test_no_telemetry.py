"""Nothing leaves the computer."""

from __future__ import annotations

import subprocess
import sys


def test_openvino_reports_to_nobody() -> None:
    """OpenVINO sent usage events to Google Analytics from the test run."""
    code = "import tinymed, openvino.tools.ovc.telemetry_utils as t; print(t.tm.__name__)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "openvino.tools.ovc.telemetry_stub"
