"""The tensors of EfficientNet-Lite2, from the network's own table."""

from __future__ import annotations

from tinymed.models.shape.shape import VisionShape
from tinymed.models.shape.tensor_list import TensorList

MODEL_TYPE = "efficientnet_lite2"
_CHANNELS = 3


def efficientnet_shape(found: TensorList) -> VisionShape:
    """Add every convolution, as the tower of `models.efficientnet_tower` names them.

    Batch norms are folded in, so each has a weight and a bias.
    """
    # Its table stands beside what reads the weights, which loads numpy.
    from tinymed.models.efficientnet_lite import FEATURE_SIZE, GRID, IMAGE_SIZE_PX

    operations, layers = 0.0, 0
    for name, shape, cells in _convolutions():
        found.patches(f"convolutions.{name}", shape[0], shape[1:], bias=True)
        operations += 2.0 * found.tensors[-2].num_weights * cells
        layers += 1
    return VisionShape(
        encoder="efficientnet-lite2",
        image_px=IMAGE_SIZE_PX,
        patch_px=None,
        width=FEATURE_SIZE,
        middle=0,
        heads=0,
        layers=layers,
        tokens=GRID**2,
        tiles=1,
        num_operations=operations,
    )


def _convolutions() -> list[tuple[str, tuple[int, ...], int]]:
    """Every convolution: its name, its weight's shape and the cells it gives."""
    from tinymed.models.efficientnet_lite import (
        FEATURE_SIZE,
        IMAGE_SIZE_PX,
        STAGES,
        STEM_CHANNELS,
    )

    side = -(-IMAGE_SIZE_PX // 2)
    found: list[tuple[str, tuple[int, ...], int]] = [
        ("conv_stem", (STEM_CHANNELS, _CHANNELS, 3, 3), side**2)
    ]
    index = 0
    for stage in STAGES:
        for repeat in range(stage.repeats):
            narrow = stage.channels_in if repeat == 0 else stage.channels_out
            wide, prefix = narrow * stage.expand, f"blocks_{index}_"
            if stage.expand != 1:
                found.append((f"{prefix}_expand_conv", (wide, narrow, 1, 1), side**2))
            side = -(-side // stage.stride) if repeat == 0 else side
            kernel = (wide, 1, stage.kernel, stage.kernel)
            found.append((f"{prefix}_depthwise_conv", kernel, side**2))
            found.append((f"{prefix}_project_conv", (stage.channels_out, wide, 1, 1), side**2))
            index += 1
    found.append(("conv_head", (FEATURE_SIZE, STAGES[-1].channels_out, 1, 1), side**2))
    return found
