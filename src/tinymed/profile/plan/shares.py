"""What share of a device's speed each scheme reaches: the one table, and where each is from.

"Ours" are decision 0009's tables and their raw figures: idle machine, two threads, random
weights, medians of three rounds. They are divided by what that machine can: 28.0 GB/s read (the
loop that asks for no large pages), and the largest of many probes as `tinymed doctor` takes them,
300 GFLOP/s in float32 and 1,150 GOP/s in the native kernel's 8 bits; it was busier then, so that
a share of arithmetic may be told a tenth too high. "Engines" is the comparison of engines on a
Zen 4: 31.5 GB/s, 173 GFLOP/s in float32.
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


_OURS = "measured by us (decision 0009)"
_ENGINES = "measured by us on another machine (the comparison of engines)"
_ALIKE = "as the nearest scheme that was measured (decision 0009)"

ON_PROCESSOR = {
    # 761 tokens in 1.47 s, SigLIP in 0.93, CLIP in 0.48; 38.9 tokens/s of 0.615 GB.
    "native-int4": Share(
        read=0.83, rate="int8", language=0.90, vision_rate="int8", vision=0.62, source=_OURS
    ),
    # 1.51 s, 0.91; 23.7 of 1.10 GB.
    "native-int8": Share(
        read=0.93, rate="int8", language=0.90, vision_rate="int8", vision=0.62, source=_OURS
    ),
    # 3.28 s, 1.18 (CLIP 0.67); 25.0 of 0.585 GB.
    "openvino-int4": Share(
        read=0.52, rate="int8", language=0.41, vision_rate="int8", vision=0.48, source=_OURS
    ),
    # 6.08 s, activations in float32; 1.09; 13.6 of 1.10 GB.
    "openvino-int8": Share(
        read=0.53, rate="float32", language=0.84, vision_rate="int8", vision=0.48, source=_OURS
    ),
    "openvino-f32": Share(
        read=0.53, rate="float32", language=0.84, vision_rate="float32", vision=0.84, source=_ALIKE
    ),
    # 10.9 s, OpenVINO sees; 21.2 of 0.63 GB.
    "gguf-q4_k_m": Share(
        read=0.48, rate="float32", language=0.47, vision_rate="int8", vision=0.48, source=_OURS
    ),
    "gguf-q8_0": Share(
        read=0.48, rate="float32", language=0.47, vision_rate="int8", vision=0.48, source=_ALIKE
    ),
    "gguf-lora": Share(
        read=0.48, rate="float32", language=0.47, vision_rate="int8", vision=0.48, source=_ALIKE
    ),
    "gguf-f16": Share(
        read=0.48, rate="float32", language=0.47, vision_rate="float32", vision=0.84, source=_ALIKE
    ),
    # 608 tokens in 7.8 s, CLIP in 2.7; 3.9 of 4.14 GB.
    "torch-f32": Share(
        read=0.51, rate="float32", language=0.90, vision_rate="float32", vision=0.78,
        source=_ENGINES,
    ),
    # 1.41 s, 0.65, where AMX does four times float32's rate; 8.0 of 2.07 GB.
    "torch-bf16": Share(
        read=0.59, rate="float16", language=0.90, vision_rate="float16", vision=0.82, source=_OURS
    ),
    # 608 tokens in 3.5 s, CLIP in 1.4; 7.4 of 1.1 GB.
    "int8": Share(
        read=0.26, rate="float32", language=2.0, vision_rate="float32", vision=1.5, source=_ENGINES
    ),
    # 9.4 s, 2.06; 14.1 of 0.63 GB.
    "nf4": Share(
        read=0.32, rate="float32", language=0.54, vision_rate="float32", vision=1.04, source=_OURS
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
