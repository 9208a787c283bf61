"""What is trained: a connector in float32 and an adapted, otherwise frozen language model."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from transformers import Dinov2Config, LlamaConfig, LlamaForCausalLM
from transformers.models.aya_vision.modeling_aya_vision import AyaVisionMultiModalProjector

from tinymed.models.checkpoint import checkpoint_config, llama_config
from tinymed.models.language_gguf import Array, LanguageConfig
from tinymed.models.trained import CONNECTOR, FORMAT, LANGUAGE
from tinymed.train.config import LoraConfig
from tinymed.train.features import VisionEncoder
from tinymed.train.lora import LoraLinear, add_lora
from tinymed.train.packing import IGNORED, PackedBatch


@dataclass(slots=True, kw_only=True)
class TrainableModel:
    """Connector and language model; image features come from a cache."""

    connector: AyaVisionMultiModalProjector
    language: LlamaForCausalLM
    adapter_parameters: list[nn.Parameter]
    image_id: int
    lora: LoraConfig

    def losses(self, batch: PackedBatch, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Next-token losses of the answers.

        Args:
            batch: Token arrays of shape (batch, length).
            features: Shape (batch, patches, feature_size), float32.

        Returns:
            For each answer token, in reading order: its loss, whether it is the model's
            first choice, and the row of the batch it stands in.
        """
        device = features.device
        token_ids = torch.from_numpy(batch.token_ids).to(device)
        labels = torch.from_numpy(batch.labels).to(device)
        dtype = self.language.dtype
        embeds = self.language.model.embed_tokens(token_ids)
        image_tokens = self.connector(features).to(dtype)
        is_image = (token_ids == self.image_id).unsqueeze(-1)
        embeds = embeds.masked_scatter(is_image, image_tokens)
        mask = torch.zeros(batch.mask.shape, dtype=dtype, device=device)
        mask.masked_fill_(~torch.from_numpy(batch.mask).to(device), torch.finfo(dtype).min)
        hidden = self.language.model(
            inputs_embeds=embeds,
            attention_mask=mask,
            position_ids=torch.from_numpy(batch.positions).to(device),
            use_cache=False,
        ).last_hidden_state
        # Logits only where there is an answer: the vocabulary is 85 times the hidden width.
        wanted = labels != IGNORED
        logits = self.language.lm_head(hidden[wanted]).float()
        targets = labels[wanted]
        losses = nn.functional.cross_entropy(logits, targets, reduction="none")
        return losses, logits.argmax(-1) == targets, wanted.nonzero()[:, 0]

    def trained_tensors(self) -> dict[str, Tensor]:
        """The trained parameters under the names of a trained file; live, not copies."""
        tensors: dict[str, Tensor] = {
            f"{CONNECTOR}{name}": p for name, p in self.connector.named_parameters()
        }
        for name, module in self.language.model.named_modules():
            if isinstance(module, LoraLinear):
                clean = name.replace("_orig_mod.", "")
                tensors[f"{LANGUAGE}{clean}.lora_A"] = module.lora_A
                tensors[f"{LANGUAGE}{clean}.lora_B"] = module.lora_B
        return tensors

    def metadata(self) -> dict[str, str]:
        """What a trained file says of itself."""
        return {
            "format": FORMAT,
            "rank": json.dumps(self.lora.rank),
            "alpha": json.dumps(self.lora.alpha),
        }


def build_trainable(
    tensors: dict[str, Array],
    config: LanguageConfig,
    encoder: VisionEncoder,
    *,
    fold: int,
    lora: LoraConfig,
    image_id: int,
) -> TrainableModel:
    """A fresh connector, and the language model frozen in bfloat16 with a fresh adapter."""
    text = llama_config(config)
    # Plain attention: its backward pass is twice as fast on a CPU as the fused kernel's.
    text._attn_implementation = "eager"  # noqa: SLF001  # transformers' own switch
    language = LlamaForCausalLM(text)
    state = {f"model.{name}": torch.from_numpy(np.array(v)) for name, v in tensors.items()}
    state["lm_head.weight"] = state["model.embed_tokens.weight"]
    language.load_state_dict(state, strict=True)
    language.requires_grad_(requires_grad=False)
    nn.Module.to(language, torch.bfloat16)
    adapter = add_lora(language.model, rank=lora.rank, alpha=lora.alpha)
    return TrainableModel(
        connector=build_connector(encoder, llama_config(config), fold=fold),
        language=language,
        adapter_parameters=adapter,
        image_id=image_id,
        lora=lora,
    )


def build_connector(
    encoder: VisionEncoder, text: LlamaConfig, *, fold: int
) -> AyaVisionMultiModalProjector:
    """A fresh connector: fold patches, normalize, gated two-layer perceptron."""
    vision = Dinov2Config(hidden_size=encoder.feature_size)
    return AyaVisionMultiModalProjector(checkpoint_config(vision, text, fold=fold, image_id=0))


@torch.no_grad()
def standardize_connector(connector: AyaVisionMultiModalProjector, features: Tensor) -> None:
    """Begin training with each of the connector's inputs at mean 0 and deviation 1.

    An encoder's features differ in size by more than ten times, and a few nearly constant
    ones are the largest; their spread over training images sets the connector's norm, which
    trains on from there.

    Args:
        connector: A fresh one.
        features: Of training images, shape (images, patches, feature_size).
    """
    norm = connector.layernorm
    folded = connector.pixel_shuffle(features)
    plain = nn.functional.layer_norm(folded, folded.shape[-1:], eps=norm.eps).flatten(0, -2)
    deviation = plain.std(dim=0)
    # A constant feature tells nothing: it is not to be blown up.
    deviation = deviation.clamp(min=0.1 * float(deviation.median()))
    norm.weight.copy_(1 / deviation)
    norm.bias.copy_(-plain.mean(dim=0) / deviation)
