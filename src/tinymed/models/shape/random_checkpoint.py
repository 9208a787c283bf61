"""A LLaVA checkpoint of a known shape with random weights: speed and memory need no others."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from tinymed.errors import ModelError
from tinymed.models.headers.safetensors_start import safetensors_start
from tinymed.models.shape.known import find_config
from tinymed.models.shape.parts import read_parts
from tinymed.models.shape.read import read_shape
from tinymed.models.shape.shape import ModelShape, TensorShape
from tinymed.runs import sync_folder

OnProgress = Callable[[int, int], None]
"""Called with the bytes written so far and those that there will be."""

BYTES_PER_WEIGHT = 2
"""bfloat16."""
_NUM_RANDOM = 2**22 - 3
"""Numbers that are made and then written again and again, each tensor beginning elsewhere.
Odd, so that no two rows of a matrix are the same."""
_STEP = 1_000_003
"""From where a tensor begins in them to where the next one does."""
_DEVIATION = 0.02
_SMALL_FILES_BYTES = 16 * 2**20
_CONTROL = ("<s>", "</s>", "<image>")
_CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'].upper() + ': ' }}"
    "{% for item in message['content'] %}{% if item['type'] == 'image' %}"
    "{{ '<image>\n' }}{% else %}{{ item['text'] }}{% endif %}{% endfor %} "
    "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)


def make_random_checkpoint(
    model: str | Mapping[str, Any], folder: Path, *, on_progress: OnProgress | None = None
) -> Path:
    """Write a LLaVA checkpoint that our engines and transformers open as any other.

    Weights are bfloat16, normal with a standard deviation of 0.02 (weights of norms: around 1),
    the same in every run. The tokenizer has one token a byte. Written at the disk's speed, with
    some 32 MiB of memory; the folder appears whole or not at all.

    Args:
        model: What `find_config` takes, such as "tinyllava-1.5b", or a config.json's content.
        folder: Where it goes; nothing may be there.
        on_progress: Told how far it is, after each tensor.

    Returns:
        The folder.

    Raises:
        ModelError: If it is no LLaVA that our engines can build, something is there already, or
            the disk has no room.
    """
    config = find_config(model) if isinstance(model, str) else dict(model)
    shape = read_shape(config, name=model if isinstance(model, str) else folder.name)
    _refuse(shape, folder)
    part = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        _check_room(shape, folder.parent)
        _write_small_files(part, config, shape)
        _write_tensors(part / "model.safetensors", shape.tensors, on_progress)
        sync_folder(part)
        part.rename(folder)
        sync_folder(folder.parent)
    except OSError as error:
        raise ModelError(
            f"Cannot write the checkpoint '{folder}': {error.strerror or error}."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _refuse(shape: ModelShape, folder: Path) -> None:
    if shape.runs_only_in_transformers:
        raise ModelError(
            f"Random weights are made of models that our engines can build, not of "
            f"'{shape.name}': {shape.runs_only_in_transformers}"
        )
    least = len(pre_tokenizers.ByteLevel.alphabet()) + len(_CONTROL)
    if shape.text.vocabulary < least:
        raise ModelError(
            f"'{shape.name}' has a vocabulary of {shape.text.vocabulary}: random weights need one "
            f"of {least} or more."
        )
    if folder.exists():
        raise ModelError(f"'{folder}' is there already: remove it, or name another folder.")


def _check_room(shape: ModelShape, parent: Path) -> None:
    needed = BYTES_PER_WEIGHT * shape.num_weights() + _SMALL_FILES_BYTES
    free = shutil.disk_usage(parent).free
    if free < needed:
        raise ModelError(
            f"A checkpoint of '{shape.name}' takes {needed:,} bytes and '{parent}' has {free:,} "
            "free: make room, or name a folder on another disk."
        )


def _write_small_files(folder: Path, config: Mapping[str, Any], shape: ModelShape) -> None:
    tokenizer = _tokenizer(shape.text.vocabulary)
    tokenizer.save(str(folder / "tokenizer.json"))
    is_clip = shape.vision.encoder == "clip"
    size = {"height": shape.vision.image_px, "width": shape.vision.image_px}
    files: dict[str, dict[str, Any]] = {
        "config.json": _whole_config(config, shape, tokenizer),
        "tokenizer_config.json": {
            "bos_token": "<s>",
            "eos_token": "</s>",
            "tokenizer_class": "PreTrainedTokenizerFast",
            "chat_template": _CHAT_TEMPLATE,
        },
        "preprocessor_config.json": {
            "image_processor_type": f"{'CLIP' if is_clip else 'Siglip'}ImageProcessorPil",
            "size": size,
            "do_center_crop": False,
            "image_mean": [0.5] * 3,
            "image_std": [0.5] * 3,
            "resample": 3,
        },
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _tokenizer(vocabulary: int) -> Tokenizer:
    """One token a byte, and as many that no text has as the embedding table has rows."""
    words = sorted(pre_tokenizers.ByteLevel.alphabet())
    words += [f"<unused{n}>" for n in range(vocabulary - len(words) - len(_CONTROL))]
    tokenizer = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in _CONTROL])
    return tokenizer


def _whole_config(
    config: Mapping[str, Any], shape: ModelShape, tokenizer: Tokenizer
) -> dict[str, Any]:
    """The configuration with the tokenizer's ids, and with every size that it leaves out."""
    begin, end, image = (tokenizer.token_to_id(token) for token in _CONTROL)
    vision, text = shape.vision, shape.text
    parts = read_parts(config, name=shape.name)
    sizes = {
        "image_size": vision.image_px,
        "patch_size": vision.patch_px,
        "hidden_size": vision.width,
        "intermediate_size": vision.middle,
        "num_attention_heads": vision.heads,
        # Those that LLaVA leaves out too.
        "num_hidden_layers": parts.vision.number("num_hidden_layers"),
    }
    language = {
        "vocab_size": text.vocabulary,
        "hidden_size": text.width,
        "intermediate_size": text.middle,
        "num_hidden_layers": text.layers,
        "num_attention_heads": text.heads,
        "num_key_value_heads": text.key_heads,
        "max_position_embeddings": text.context_tokens,
        "tie_word_embeddings": text.is_tied,
        "bos_token_id": begin,
        "eos_token_id": end,
        "pad_token_id": None,
    }
    ignored = {"source", "pad_token_id", "image_token_id"}
    return {name: value for name, value in config.items() if name not in ignored} | {
        "architectures": ["LlavaForConditionalGeneration"],
        "dtype": "bfloat16",
        "image_token_index": image,
        "image_seq_length": shape.image_tokens,
        "tie_word_embeddings": text.is_tied,
        "vision_config": {**parts.vision.values, **sizes},
        "text_config": {"rms_norm_eps": 1e-5, **parts.text.values, **language},
    }


def _write_tensors(
    path: Path, tensors: tuple[TensorShape, ...], on_progress: OnProgress | None
) -> None:
    """A safetensors file, as a stream."""
    rows = [(one.name, "BF16", one.shape, BYTES_PER_WEIGHT * one.num_weights) for one in tensors]
    total = sum(num_bytes for *_, num_bytes in rows)
    weights, norms = _random_bytes()
    done = 0
    with path.open("wb") as file:
        file.write(safetensors_start(rows, {"format": "pt"}))
        for index, (tensor, (*_, num_bytes)) in enumerate(zip(tensors, rows, strict=True)):
            source = norms if tensor.kind == "norm" else weights
            start = BYTES_PER_WEIGHT * (index * _STEP % _NUM_RANDOM)
            _write_around(file, source, start=start, num_bytes=num_bytes)
            done += num_bytes
            if on_progress is not None:
                on_progress(done, total)
        file.flush()
        os.fsync(file.fileno())


def _random_bytes() -> tuple[memoryview, memoryview]:
    """bfloat16 numbers around 0 and around 1, the same each time."""
    values = np.random.default_rng(0).standard_normal(_NUM_RANDOM, dtype=np.float32)
    values *= np.float32(_DEVIATION)
    around_zero = (values.view(np.uint32) >> 16).astype("<u2")
    values += 1
    around_one = (values.view(np.uint32) >> 16).astype("<u2")
    return around_zero.data.cast("B"), around_one.data.cast("B")


def _write_around(file: BinaryIO, source: memoryview, *, start: int, num_bytes: int) -> None:
    """Write out of a block as often around as it takes."""
    while num_bytes:
        piece = source[start : start + num_bytes]
        file.write(piece)
        num_bytes -= len(piece)
        start = 0
