"""LLaVA whose output layer has a bias, for Phi as transformers writes it.

transformers' LLaVA gives its output layer no bias, whatever the language model has: a
checkpoint of TinyLLaVA Factory with Phi-2 would lose one number of every logit. Registered so
that `from_pretrained` finds it once this module is imported.
"""

from __future__ import annotations

from typing import ClassVar

from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    LlavaConfig,
    LlavaForConditionalGeneration,
)


class LlavaHeadBiasConfig(LlavaConfig):
    """LLaVA's configuration under a name of its own."""

    model_type: ClassVar[str] = "llava_head_bias"


class LlavaHeadBiasForConditionalGeneration(LlavaForConditionalGeneration):
    """LLaVA with `lm_head.bias`."""

    config_class = LlavaHeadBiasConfig

    def __init__(self, config: LlavaHeadBiasConfig) -> None:
        super().__init__(config)
        text = config.get_text_config()
        self.lm_head = nn.Linear(text.hidden_size, text.vocab_size, bias=True)
        self.post_init()  # type: ignore[no-untyped-call]


AutoConfig.register(LlavaHeadBiasConfig.model_type, LlavaHeadBiasConfig, exist_ok=True)
AutoModelForImageTextToText.register(
    LlavaHeadBiasConfig, LlavaHeadBiasForConditionalGeneration, exist_ok=True
)
