"""What share of a device's speed each scheme reaches: the one table, and where each is from.

"Ours" are from `profile run` (docs/profiles/two-cores.md): idle machine, two threads, TinyLLaVA's
shape with random weights and nano. They are divided by what that machine can as `tinymed doctor`
takes it: 32.5 GB/s read, 325 GFLOP/s in float32, 1,063 GOP/s in the native kernel's 8 bits.
"Engines" is the comparison of engines on a Zen 4: 31.5 GB/s, 173 GFLOP/s in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Rate = Literal["float32", "float16", "int8"]
"""Which of a `Device`'s rates; where a device has not that one, float32 is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Parts of a device's speed, each of 1."""

    read: float
    """Of the bandwidth, by the weights that a decoded token reads."""
    rate: Rate
    language: float
    """Of `rate`, while a prompt is read."""
    vision_rate: Rate
    vision: float
    source: str
    layer_ms: float = 0.0
    """What each of the language model's layers takes beside, however small it is."""


_OURS = "measured by us (docs/profiles/two-cores.md)"
_ENGINES = "measured by us on another machine (the comparison of engines)"
_ALIKE = "as the nearest scheme that was measured (docs/profiles/two-cores.md)"

IMAGE_READING_S = 0.046
"""A radiograph of 3.6 million pixels from its DICOM file to what an encoder takes, on one core of
the same machine: 21 ms to read, 25 to scale. Counted alike on every device."""
CONVOLUTIONS = {"torch": 0.19, "otherwise": 0.58}
"""Of float32's rate, in a vision encoder of convolutions (nano's), whatever its scheme: torch's,
and OpenVINO's, which sees for every other engine."""

ON_PROCESSOR = {
    # 761 tokens of tinyllava in 1.67 s, SigLIP in 1.02; 36.9 tokens/s of 0.63 GB.
    "native-int4": Share(
        read=0.74, rate="int8", language=0.84, vision_rate="int8", vision=0.60, source=_OURS
    ),
    # 1.67 s, 1.04; 22.6 of 1.12 GB.
    "native-int8": Share(
        read=0.78, rate="int8", language=0.84, vision_rate="int8", vision=0.60, source=_OURS
    ),
    # 3.33 s, 1.20; 23.8 of 0.60 GB.
    "openvino-int4": Share(
        read=0.48, rate="int8", language=0.43, vision_rate="int8", vision=0.51, source=_OURS,
        layer_ms=0.14,
    ),
    # 5.96 s, activations in float32; 1.25; 13.4 of 1.12 GB; nano 101 ms, 59.7 of 0.20 GB.
    "openvino-int8": Share(
        read=0.48, rate="float32", language=0.78, vision_rate="int8", vision=0.50, source=_OURS,
        layer_ms=0.14,
    ),
    # nano: 101 ms; 39.9 tokens/s of 0.54 GB.
    "openvino-f32": Share(
        read=0.80, rate="float32", language=0.78, vision_rate="float32", vision=0.80, source=_OURS,
        layer_ms=0.14,
    ),
    # 10.7 s, OpenVINO sees; 20.9 of 0.65 GB; nano 233 ms, 63.6 of 0.11 GB.
    "gguf-q4_k_m": Share(
        read=0.47, rate="float32", language=0.43, vision_rate="int8", vision=0.51, source=_OURS,
        layer_ms=0.25,
    ),
    # nano: 241 ms; 59.2 of 0.22 GB.
    "gguf-q8_0": Share(
        read=0.66, rate="float32", language=0.43, vision_rate="int8", vision=0.51, source=_OURS,
        layer_ms=0.22,
    ),
    # nano: 376 ms, its adapter beside; 66.2 of 0.12 GB.
    "gguf-lora": Share(
        read=0.47, rate="float32", language=0.20, vision_rate="int8", vision=0.51, source=_OURS,
        layer_ms=0.24,
    ),
    # nano: 288 ms; 54.9 of 0.27 GB.
    "gguf-f16": Share(
        read=0.66, rate="float32", language=0.43, vision_rate="float32", vision=0.80, source=_OURS,
        layer_ms=0.18,
    ),
    # nano: 110 ms; 27.7 of 0.54 GB. A vision transformer as in the comparison of engines.
    "torch-f32": Share(
        read=0.61, rate="float32", language=0.70, vision_rate="float32", vision=0.78, source=_OURS,
        layer_ms=0.30,
    ),
    # 1.29 s, 0.67, where AMX does four times float32's rate; 7.9 of 2.09 GB.
    "torch-bf16": Share(
        read=0.53, rate="float16", language=0.90, vision_rate="float16", vision=0.75, source=_OURS,
        layer_ms=0.30,
    ),
    # nano: 172 ms; 17.2 of 0.17 GB. A vision transformer as in the comparison of engines.
    "int8": Share(
        read=0.39, rate="float32", language=1.2, vision_rate="float32", vision=1.5, source=_OURS,
        layer_ms=1.5,
    ),
    # 9.4 s, 2.06; 14.1 of 0.63 GB.
    "nf4": Share(
        read=0.31, rate="float32", language=0.50, vision_rate="float32", vision=0.96, source=_OURS,
        layer_ms=0.30,
    ),
}  # fmt: skip
"""By the scheme's name."""

_ROOFLINE = (
    "not measured by us: half of the bandwidth, the middle of what such models show (clinic "
    "anchors, 0.4 to 0.6); 0.4 of the tensor cores' rate is assumed"
)

ON_GPU = {
    "torch-bf16": Share(
        read=0.5, rate="float16", language=0.4, vision_rate="float16", vision=0.4, source=_ROOFLINE
    ),
    "torch-f32": Share(
        read=0.5, rate="float32", language=0.6, vision_rate="float32", vision=0.6,
        source=_ROOFLINE.replace("0.4 of the tensor cores' rate", "0.6 of the rate in float32"),
    ),
    "nf4": Share(
        read=0.4, rate="float16", language=0.4, vision_rate="float16", vision=0.4,
        source=f"{_ROOFLINE}; 4 bits decode 3.1 times as fast as 16 (bitsandbytes 0.41, RTX 3090)",
    ),
    "gguf-q4_k_m": Share(
        read=0.4, rate="float32", language=0.49, vision_rate="float32", vision=0.23,
        source="not measured by us: MobileVLM-1.7B in llama.cpp on a Jetson Orin (950 tokens/s "
        "read, image in 0.30 s), Cosmos-Reason2-2B on an Orin Nano (38 tokens/s)",
    ),
}  # fmt: skip
"""By the scheme's name; others' shares nobody has told us, and their speed is not planned."""
for _name in ("gguf-q8_0", "gguf-lora", "gguf-f16"):
    ON_GPU[_name] = ON_GPU["gguf-q4_k_m"]
