"""Tiny random checkpoints as the code of LLaVA and of LLaVA-Med writes them."""

from __future__ import annotations

import itertools
import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

TEXT_WIDTH, TEXT_LAYERS, TEXT_HEADS = 32, 2, 4
VISION_WIDTH, VISION_LAYERS, VISION_HEADS = 128, 3, 2
PATCH_PX = 14
NORM_EPS = 1e-2
"""Far from published values and defaults, so that it shows where it is not heeded."""
SYLLABLES = ["he", "▁t", "▁the", "er", "in", "▁i", "▁is", "▁a", "SE", "US", "USE", "▁USE", "IN"]
LETTERS = [chr(code) for code in range(33, 127)]
PIECES = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *SYLLABLES, "▁"]
VOCABULARY = [*PIECES, *(letter for letter in LETTERS if letter not in PIECES)]

Tensors = dict[str, Tensor]


def _varint(value: int) -> bytes:
    content = b""
    while value > 127:
        content += bytes([value & 127 | 128])
        value >>= 7
    return content + bytes([value])


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def sentencepiece_model(*, model_type: int = 2) -> bytes:
    """A tokenizer.model: every piece's score is better than that of the one behind it."""
    content = b""
    for index, piece in enumerate(VOCABULARY):
        kind = 2 if index == 0 else 3 if index < 3 else 6 if index < 259 else 1
        score = struct.pack("<f", 0.0 if index < 259 else 259.0 - index)
        fields = _field(1, piece.encode()) + _varint(2 << 3 | 5) + score
        content += _field(1, fields + _varint(3 << 3) + _varint(kind))
    return content + _field(2, _varint(3 << 3) + _varint(model_type))


def spoken_ids(text: str) -> list[int]:
    """Token ids as SentencePiece makes them: the best neighbours are joined first."""
    pieces = list("▁" + text.replace(" ", "▁"))
    while True:
        ranks = {
            VOCABULARY.index(a + b): i
            for i, (a, b) in reversed(list(enumerate(itertools.pairwise(pieces))))
            if a + b in VOCABULARY[259:]
        }
        if not ranks:
            break
        best = ranks[min(ranks)]
        pieces[best : best + 2] = [pieces[best] + pieces[best + 1]]
    ids = []
    for piece in pieces:
        known = piece in VOCABULARY[259:]
        ids += [VOCABULARY.index(piece)] if known else [3 + byte for byte in piece.encode()]
    return ids


def published_chunks(prompt: str, image: str = "<image>") -> list[list[int]]:
    """Token ids around the image, as `tokenizer_image_token` makes them of a one-turn prompt."""
    before, behind = prompt.split(image)
    return [[1, *spoken_ids(before)], spoken_ids(behind)]


def noise(seed: int) -> Any:
    generator = torch.Generator().manual_seed(seed)

    def make(*shape: int, scale: float | None = None) -> Tensor:
        values = torch.randn(*shape, generator=generator)
        return values * (scale if scale is not None else 1 / math.sqrt(shape[-1]))

    return make


def language_tensors(*, num_rows: int, num_kv_heads: int, seed: int) -> Tensors:
    make, wide = noise(seed), 48
    narrow = TEXT_WIDTH // TEXT_HEADS * num_kv_heads
    tensors = {
        "model.embed_tokens.weight": make(num_rows, TEXT_WIDTH, scale=1.0),
        "model.norm.weight": 1 + make(TEXT_WIDTH),
        "lm_head.weight": make(num_rows, TEXT_WIDTH),
    }
    for layer in range(TEXT_LAYERS):
        below = f"model.layers.{layer}."
        tensors |= {
            f"{below}self_attn.q_proj.weight": make(TEXT_WIDTH, TEXT_WIDTH),
            f"{below}self_attn.k_proj.weight": make(narrow, TEXT_WIDTH),
            f"{below}self_attn.v_proj.weight": make(narrow, TEXT_WIDTH),
            f"{below}self_attn.o_proj.weight": make(TEXT_WIDTH, TEXT_WIDTH),
            f"{below}mlp.gate_proj.weight": make(wide, TEXT_WIDTH),
            f"{below}mlp.up_proj.weight": make(wide, TEXT_WIDTH),
            f"{below}mlp.down_proj.weight": make(TEXT_WIDTH, wide),
            f"{below}input_layernorm.weight": 1 + make(TEXT_WIDTH),
            f"{below}post_attention_layernorm.weight": 1 + make(TEXT_WIDTH),
        }
    return tensors


def vision_tensors(prefix: str, *, size_px: int, seed: int) -> Tensors:
    make, wide = noise(seed), 96
    num_patches = (size_px // PATCH_PX) ** 2
    tensors = {
        "embeddings.class_embedding": make(VISION_WIDTH),
        "embeddings.patch_embedding.weight": make(VISION_WIDTH, 3, PATCH_PX, PATCH_PX) / 4,
        "embeddings.position_embedding.weight": make(num_patches + 1, VISION_WIDTH, scale=0.3),
    }
    for norm in ("pre_layrnorm", "post_layernorm"):
        tensors[f"{norm}.weight"] = 1 + make(VISION_WIDTH)
        tensors[f"{norm}.bias"] = make(VISION_WIDTH)
    for layer in range(VISION_LAYERS):
        shapes = {f"self_attn.{n}_proj": (VISION_WIDTH, VISION_WIDTH) for n in ("q", "k", "v")}
        shapes["self_attn.out_proj"] = (VISION_WIDTH, VISION_WIDTH)
        shapes |= {"mlp.fc1": (wide, VISION_WIDTH), "mlp.fc2": (VISION_WIDTH, wide)}
        for name, shape in shapes.items():
            tensors[f"encoder.layers.{layer}.{name}.weight"] = make(*shape)
            tensors[f"encoder.layers.{layer}.{name}.bias"] = make(shape[0])
        for norm in ("layer_norm1", "layer_norm2"):
            tensors[f"encoder.layers.{layer}.{norm}.weight"] = 1 + make(VISION_WIDTH)
            tensors[f"encoder.layers.{layer}.{norm}.bias"] = make(VISION_WIDTH)
    return {prefix + name: value for name, value in tensors.items()}


def mlp2x_tensors(*, seed: int) -> Tensors:
    make = noise(seed)
    return {
        "model.mm_projector.0.weight": make(TEXT_WIDTH, VISION_WIDTH),
        "model.mm_projector.0.bias": make(TEXT_WIDTH),
        "model.mm_projector.2.weight": make(TEXT_WIDTH, TEXT_WIDTH),
        "model.mm_projector.2.bias": make(TEXT_WIDTH),
    }


def llava_config(**others: Any) -> dict[str, Any]:
    """config.json with the keys of llava-v1.5-7b."""
    return {
        "_name_or_path": "llava-v1.5-7b",
        "architectures": ["LlavaLlamaForCausalLM"],
        "bos_token_id": 1,
        "eos_token_id": 2,
        "freeze_mm_mlp_adapter": False,
        "freeze_mm_vision_resampler": False,
        "hidden_act": "silu",
        "hidden_size": TEXT_WIDTH,
        "image_aspect_ratio": "pad",
        "initializer_range": 0.02,
        "intermediate_size": 48,
        "max_length": 4096,
        "max_position_embeddings": 4096,
        "mm_hidden_size": VISION_WIDTH,
        "mm_projector_type": "mlp2x_gelu",
        "mm_resampler_type": None,
        "mm_use_im_patch_token": False,
        "mm_use_im_start_end": False,
        "mm_vision_select_feature": "patch",
        "mm_vision_select_layer": -2,
        "mm_vision_tower": "openai/clip-vit-large-patch14-336",
        "model_type": "llava",
        "num_attention_heads": TEXT_HEADS,
        "num_hidden_layers": TEXT_LAYERS,
        "num_key_value_heads": TEXT_HEADS,
        "pad_token_id": 0,
        "pretraining_tp": 1,
        "rms_norm_eps": NORM_EPS,
        "rope_scaling": None,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "transformers_version": "4.31.0",
        "tune_mm_mlp_adapter": False,
        "unfreeze_mm_vision_tower": False,
        "use_cache": True,
        "use_mm_proj": True,
        "vocab_size": len(VOCABULARY),
    } | others


MISTRAL = {
    "architectures": ["LlavaMistralForCausalLM"],
    "model_type": "llava_mistral",
    "num_key_value_heads": 2,
    "rope_theta": 1000000.0,
    "sliding_window": None,
    "transformers_version": "4.36.2",
}
"""What a Mistral changes in `llava_config`."""


def write_tokenizer(folder: Path, *, legacy: bool = False, **others: Any) -> None:
    (folder / "tokenizer.model").write_bytes(sentencepiece_model())
    special = {
        "bos_token": {"__type": "AddedToken", "content": "<s>", "lstrip": False},
        "eos_token": {"__type": "AddedToken", "content": "</s>", "lstrip": False},
        "unk_token": "<unk>",
    }
    settings = {
        "add_bos_token": True,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "legacy": legacy,
        "model_max_length": 2048,
        "padding_side": "right",
        "tokenizer_class": "LlamaTokenizer",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | special | others))
    (folder / "special_tokens_map.json").write_text(json.dumps({"pad_token": "<unk>"}))


def write_folder(
    folder: Path, config: Mapping[str, Any], tensors: Tensors, *, kind: str = "safetensors"
) -> Path:
    """Write config.json and the weights in two files with an index, or in one torch file."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    if kind == "bin":
        torch.save(tensors, folder / "pytorch_model.bin")
        return folder
    placed = {
        name: f"model-0000{1 + index % 2}-of-00002.safetensors"
        for index, name in enumerate(tensors)
    }
    for file in set(placed.values()):
        held = {name: value.contiguous() for name, value in tensors.items() if placed[name] == file}
        save_file(held, folder / file, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": placed}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def write_stock_tower(folder: Path, *, size_px: int, seed: int = 7) -> Tensors:
    """A whole CLIP, as openai/clip-vit-large-patch14 is published; gives what LLaVA uses."""
    vision = vision_tensors("vision_model.", size_px=size_px, seed=seed)
    buffer = {"vision_model.embeddings.position_ids": torch.arange((size_px // PATCH_PX) ** 2 + 1)}
    others = {"text_model.final_layer_norm.weight": torch.ones(4), "logit_scale": torch.ones(())}
    settings = {
        "hidden_size": VISION_WIDTH,
        "num_attention_heads": VISION_HEADS,
        "num_hidden_layers": VISION_LAYERS,
    }
    config = {"model_type": "clip", "architectures": ["CLIPModel"], "vision_config": settings}
    write_folder(folder, config, vision | buffer | others, kind="bin")
    return vision


def llava_tensors(*, size_px: int, num_kv_heads: int, own_tower: bool) -> Tensors:
    tensors = language_tensors(num_rows=len(VOCABULARY), num_kv_heads=num_kv_heads, seed=1)
    tensors |= mlp2x_tensors(seed=2)
    if own_tower:
        prefix = "model.vision_tower.vision_tower.vision_model."
        tensors |= vision_tensors(prefix, size_px=size_px, seed=3)
    return tensors
