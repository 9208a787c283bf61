"""Tiny random parts of checkpoints as TinyLLaVABench, TinyLLaVA Factory and Med-MoE name them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tests.models.importers.original_llava import Tensors, noise
from tests.models.importers.written_out import relative_difference
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoProcessor

from tinymed.models.importers.layout import Source
from tinymed.models.importers.write import ImportReport, import_checkpoint

WIDTH, WIDE, LAYERS, HEADS = 32, 48, 2, 4
VISION_WIDTH, VISION_WIDE, VISION_HEADS = 144, 96, 2
PATCH_PX = 14

SPECIAL = ["<|endoftext|>", "<|im_end|>", "<eos>"]
LETTERS = sorted(pre_tokenizers.ByteLevel.alphabet())
VOCABULARY = {token: index for index, token in enumerate([*SPECIAL, *LETTERS])}
NUM_TOKENS = len(VOCABULARY)


def siglip_tensors(
    prefix: str, *, num_layers: int, size_px: int, seed: int, head: bool = True
) -> Tensors:
    make = noise(seed)
    num_patches = (size_px // PATCH_PX) ** 2
    tensors = {
        "embeddings.patch_embedding.weight": make(VISION_WIDTH, 3, PATCH_PX, PATCH_PX) / 4,
        "embeddings.patch_embedding.bias": make(VISION_WIDTH),
        "embeddings.position_embedding.weight": make(num_patches, VISION_WIDTH, scale=0.3),
        **_norm("post_layernorm", make, VISION_WIDTH),
    }
    for layer in range(num_layers):
        below = f"encoder.layers.{layer}."
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            tensors |= _linear(f"{below}self_attn.{name}", make, VISION_WIDTH, VISION_WIDTH)
        tensors |= _linear(f"{below}mlp.fc1", make, VISION_WIDE, VISION_WIDTH)
        tensors |= _linear(f"{below}mlp.fc2", make, VISION_WIDTH, VISION_WIDE)
        tensors |= _norm(f"{below}layer_norm1", make, VISION_WIDTH)
        tensors |= _norm(f"{below}layer_norm2", make, VISION_WIDTH)
    if head:
        tensors |= {
            "head.probe": make(1, 1, VISION_WIDTH),
            "head.attention.in_proj_weight": make(3 * VISION_WIDTH, VISION_WIDTH),
            "head.attention.in_proj_bias": make(3 * VISION_WIDTH),
            **_linear("head.attention.out_proj", make, VISION_WIDTH, VISION_WIDTH),
            **_norm("head.layernorm", make, VISION_WIDTH),
            **_linear("head.mlp.fc1", make, VISION_WIDE, VISION_WIDTH),
            **_linear("head.mlp.fc2", make, VISION_WIDTH, VISION_WIDE),
        }
    return {prefix + name: value for name, value in tensors.items()}


def siglip_config(*, num_layers: int, size_px: int) -> dict[str, Any]:
    return {
        "hidden_size": VISION_WIDTH,
        "image_size": size_px,
        "intermediate_size": VISION_WIDE,
        "model_type": "siglip_vision_model",
        "num_attention_heads": VISION_HEADS,
        "num_hidden_layers": num_layers,
        "patch_size": PATCH_PX,
    }


def dinov2_tensors(prefix: str, *, num_layers: int, size_px: int, seed: int) -> Tensors:
    make = noise(seed)
    num_patches = (size_px // PATCH_PX) ** 2
    tensors = {
        "embeddings.cls_token": make(1, 1, WIDTH),
        "embeddings.mask_token": make(1, WIDTH),
        "embeddings.position_embeddings": make(1, num_patches + 1, WIDTH, scale=0.3),
        "embeddings.patch_embeddings.projection.weight": make(WIDTH, 3, PATCH_PX, PATCH_PX) / 4,
        "embeddings.patch_embeddings.projection.bias": make(WIDTH),
        **_norm("layernorm", make, WIDTH),
    }
    for layer in range(num_layers):
        below = f"encoder.layer.{layer}."
        for name in ("query", "key", "value"):
            tensors |= _linear(f"{below}attention.attention.{name}", make, WIDTH, WIDTH)
        tensors |= _linear(f"{below}attention.output.dense", make, WIDTH, WIDTH)
        tensors |= _linear(f"{below}mlp.fc1", make, 4 * WIDTH, WIDTH)
        tensors |= _linear(f"{below}mlp.fc2", make, WIDTH, 4 * WIDTH)
        tensors |= _norm(f"{below}norm1", make, WIDTH) | _norm(f"{below}norm2", make, WIDTH)
        tensors[f"{below}layer_scale1.lambda1"] = 1 + make(WIDTH)
        tensors[f"{below}layer_scale2.lambda1"] = 1 + make(WIDTH)
    return {prefix + name: value for name, value in tensors.items()}


def llama_tensors(
    body: str, *, num_rows: int, num_kv_heads: int, seed: int, qkv_bias: bool = False
) -> Tensors:
    """Llama's, Gemma's, and with biases Qwen2's."""
    make = noise(seed)
    tensors = {"norm.weight": 1 + make(WIDTH), "embed_tokens.weight": make(num_rows, WIDTH)}
    for layer in range(LAYERS):
        below = f"layers.{layer}."
        tensors |= _attention(below, make, num_kv_heads, qkv_bias=qkv_bias)
        tensors[f"{below}self_attn.o_proj.weight"] = make(WIDTH, WIDTH)
        tensors |= gated_tensors(f"{below}mlp.", make)
        tensors[f"{below}input_layernorm.weight"] = 1 + make(WIDTH)
        tensors[f"{below}post_attention_layernorm.weight"] = 1 + make(WIDTH)
    return {body + name: value for name, value in tensors.items()}


def stablelm_tensors(body: str, *, num_rows: int, num_kv_heads: int, seed: int) -> Tensors:
    make = noise(seed)
    tensors = {"embed_tokens.weight": make(num_rows, WIDTH), **_norm("norm", make, WIDTH)}
    for layer in range(LAYERS):
        below = f"layers.{layer}."
        tensors |= _attention(below, make, num_kv_heads, qkv_bias=True)
        tensors[f"{below}self_attn.o_proj.weight"] = make(WIDTH, WIDTH)
        tensors |= gated_tensors(f"{below}mlp.", make)
        tensors |= _norm(f"{below}input_layernorm", make, WIDTH)
        tensors |= _norm(f"{below}post_attention_layernorm", make, WIDTH)
    return {body + name: value for name, value in tensors.items()}


def phi_tensors(body: str, *, num_rows: int, seed: int) -> Tensors:
    make = noise(seed)
    tensors = {
        "embed_tokens.weight": make(num_rows, WIDTH),
        **_norm("final_layernorm", make, WIDTH),
    }
    for layer in range(LAYERS):
        below = f"layers.{layer}."
        tensors |= _attention(below, make, HEADS, qkv_bias=True)
        tensors |= _linear(f"{below}self_attn.dense", make, WIDTH, WIDTH)
        tensors |= two_layer_tensors(f"{below}mlp.", make)
        tensors |= _norm(f"{below}input_layernorm", make, WIDTH)
    return {body + name: value for name, value in tensors.items()}


def gated_tensors(prefix: str, make: Any) -> Tensors:
    return {
        f"{prefix}gate_proj.weight": make(WIDE, WIDTH),
        f"{prefix}up_proj.weight": make(WIDE, WIDTH),
        f"{prefix}down_proj.weight": make(WIDTH, WIDE),
    }


def two_layer_tensors(prefix: str, make: Any) -> Tensors:
    return {
        **_linear(f"{prefix}fc1", make, WIDE, WIDTH),
        **_linear(f"{prefix}fc2", make, WIDTH, WIDE),
    }


def mlp2x_tensors(prefix: str, *, vision_width: int, seed: int) -> Tensors:
    make = noise(seed)
    return {
        **_linear(f"{prefix}.0", make, WIDTH, vision_width),
        **_linear(f"{prefix}.2", make, WIDTH, WIDTH),
    }


def linear_tensors(prefix: str, *, vision_width: int, seed: int) -> Tensors:
    return _linear(prefix, noise(seed), WIDTH, vision_width)


def _attention(below: str, make: Any, num_kv_heads: int, *, qkv_bias: bool) -> Tensors:
    narrow = WIDTH // HEADS * num_kv_heads
    tensors = {}
    for name, rows in (("q_proj", WIDTH), ("k_proj", narrow), ("v_proj", narrow)):
        tensors[f"{below}self_attn.{name}.weight"] = make(rows, WIDTH)
        if qkv_bias:
            tensors[f"{below}self_attn.{name}.bias"] = make(rows)
    return tensors


def _linear(name: str, make: Any, rows: int, columns: int) -> Tensors:
    return {f"{name}.weight": make(rows, columns), f"{name}.bias": make(rows)}


def _norm(name: str, make: Any, width: int) -> Tensors:
    return {f"{name}.weight": 1 + make(width), f"{name}.bias": make(width)}


def write_byte_tokenizer(folder: Path, *, end: str, as_vocabulary: bool = False) -> None:
    """A byte-level tokenizer that joins nothing: tokenizer.json, or vocab.json and merges.txt."""
    kind = "CodeGenTokenizer" if as_vocabulary else "PreTrainedTokenizerFast"
    settings = {"tokenizer_class": kind, "eos_token": end, "unk_token": end, "pad_token": end}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    if as_vocabulary:
        (folder / "vocab.json").write_text(json.dumps(VOCABULARY))
        (folder / "merges.txt").write_text("#version: 0.2\n")
        return
    tokenizer = Tokenizer(models.BPE(vocab=VOCABULARY, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.save(str(folder / "tokenizer.json"))


def byte_chunks(prompt: str) -> list[list[int]]:
    """Token ids before and behind the image: one for each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    letters = {byte: chr(byte) for byte in plain} | {
        byte: chr(256 + index) for index, byte in enumerate(others)
    }
    return [
        [VOCABULARY[letters[byte]] for byte in chunk.encode()] for chunk in prompt.split("<image>")
    ]


def picture(width: int = 40, height: int = 30, seed: int = 0) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def question(text: str) -> list[dict[str, Any]]:
    content = [{"type": "image"}, {"type": "text", "text": text}]
    return [{"role": "user", "content": content}]


class Imported:
    """A checkpoint after its import, as plain transformers loads it."""

    def __init__(self, source: Source, out: Path) -> None:
        self.report: ImportReport = import_checkpoint(source, out, progress=False)
        self.folder = out
        self.model = AutoModelForImageTextToText.from_pretrained(out, dtype=torch.float32).eval()
        self.processor = AutoProcessor.from_pretrained(out)

    def prompt(self, messages: list[dict[str, Any]]) -> str:
        text: str = self.processor.apply_chat_template(messages, add_generation_prompt=True)
        return text

    def pixels(self, image: Image.Image) -> Tensor:
        """3 x height x width."""
        return self._inputs(image, "x")["pixel_values"][0]

    def logits(self, image: Image.Image, text: str) -> Tensor:
        """Tokens x vocabulary."""
        with torch.inference_mode():
            result: Tensor = self.model(**self._inputs(image, text)).logits[0]
        return result

    def _inputs(self, image: Image.Image, text: str) -> Mapping[str, Tensor]:
        prompt = self.prompt(question(text))
        inputs: Mapping[str, Tensor] = self.processor(
            images=image, text=prompt, return_tensors="pt"
        )
        return inputs

    def difference(self, image: Image.Image, text: str, expected: Tensor) -> float:
        """From the expected logits; the image token's own, the last, is 0."""
        logits, num_tokens = self.logits(image, text), expected.shape[1]
        assert not logits[:, num_tokens:].any()
        return relative_difference(logits[:, :num_tokens], expected)
