"""OpenVINO: the engine for clinic computers; needs no torch to build or to run."""

from tinymed.engines.openvino.build import Build, build_openvino, check_build, read_build
from tinymed.engines.openvino.runtime import OpenVinoEngine

__all__ = ["Build", "OpenVinoEngine", "build_openvino", "check_build", "read_build"]
