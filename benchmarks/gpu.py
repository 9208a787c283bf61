"""Memory and speed of bf16, int8 and nf4 on a GPU, at the published models' shapes.

Random weights made on the device, a layer at a time: neither memory nor speed depends on what
they are. `nf4+16-bit vision` is what the published 4-bit build keeps: vision encoder and
connector in 16 bits. Static bytes are counted as the published figures are, parameters and
buffers, and once more with the scales that those leave out.

Example:
    python benchmarks/gpu.py --shape tinyllava-1.5b --shape llava-med-7b
"""

# ruff: noqa: T201  # a script that prints its table

from __future__ import annotations

import argparse
import copy
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    CLIPVisionConfig,
    DynamicCache,
    LlamaConfig,
    LlavaConfig,
)

from tinymed.engines.torch.devices import find_device, half_precision, synchronize
from tinymed.engines.torch.quantized import (
    PACKED,
    bitsandbytes_layers,
    buffers_to,
    check_quantized,
    dials_of,
    layers_to_pack,
    static_bytes,
)
from tinymed.models.checkpoint import empty_model, place
from tinymed.models.schemes import find_scheme
from tinymed.models.shape.known import find_config, find_shape
from tinymed.runs import environment

ROWS: dict[str, tuple[str, dict[str, str]]] = {
    "bf16": ("torch-bf16", {}),
    "int8": ("int8", {}),
    "nf4": ("nf4", {}),
    "nf4+16-bit vision": ("nf4", {"vision_encoder": "bf16", "connector": "bf16"}),
}
QUESTION_TOKENS = 32
MIB = 2**20


def main() -> None:
    """Measure, print a Markdown table, write JSON."""
    options = _options()
    if options.device != "cpu" and not torch.cuda.is_available():
        sys.exit("torch finds no NVIDIA GPU here; run this on a machine with one.")
    device = find_device(options.device)
    report: dict[str, Any] = {"conditions": _conditions(device, options), "rows": []}
    for shape in options.shape or ["tinyllava-1.5b", "llava-med-7b"]:
        for name, (scheme, precisions) in ROWS.items():
            row = _measure(_SHAPES[shape](), scheme, precisions, device, options)
            report["rows"].append({"shape": shape, "weights": name, **row})
            print(f"{shape} {name}: done", file=sys.stderr)
    _print(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Memory and speed of torch's schemes on a GPU.")
    parser.add_argument("--shape", action="append", choices=_SHAPES, help="default: both models")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--decode", type=int, default=32, help="tokens after the first")
    parser.add_argument("--runs", type=int, default=5, help="after one to warm up")
    parser.add_argument("--json", type=Path, help="write the report here too")
    return parser.parse_args()


def _known(name: str) -> LlavaConfig:
    """A known model with the encoder's layers that are run, whose last state is read."""
    config = find_config(name)
    layers = {"num_hidden_layers": find_shape(name).vision.layers}
    vision = config["vision_config"] | layers
    given = {key: value for key, value in config.items() if key not in ("source", "model_type")}
    return LlavaConfig(**given | {"vision_config": vision, "vision_feature_layer": -1})


def _tiny() -> LlavaConfig:
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    vision = CLIPVisionConfig(num_attention_heads=2, image_size=28, patch_size=7, **shape)
    text = LlamaConfig(vocab_size=300, num_attention_heads=4, num_key_value_heads=2, **shape)
    return LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=3,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
    )


_SHAPES: dict[str, Callable[[], LlavaConfig]] = {
    "tinyllava-1.5b": partial(_known, "tinyllava-1.5b"),
    "llava-med-7b": partial(_known, "llava-med-7b"),
    "tiny": _tiny,
}


def _measure(
    config: LlavaConfig,
    scheme: str,
    precisions: dict[str, str],
    device: torch.device,
    options: argparse.Namespace,
) -> dict[str, float]:
    model = _random_model(config, scheme, precisions, device)
    if device.type == "cuda":
        # What making the model took is no part of running it.
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    taken = static_bytes(model)
    row = {
        "parameters_millions": round(_num_weights(config) / 1e6, 1),
        "static_mib": round(taken.parameters / MIB, 3),
        "static_with_scales_mib": round(taken.all / MIB, 3),
    }
    side = config.vision_config.image_size
    pixels = torch.zeros(1, 3, side, side, device=device, dtype=half_precision(device))
    times = [_answer(model, pixels, options.decode) for _ in range(options.runs + 1)][1:]
    row["ttft_ms"] = round(statistics.median(first for first, _ in times), 2)
    row["decode_tokens_per_s"] = round(
        options.decode / (statistics.median(rest for _, rest in times) / 1000), 1
    )
    if device.type == "cuda":
        row["peak_allocated_mib"] = round(torch.cuda.max_memory_allocated(device) / MIB, 1)
        row["peak_reserved_mib"] = round(torch.cuda.max_memory_reserved(device) / MIB, 1)
    return row


def _random_model(
    config: LlavaConfig, scheme: str, precisions: dict[str, str], device: torch.device
) -> Any:
    """A model of random matrices; packed ones are copies of one per shape, made once."""
    model = empty_model(config)
    half = half_precision(device)
    dials = dials_of(find_scheme(scheme), precisions)
    packed = layers_to_pack(model, dials)
    made: dict[tuple[int, ...], dict[str, torch.Tensor]] = {}
    shapes = {name: tuple(value.shape) for name, value in model.named_parameters()}
    for name, shape in shapes.items():
        layer, _, own = name.rpartition(".")
        if layer not in packed:
            place(model, name, 0.02 * torch.randn(shape, device=device, dtype=half))
        elif own == "weight":
            bits = bitsandbytes_layers()
            if shape not in made:
                made[shape] = bits.pack(0.02 * torch.randn(shape), packed[layer])
            linear = model.get_submodule(layer)
            assert isinstance(linear, nn.Linear)
            # Each layer has memory of its own, as in a real model.
            tensors = {key: value.clone() for key, value in made[shape].items()}
            tensors["bias"] = torch.zeros(linear.out_features)
            model.set_submodule(
                layer, bits.packed_layer(linear, tensors, device=device, dtype=half), strict=True
            )
    buffers_to(model, device)
    check_quantized(model, dials)
    assert bool(packed) == (dials["language_model"] in PACKED)
    return model


def _num_weights(config: LlavaConfig) -> int:
    return sum(value.numel() for value in empty_model(copy.deepcopy(config)).parameters())


@torch.inference_mode()
def _answer(model: Any, pixels: torch.Tensor, decode: int) -> tuple[float, float]:
    """Milliseconds to the first token, image included, and of `decode` more."""
    synchronize(pixels.device)
    start = time.perf_counter()
    tower, connector = model.model.vision_tower, model.model.multi_modal_projector
    seen = tower(pixels, output_hidden_states=True).hidden_states[-1]
    if model.config.vision_feature_select_strategy == "default":
        seen = seen[:, 1:]
    question = torch.ones(1, QUESTION_TOKENS, dtype=torch.int64, device=pixels.device)
    embed = model.get_input_embeddings()
    embeds = torch.cat([connector(seen).flatten(1, -2), embed(question)], dim=1)
    cache = DynamicCache()
    token = _next(model, embeds, cache)
    int(token)
    synchronize(pixels.device)
    first = time.perf_counter()
    for _ in range(decode):
        token = _next(model, embed(token.reshape(1, 1)), cache)
        # As an answer is written: each token is looked at before the next one is read.
        int(token)
    synchronize(pixels.device)
    return 1000 * (first - start), 1000 * (time.perf_counter() - first)


def _next(model: Any, embeds: torch.Tensor, cache: DynamicCache) -> torch.Tensor:
    hidden = model.model.language_model(
        inputs_embeds=embeds, past_key_values=cache, use_cache=True
    ).last_hidden_state
    token: torch.Tensor = model.lm_head(hidden[:, -1]).argmax()
    return token


def _conditions(device: torch.device, options: argparse.Namespace) -> dict[str, Any]:
    is_gpu = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if is_gpu else platform.processor() or "cpu",
        "cuda": torch.version.cuda,
        "half_precision": str(half_precision(device)).removeprefix("torch."),
        "question_tokens": QUESTION_TOKENS,
        "decode_tokens": options.decode,
        "runs": options.runs,
        **environment("torch", "transformers", "bitsandbytes"),
    }


def _print(report: dict[str, Any]) -> None:
    columns = list(report["rows"][0])
    print("| " + " | ".join(column.replace("_", " ") for column in columns) + " |")
    print("|" + "---|" * len(columns))
    for row in report["rows"]:
        print("| " + " | ".join(str(row[column]) for column in columns) + " |")
    print()
    print("; ".join(f"{name} {value}" for name, value in report["conditions"].items()) + ".")


if __name__ == "__main__":
    main()
