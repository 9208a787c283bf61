"""What LLaVA's own code computes, written out from the original's tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from original_llava import NORM_EPS, TEXT_HEADS, TEXT_LAYERS, VISION_HEADS, VISION_LAYERS
from PIL import Image
from torch import Tensor
from torch.nn import functional
from transformers import AutoModelForImageTextToText, AutoProcessor
from written_out import Decoder, Weights, clip, llama, spliced

MEAN = np.array([0.48145466, 0.4578275, 0.40821073])
STD = np.array([0.26862954, 0.26130258, 0.27577711])


def picture(width: int, height: int) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def normal(image: Image.Image) -> Tensor:
    """Pixels as CLIP wants them, shape (3, height, width)."""
    values = (np.asarray(image, dtype=np.float64) / 255 - MEAN) / STD
    return torch.from_numpy(values.transpose(2, 0, 1)).float()


def padded(image: Image.Image) -> Image.Image:
    """`expand2square` with CLIP's mean colour."""
    side = max(image.size)
    square = Image.new("RGB", (side, side), (122, 116, 104))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


def cut(image: Image.Image, size_px: int) -> Image.Image:
    """CLIP's own: the shorter side to `size_px`, then the middle."""
    scale = size_px / min(image.size)
    small = image.resize(
        tuple(size_px if side == min(image.size) else int(scale * side) for side in image.size),
        Image.Resampling.BICUBIC,
    )
    left, top = (small.width - size_px) // 2, (small.height - size_px) // 2
    return small.crop((left, top, left + size_px, top + size_px))


def patch_features(tensors: Mapping[str, Tensor], prefix: str, pixels: Tensor) -> Tensor:
    """The layer before the last, without the class token."""
    tower = Weights(tensors=tensors, prefix=prefix)
    states = clip(tower, pixels, num_heads=VISION_HEADS, num_layers=VISION_LAYERS - 1)
    return states[1:]


def mlp2x(tensors: Mapping[str, Tensor], features: Tensor) -> Tensor:
    w = Weights(tensors=tensors, prefix="model.mm_projector.")
    return w.linear("2", functional.gelu(w.linear("0", features)))


def answer_logits(
    tensors: Mapping[str, Tensor],
    chunks: list[list[int]],
    features: Tensor,
    *,
    num_kv_heads: int = TEXT_HEADS,
    theta: float = 10000.0,
) -> Tensor:
    """Logits at every place of the prompt, shape (places, tokens of the original)."""
    decoder = Decoder(
        num_layers=TEXT_LAYERS,
        num_heads=TEXT_HEADS,
        num_kv_heads=num_kv_heads,
        theta=theta,
        eps=NORM_EPS,
    )
    embeddings = spliced(tensors["model.embed_tokens.weight"], chunks, features)
    states = llama(Weights(tensors=tensors, prefix="model."), embeddings, decoder)
    return functional.linear(states, tensors["lm_head.weight"])


class Loaded:
    """An import as plain transformers loads it."""

    def __init__(self, folder: Path) -> None:
        self.model = AutoModelForImageTextToText.from_pretrained(folder).eval()
        self.processor = AutoProcessor.from_pretrained(folder)

    def prompt(self, *turns: str, asks: bool = True) -> str:
        """A conversation of question, answer, question …; the image is in the first."""
        parts: list[dict[str, str]] = [{"type": "image"}, {"type": "text", "text": turns[0]}]
        messages: list[dict[str, Any]] = [{"role": "user", "content": parts}]
        for index, turn in enumerate(turns[1:]):
            role = "user" if index % 2 else "assistant"
            messages.append({"role": role, "content": [{"type": "text", "text": turn}]})
        text: str = self.processor.apply_chat_template(messages, add_generation_prompt=asks)
        return text

    def inputs(self, image: Image.Image, text: str) -> Any:
        return self.processor(images=image, text=text, return_tensors="pt")

    @torch.no_grad()
    def logits(self, inputs: Any) -> Tensor:
        logits: Tensor = self.model(**inputs).logits[0].float()
        return logits

    def ids_around_image(self, inputs: Any) -> list[list[int]]:
        ids = inputs["input_ids"][0].tolist()
        image = self.model.config.image_token_id
        first = ids.index(image)
        after = len(ids) - ids[::-1].index(image)
        assert set(ids[first:after]) == {image}
        return [ids[:first], ids[after:]]
