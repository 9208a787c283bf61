"""Vision encoder and connector as a graph's file: how every engine can see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openvino as ov

from tinymed.engines.openvino.compiling import compile_graph
from tinymed.engines.openvino.layers import Array, Precision, Store
from tinymed.engines.openvino.vision import vision_graph
from tinymed.engines.protocol import Pixels
from tinymed.models.build import BuildPart
from tinymed.models.weights import ModelWeights

VISION = "vision.xml"
"""In a build's folder; vision.bin stands beside it."""


def write_vision_graph(
    weights: ModelWeights, folder: Path, *, encoder: Precision, connector: Precision
) -> tuple[BuildPart, BuildPart]:
    """Write both parts into a build's folder, and tell what they take.

    Raises:
        ModelError: If the vision encoder cannot be read.
    """
    stores = {"vision_encoder": Store(encoder), "connector": Store(connector)}
    graph = vision_graph(
        weights, encoder_store=stores["vision_encoder"], connector_store=stores["connector"]
    )
    save_graph(graph, folder / VISION)
    first, second = (
        BuildPart(
            name=name,
            precision=store.precision,
            num_weights=store.num_weights,
            num_bytes=store.num_bytes,
            kept=tuple(store.kept),
        )
        for name, store in stores.items()
    )
    return first, second


def save_graph(model: ov.Model, path: Path) -> None:
    """Write a graph; the same graph always gives the same bytes."""
    # OpenVINO's own names count up over a process's life: the same model's files would differ.
    for index, node in enumerate(model.get_ordered_ops()):
        node.set_friendly_name(f"{node.get_type_name()}_{index}")
    ov.save_model(model, path, compress_to_fp16=False)


class VisionGraph:
    """Turns pixels into what the language model reads, whatever the encoder."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        """Load what `write_vision_graph` put into a build's folder.

        Raises:
            ModelError: If OpenVINO cannot load it.
        """
        self._request = compile_graph(folder / VISION, settings)
        compiled = self._request.get_compiled_model()
        self.num_threads = int(compiled.get_property("INFERENCE_NUM_THREADS"))

    def look(self, pixels: Pixels) -> tuple[Array, Array]:
        """Features, (patches, width), and image tokens, (tokens, hidden), of one image."""
        outputs = self._request.infer({"pixels": pixels[None]}, share_inputs=True)
        return outputs[1][0], outputs[0][0]
