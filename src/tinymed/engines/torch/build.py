"""A model's build for torch: packed matrices that are read back as they are.

One safetensors file a part, under transformers' names and in bitsandbytes' own layout, so that
nothing is quantized at load and no original is needed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from tinymed.engines.torch.allocator import give_large_pieces_back
from tinymed.engines.torch.devices import find_device, half_precision
from tinymed.engines.torch.engine import Loaded, TorchEngine
from tinymed.engines.torch.quantized import (
    OUTPUT_LAYER,
    PACKED,
    Dials,
    bitsandbytes_layers,
    buffers_to,
    check_dials_act,
    check_quantized,
    dial_of,
    dials_of,
    float_type,
    layers_to_pack,
    part_of,
)
from tinymed.errors import ModelError
from tinymed.models.build import TOKENIZER, Build, BuildPart, load_prompt, read_build, write_build
from tinymed.models.checkpoint import (
    CONTEXT_TOKENS,
    Model,
    ModelConfig,
    as_tensor,
    check_whole,
    config_from_row,
    empty_model,
    model_config,
    place,
    tensor_readers,
)
from tinymed.models.importers.safetensors_file import TensorFacts, write_safetensors
from tinymed.models.language_gguf import Array
from tinymed.models.prompt import build_prompt
from tinymed.models.schemes import PARTS, Scheme
from tinymed.models.weights import ModelWeights
from tinymed.runs import environment

if TYPE_CHECKING:
    from tinymed.engines.torch.packed import PackedPrecision

CONFIG = "config.json"


def build_torch(
    weights: ModelWeights,
    folder: Path,
    *,
    scheme: Scheme,
    precisions: Mapping[str, str] | None = None,
) -> Build:
    """Write a model's build; the folder appears whole or not at all.

    One tensor is read, packed and written at a time: memory holds no more of a model than its
    largest one, in float32.

    Args:
        weights: What to build from.
        folder: Where the build goes; an older one there is replaced.
        scheme: Of the engine "torch".
        precisions: Of single parts or the output layer, where they are to differ from the
            scheme's.

    Raises:
        ConfigError: If a part or a precision is unknown, or a precision asked for would
            change nothing.
        ModelError: If a tensor of the model is missing or does not fit.
        MissingExtraError: If bitsandbytes is not installed.
    """
    image_id = build_prompt(weights.tokenizer, weights.template).image_id
    model = empty_model(model_config(weights, image_id=image_id))
    dials = dials_of(scheme, precisions)
    packed = layers_to_pack(model, dials)
    asked = {part: how for part, how in dials.items() if part in (precisions or {})}
    check_dials_act(packed, asked)
    return write_build(folder, partial(_write_files, weights, scheme, model, dials))


def open_torch_build(
    folder: Path, *, threads: int | None = None, device: str = "auto"
) -> TorchEngine:
    """Open a build; the model it was made from is not needed.

    Args:
        folder: Where `build_torch` put it.
        threads: Processor threads; None lets torch choose.
        device: "auto", "cpu" or "cuda".

    Raises:
        ModelError: If the build is missing or damaged.
        HardwareError: If a GPU is asked for and there is none.
        MissingExtraError: If bitsandbytes is not installed.
    """
    build = read_build(folder)
    where = find_device(device)
    if where.type == "cpu":
        give_large_pieces_back()
    loaded = Loaded(
        model=load_model(build, where),
        device=where,
        prompt=load_prompt(build),
        scheme=build.scheme,
        name=build.model,
        preprocessing=build.preprocessing,
        digest=build.digest,
    )
    return TorchEngine.of(loaded, threads=threads)


def load_model(build: Build, device: torch.device) -> Model:
    """A build's model, tensor by tensor onto a device.

    Raises:
        ModelError: If a tensor is missing or left over, or a layer is not stored as the
            build's manifest says.
    """
    model = empty_model(_read_config(build.folder / CONFIG))
    half = half_precision(device)
    found: dict[str, str] = {}
    for part in PARTS:
        path = build.folder / f"{part}.safetensors"
        try:
            with safe_open(path, framework="pt", device=str(device)) as file:
                found |= _load_part(model, _by_layer(file.keys()), file, device, half)
        except (OSError, SafetensorError) as error:
            raise ModelError(f"'{path}' cannot be read: {error}. Build it again.") from error
    check_whole(model)
    buffers_to(model, device)
    dials = {part: build.precision(part) for part in PARTS}
    dials[OUTPUT_LAYER] = found.get("lm_head", "bf16")
    check_quantized(model, dials)
    return model


def _write_files(
    weights: ModelWeights, scheme: Scheme, model: Model, dials: Dials, folder: Path
) -> Build:
    readers = tensor_readers(weights, model)
    packed = layers_to_pack(model, dials)
    plans = [_planned(part, model, packed, dials) for part in PARTS]
    for plan in plans:
        _write_part(plan, readers, folder)
    (folder / CONFIG).write_text(json.dumps(model.config.to_dict(), indent=2), encoding="utf-8")
    (folder / TOKENIZER).write_text(weights.tokenizer.to_str(), encoding="utf-8")
    return Build(
        model=weights.name,
        description=weights.description,
        scheme=scheme.name,
        parts=tuple(plan.report for plan in plans),
        source_digest=weights.digest,
        template=weights.template,
        preprocessing=weights.preprocessing,
        num_image_tokens=weights.num_image_tokens,
        context_tokens=CONTEXT_TOKENS,
        made_with=environment("torch", "transformers", "bitsandbytes"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What a part's file will hold."""

    report: BuildPart
    facts: tuple[TensorFacts, ...]
    made_of: dict[str, tuple[str, PackedPrecision | None]]
    """Of each stored tensor: the model's tensor it is made of, and how that is packed."""


def _planned(part: str, model: Model, packed: Mapping[str, PackedPrecision], dials: Dials) -> _Plan:
    facts: list[TensorFacts] = []
    made_of: dict[str, tuple[str, PackedPrecision | None]] = {}
    kept, num_weights = [], 0
    for name, value in model.named_parameters():
        if part_of(name) != part:
            continue
        num_weights += value.numel()
        layer, shape = name.removesuffix(".weight"), tuple(value.shape)
        how = packed.get(layer) if layer != name else None
        if how is None:
            # bfloat16 in every file; a device without it converts.
            made = {name: (shape, float_type(dials[dial_of(name)], torch.bfloat16))}
            kept += [layer] if value.dim() > 1 else []
        else:
            stored = bitsandbytes_layers().packed_facts(shape, how)
            made = {f"{layer}.{own}": fact for own, fact in stored.items()}
        facts += [TensorFacts(name=own, shape=s, dtype=d) for own, (s, d) in made.items()]
        made_of |= dict.fromkeys(made, (name, how))
    acts = any(dial_of(layer) == part for layer in packed)
    report = BuildPart(
        name=part,
        # A scheme's precision means nothing to an encoder of convolutions alone.
        precision=dials[part] if acts or dials[part] not in PACKED else "bf16",
        num_weights=num_weights,
        num_bytes=sum(fact.num_bytes for fact in facts),
        kept=tuple(kept) if acts else (),
    )
    return _Plan(report=report, facts=tuple(facts), made_of=made_of)


def _write_part(plan: _Plan, readers: Mapping[str, Callable[[], Array]], folder: Path) -> None:
    now: dict[str, Tensor] = {}

    def value_of(fact: TensorFacts) -> Tensor:
        if fact.name not in now:
            now.clear()
            name, how = plan.made_of[fact.name]
            values = as_tensor(readers[name]())
            if how is None:
                now[name] = values.to(fact.dtype)
            else:
                layer = name.removesuffix(".weight")
                made = bitsandbytes_layers().pack(values, how)
                now.update({f"{layer}.{own}": tensor for own, tensor in made.items()})
        return now[fact.name]

    path = folder / f"{plan.report.name}.safetensors"
    write_safetensors(path, plan.facts, value_of, on_written=lambda _: None)


def _by_layer(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """The tensors of each layer, by what stands behind its name."""
    layers: dict[str, dict[str, str]] = {}
    for name in names:
        layer, _, own = name.partition(".weight.")
        if own:
            own = f"weight.{own}"
        else:
            layer, _, own = name.rpartition(".")
        layers.setdefault(layer, {})[own] = name
    return layers


def _load_part(
    model: nn.Module,
    layers: dict[str, dict[str, str]],
    file: Any,
    device: torch.device,
    half: torch.dtype,
) -> dict[str, str]:
    """Place one file's tensors.

    Returns:
        The precision of each packed layer.
    """
    bits = bitsandbytes_layers()
    found: dict[str, str] = {}
    places = {name for name, _ in model.named_parameters()}
    for layer, names in layers.items():
        tensors = {own: file.get_tensor(name) for own, name in names.items()}
        how = bits.packed_precision(tensors)
        if how is not None:
            linear = cast("nn.Linear", model.get_submodule(layer))
            try:
                made = bits.packed_layer(linear, tensors, device=device, dtype=half)
            except (KeyError, ValueError) as error:
                raise ModelError(
                    f"The build's layer '{layer}' lacks tensors ({error}); build it again."
                ) from error
            model.set_submodule(layer, made, strict=True)
            found[layer] = how
            continue
        for own, tensor in tensors.items():
            name = f"{layer}.{own}"
            if name not in places:
                raise ModelError(f"The build's tensor '{name}' has no place in its model.")
            place(model, name, tensor.to(half) if tensor.dtype == torch.bfloat16 else tensor)
    return found


def _read_config(path: Path) -> ModelConfig:
    try:
        return config_from_row(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ModelError(f"'{path}' cannot be read: {error}. Build it again.") from error
