"""Getting a graph ready to run on this processor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openvino as ov

from tinymed.engines.openvino.mapped import released
from tinymed.errors import ModelError


def plain_settings(threads: int | None) -> dict[str, Any]:
    """What every graph asks of the plugin; `threads` None leaves one a physical core."""
    # Activations stay float32: the plugin's own choice differs from processor to processor
    # and so would the answers.
    settings: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
    return settings


def compile_graph(path: Path, settings: dict[str, Any]) -> Any:
    """A request that runs a graph's file on the processor.

    Pages of its weights' file that were read on the way are given back.

    Raises:
        ModelError: If OpenVINO cannot load it.
    """
    try:
        with released(path.with_suffix(".bin")):
            return ov.Core().compile_model(path, "CPU", settings).create_infer_request()
    except RuntimeError as error:
        raise ModelError(f"OpenVINO cannot load '{path}': {str(error).splitlines()[-1]}") from error
