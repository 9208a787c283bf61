"""Medical vision-language models for the computer a clinic already has."""

import sys

# OpenVINO's package reports its use to Google Analytics unless told otherwise. Nothing leaves
# a clinic's computer: an import of its reporter fails, and OpenVINO falls back to its own stub.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

__version__ = "0.1.0"
