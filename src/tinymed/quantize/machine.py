"""The machine a comparison ran on, as far as answers depend on it."""

from __future__ import annotations

import os
import platform

from tinymed.hardware.processor import read_processor


def machine() -> dict[str, str]:
    """Processor, instruction sets, number of processors and system, each as text.

    Engines choose their kernels by instruction sets: other kernels sum in another order and
    multiply in another precision.
    """
    processor = read_processor()
    return {
        "processor": processor.name or "not told",
        "instructions": " ".join(processor.known_instructions) or "not told",
        "processors": str(os.cpu_count() or "not told"),
        "system": f"{platform.system()} {platform.machine()}",
    }
