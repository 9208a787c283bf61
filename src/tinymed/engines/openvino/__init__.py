"""OpenVINO: the engine for clinic computers; needs no torch to build or to run."""

from tinymed.engines.openvino.build import build_openvino
from tinymed.engines.openvino.runtime import OpenVinoEngine

__all__ = ["OpenVinoEngine", "build_openvino"]
