"""EfficientNet-Lite2 as a vision tower that transformers' classes take.

transformers' own EfficientNet has squeeze-and-excitation, which the Lite variants leave out,
and no class of it gives a sequence of patches; this one does, and is registered so that
`from_pretrained` finds it once tinymed is imported.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from tinymed.models.efficientnet_lite import (
    FEATURE_SIZE,
    IMAGE_SIZE_PX,
    STAGES,
    STEM_CHANNELS,
    Array,
    blocks,
    folded,
    layers,
)


class EfficientNetLiteConfig(PretrainedConfig):
    """Configuration of the tower; there is one variant."""

    model_type = "efficientnet_lite2"

    def __init__(self, hidden_size: int = FEATURE_SIZE, **others: Any) -> None:
        self.hidden_size = hidden_size
        self.image_size = IMAGE_SIZE_PX
        super().__init__(**others)


class EfficientNetLiteModel(PreTrainedModel):
    """EfficientNet-Lite2 with its batch norms folded in: images to a sequence of patches."""

    config_class = EfficientNetLiteConfig
    main_input_name = "pixel_values"

    def __init__(self, config: EfficientNetLiteConfig) -> None:
        super().__init__(config)
        self.convolutions = nn.ModuleDict(
            {_key(name): convolution for name, convolution in _convolutions().items()}
        )
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(self, pixel_values: Tensor, **_others: Any) -> BaseModelOutput:
        """Shape (batch, 3, 260, 260) to a last hidden state of (batch, 81, 1280)."""
        x = self._convolve(pixel_values, "_conv_stem")
        for index, block in enumerate(blocks()):
            prefix, entered = f"_blocks.{index}.", x
            if block.expand != 1:
                x = self._convolve(x, f"{prefix}_expand_conv")
            x = self._convolve(x, f"{prefix}_depthwise_conv")
            x = self._convolve(x, f"{prefix}_project_conv", linear=True)
            if block.is_residual:
                x = x + entered
        features = self._convolve(x, "_conv_head").flatten(2).transpose(1, 2)
        return BaseModelOutput(last_hidden_state=features, hidden_states=(features,))

    def _convolve(self, x: Tensor, name: str, *, linear: bool = False) -> Tensor:
        convolution = self.convolutions[_key(name)]
        assert isinstance(convolution, nn.Conv2d)
        kernel, stride = convolution.kernel_size[0], convolution.stride[0]
        result: Tensor = convolution(_pad_as_tensorflow(x, kernel, stride))
        return result if linear else nn.functional.relu6(result)


def tower_state(tensors: dict[str, Array]) -> dict[str, Array]:
    """The tower's state from the published checkpoint's tensors."""
    state = {}
    for convolution, norm in layers():
        weight, bias = folded(tensors, convolution, norm)
        state[f"convolutions.{_key(convolution)}.weight"] = weight
        state[f"convolutions.{_key(convolution)}.bias"] = bias
    return state


def _key(name: str) -> str:
    # A module's name may not hold a dot.
    return name.replace(".", "_").lstrip("_")


def _convolutions() -> dict[str, nn.Conv2d]:
    """Every convolution by the published names, unpadded."""
    made = {"_conv_stem": nn.Conv2d(3, STEM_CHANNELS, kernel_size=3, stride=2)}
    index = 0
    for stage in STAGES:
        for repeat in range(stage.repeats):
            narrow = stage.channels_in if repeat == 0 else stage.channels_out
            wide = narrow * stage.expand
            stride = stage.stride if repeat == 0 else 1
            prefix = f"_blocks.{index}."
            if stage.expand != 1:
                made[f"{prefix}_expand_conv"] = nn.Conv2d(narrow, wide, kernel_size=1)
            made[f"{prefix}_depthwise_conv"] = nn.Conv2d(
                wide, wide, kernel_size=stage.kernel, stride=stride, groups=wide
            )
            made[f"{prefix}_project_conv"] = nn.Conv2d(wide, stage.channels_out, kernel_size=1)
            index += 1
    made["_conv_head"] = nn.Conv2d(STAGES[-1].channels_out, FEATURE_SIZE, kernel_size=1)
    return made


def _pad_as_tensorflow(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Pad so that the output has size / stride cells; an odd pixel goes right and below."""
    size = x.shape[-1]
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    before = total // 2
    return nn.functional.pad(x, (before, total - before, before, total - before))


AutoConfig.register(EfficientNetLiteConfig.model_type, EfficientNetLiteConfig, exist_ok=True)
AutoModel.register(EfficientNetLiteConfig, EfficientNetLiteModel, exist_ok=True)
