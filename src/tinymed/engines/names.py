"""The engines' names, for help texts that must not load an engine."""

ENGINES = {
    "openvino": "8-bit weights on the CPU, no torch: the recommended one",
    "openvino-f32": "the same graphs in full precision, to compare with",
    "torch": "transformers in float32, the reference",
}

DEFAULT_ENGINE = "openvino"
