"""A LLaVA of a known shape with random weights: speed and memory depend on the shape alone."""

# ruff: noqa: T201  # part of a script that prints

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

FIRST_QUESTION = "Any effusion?"
SECOND_QUESTION = "Any fracture?"
"""As many tokens as the first: the tokenizer has one a byte."""
PROMPT = "USER: {image}\n{question} ASSISTANT:"
"""With the token that begins every text, 32 tokens beside the image's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What of a LLaVA decides how long it takes."""

    kind: str
    image_px: int
    width: int
    middle: int
    heads: int
    layers: int

    @property
    def patches(self) -> int:
        """Image tokens: a LLaVA has one a patch."""
        return (self.image_px // PATCH_PX) ** 2

    @property
    def prompt_tokens(self) -> int:
        """Of image and text, up to where the answer begins."""
        return self.patches + 1 + len(PROMPT.format(image="", question=FIRST_QUESTION))

    @property
    def num_operations(self) -> float:
        """Multiplications and additions with weights before the first token, no attention."""
        layer = 4 * self.width**2 + 2 * self.width * self.middle
        vision = self.patches * (self.layers - 1) * layer
        connector = self.patches * HIDDEN * (self.width + HIDDEN)
        language = self.prompt_tokens * (num_read_weights() - VOCABULARY * HIDDEN)
        return 2.0 * (vision + connector + language)


PATCH_PX = 14
SHAPES = {
    # SigLIP-so400m/14-384, the encoder of TinyLLaVA-1.5B
    "tinyllava-1.5b": Shape(
        kind="siglip", image_px=384, width=1152, middle=4304, heads=16, layers=27
    ),
    # CLIP-L/14-336, the encoder of LLaVA 1.5
    "clip-576": Shape(kind="clip", image_px=336, width=1024, middle=4096, heads=16, layers=24),
    # The same reading a small image: what a connector that folds patches would leave.
    "clip-64": Shape(kind="clip", image_px=112, width=1024, middle=4096, heads=16, layers=24),
}
# TinyLlama-1.1B, the language model of all three
HIDDEN, MIDDLE, LAYERS, HEADS, KV_HEADS, VOCABULARY = 2048, 5632, 22, 32, 4, 32064


def make_checkpoint(folder: Path, shape: Shape) -> None:
    """Write a LLaVA checkpoint with random weights; the folder appears whole or not at all."""
    if folder.exists():
        return
    print(f"Making {folder} …", file=sys.stderr)
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    tokenizer = _tokenizer()
    image_id = tokenizer.token_to_id("<image>")
    assert image_id is not None
    tokenizer.save(str(part / "tokenizer.json"))
    size = {"height": shape.image_px, "width": shape.image_px}
    files: dict[str, dict[str, Any]] = {
        "config.json": _config(shape, image_id),
        "tokenizer_config.json": {
            "bos_token": "<s>",
            "eos_token": "</s>",
            "tokenizer_class": "PreTrainedTokenizerFast",
            "chat_template": (
                "{% for message in messages %}{{ message['role'].upper() + ': ' }}"
                "{% for item in message['content'] %}{% if item['type'] == 'image' %}"
                "{{ '<image>\n' }}{% else %}{{ item['text'] }}{% endif %}{% endfor %} "
                "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
            ),
        },
        "preprocessor_config.json": {
            "size": size,
            "image_mean": [0.5] * 3,
            "image_std": [0.5] * 3,
            "resample": 3,
        },
    }
    for name, content in files.items():
        (part / name).write_text(json.dumps(content), encoding="utf-8")
    _write_tensors(part / "model.safetensors", dict(_tensor_shapes(shape)))
    part.rename(folder)


def _tokenizer() -> Tokenizer:
    """One token a byte, and as many that no text has as the embedding table has rows."""
    words = sorted(pre_tokenizers.ByteLevel.alphabet())
    control = ["<s>", "</s>", "<image>"]
    words += [f"<unused{n}>" for n in range(VOCABULARY - len(words) - len(control))]
    tokenizer = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in control])
    return tokenizer


def _config(shape: Shape, image_id: int) -> dict[str, Any]:
    is_clip = shape.kind == "clip"
    vision = {
        "model_type": f"{shape.kind}_vision_model",
        "image_size": shape.image_px,
        "patch_size": PATCH_PX,
        "hidden_size": shape.width,
        "intermediate_size": shape.middle,
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "hidden_act": "quick_gelu" if is_clip else "gelu_pytorch_tanh",
        "layer_norm_eps": 1e-5 if is_clip else 1e-6,
    }
    language = {
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": MIDDLE,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "vocab_size": VOCABULARY,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "max_position_embeddings": 2048,
        "bos_token_id": image_id - 2,
        "eos_token_id": image_id - 1,
        "tie_word_embeddings": False,
    }
    return {
        "architectures": ["LlavaForConditionalGeneration"],
        "model_type": "llava",
        "dtype": "bfloat16",
        "image_token_index": image_id,
        "image_seq_length": shape.patches,
        "projector_hidden_act": "gelu",
        "vision_feature_layer": -2,
        "vision_feature_select_strategy": "default" if is_clip else "full",
        "tie_word_embeddings": False,
        "vision_config": vision if is_clip else vision | {"vision_use_head": False},
        "text_config": language,
    }


def _tensor_shapes(shape: Shape) -> Iterator[tuple[str, list[int]]]:
    """Every tensor's name, as transformers saves it, and shape."""
    width, keys = shape.width, KV_HEADS * HIDDEN // HEADS
    yield "language_model.model.embed_tokens.weight", [VOCABULARY, HIDDEN]
    yield "language_model.lm_head.weight", [VOCABULARY, HIDDEN]
    yield "language_model.model.norm.weight", [HIDDEN]
    for layer in range(LAYERS):
        name = f"language_model.model.layers.{layer}."
        for norm in ("input", "post_attention"):
            yield f"{name}{norm}_layernorm.weight", [HIDDEN]
        for part, rows in {"q": HIDDEN, "k": keys, "v": keys, "o": HIDDEN}.items():
            yield f"{name}self_attn.{part}_proj.weight", [rows, HIDDEN]
        yield f"{name}mlp.gate_proj.weight", [MIDDLE, HIDDEN]
        yield f"{name}mlp.up_proj.weight", [MIDDLE, HIDDEN]
        yield f"{name}mlp.down_proj.weight", [HIDDEN, MIDDLE]
    linears = {
        "multi_modal_projector.linear_1": [HIDDEN, width],
        "multi_modal_projector.linear_2": [HIDDEN, HIDDEN],
    }
    vision = "vision_tower.vision_model."
    norms = [f"{vision}post_layernorm"]
    yield f"{vision}embeddings.patch_embedding.weight", [width, 3, PATCH_PX, PATCH_PX]
    is_clip = shape.kind == "clip"
    yield f"{vision}embeddings.position_embedding.weight", [shape.patches + is_clip, width]
    if is_clip:
        yield f"{vision}embeddings.class_embedding", [width]
        norms.append(f"{vision}pre_layrnorm")
    else:
        yield f"{vision}embeddings.patch_embedding.bias", [width]
    for layer in range(shape.layers):
        name = f"{vision}encoder.layers.{layer}."
        norms += [f"{name}layer_norm{n}" for n in (1, 2)]
        linears |= {f"{name}self_attn.{part}_proj": [width, width] for part in ("q", "k", "v")}
        linears[f"{name}self_attn.out_proj"] = [width, width]
        linears |= {
            f"{name}mlp.fc1": [shape.middle, width],
            f"{name}mlp.fc2": [width, shape.middle],
        }
    for name, size in linears.items():
        yield f"{name}.weight", size
        yield f"{name}.bias", size[:1]
    for name in norms:
        yield f"{name}.weight", [width]
        yield f"{name}.bias", [width]


def _write_tensors(path: Path, shapes: dict[str, list[int]]) -> None:
    """A safetensors file of random bfloat16 values, written one tensor at a time."""
    rng = np.random.default_rng(0)
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    row = json.dumps(header).encode()
    row += b" " * (-len(row) % 8)
    with path.open("wb") as file:
        file.write(len(row).to_bytes(8, "little") + row)
        for name, shape in shapes.items():
            values = rng.standard_normal(shape, dtype=np.float32) * np.float32(0.02)
            if "norm" in name and name.endswith("weight"):
                values += 1
            file.write((values.view(np.uint32) >> 16).astype("<u2").tobytes())


def num_read_weights() -> int:
    """Weights of the language model that every token is multiplied with."""
    keys = KV_HEADS * HIDDEN // HEADS
    return LAYERS * HIDDEN * (2 * HIDDEN + 2 * keys + 3 * MIDDLE) + VOCABULARY * HIDDEN
