"""Which matrices of a model are quantized, part by part, and the proof that they are.

A dial for each part and one for the output layer:

* `vision_encoder`, `connector`, `language_model`: "f32", "bf16", "f16", "int8" or "nf4";
* `output_layer`: the same; 16 bits where nothing is said and the language model is quantized,
  as in the published 4- and 8-bit builds. Without a dial for the parts, those builds leave the
  whole vision encoder in 16 bits too: more than half of their memory.

In a quantized part every `nn.Linear` is replaced; convolutions, embedding tables and norms
stay in 16 bits. What stays is named, and a layer that should have been replaced and was not
is an error: flags that are accepted and do nothing are how published numbers went wrong.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from tinymed.errors import ConfigError, ModelError
from tinymed.extras import require
from tinymed.models.schemes import PARTS, Scheme

if TYPE_CHECKING:
    from tinymed.engines.torch.packed import PackedPrecision

OUTPUT_LAYER = "output_layer"
FLOATS = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
PACKED = ("int8", "nf4")

_PLACES = (
    # In this order: some connectors stand inside of the vision encoder's module.
    (
        "connector",
        r"(multi_modal_projector|connector|visual\.(deepstack_)?merger\w*|image_newline)",
    ),
    ("vision_encoder", r"(vision_tower|vision_model|visual)"),
    ("language_model", r"(language_model|text_model)"),
)
"""Where transformers' classes keep their parts, behind "model."."""

Dials = Mapping[str, str]
"""A precision for each of PARTS and for OUTPUT_LAYER."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartReport:
    """What became of one part's matrices."""

    name: str
    """One of `schemes.PARTS`."""
    quantized: tuple[str, ...]
    """Layers that compute with packed matrices."""
    kept: tuple[str, ...]
    """Matrices, convolutions and tables that stay as they were."""


def dials_of(scheme: Scheme, precisions: Mapping[str, str] | None = None) -> Dials:
    """The dials of a scheme, some of them turned.

    Args:
        scheme: Of the engine "torch".
        precisions: Of single parts or OUTPUT_LAYER, where they are to differ.

    Raises:
        ConfigError: If a part or a precision is unknown.

    Example:
        >>> from tinymed.models.schemes import find_scheme
        >>> dials_of(find_scheme("nf4"), {"vision_encoder": "int8"})["output_layer"]
        'bf16'
    """
    chosen = {part: scheme.precision(part) for part in PARTS} | dict(precisions or {})
    for part, precision in chosen.items():
        if part not in (*PARTS, OUTPUT_LAYER):
            known = ", ".join((*PARTS, OUTPUT_LAYER))
            raise ConfigError(f"A model has no part '{part}'. Known: {known}.")
        if precision not in (*FLOATS, *PACKED):
            raise ConfigError(
                f"No precision '{precision}' for the {part.replace('_', ' ')} in torch. "
                f"Known: {', '.join((*FLOATS, *PACKED))}."
            )
    language = chosen["language_model"]
    chosen.setdefault(OUTPUT_LAYER, "bf16" if language in PACKED else language)
    return chosen


def dial_of(name: str) -> str:
    """Which dial a module or parameter of a transformers model hangs on.

    Raises:
        ModelError: If it stands in none of the known places.

    Example:
        >>> dial_of("model.visual.blocks.0.mlp.fc1"), dial_of("model.visual.merger.mlp.0")
        ('vision_encoder', 'connector')
        >>> dial_of("lm_head.weight"), dial_of("model.language_model.layers.0.mlp.up_proj")
        ('output_layer', 'language_model')
    """
    if re.match(r"lm_head\b", name):
        return OUTPUT_LAYER
    for part, pattern in _PLACES:
        if re.match(rf"model\.{pattern}(\.|$)", name):
            return part
    raise ModelError(
        f"The model's '{name}' belongs to no known part, so that no precision can be chosen for it."
    )


def part_of(name: str) -> str:
    """Which of `schemes.PARTS` a parameter counts for: the output layer is the language model's."""
    dial = dial_of(name)
    return "language_model" if dial == OUTPUT_LAYER else dial


def linear_layers(model: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    """Every plain linear layer by name; those that are tied to an embedding table too."""
    # Not isinstance: attention modules keep subclasses whose numbers they read themselves.
    for name, module in model.named_modules():
        if type(module) is nn.Linear:
            yield name, module


def layers_to_pack(model: nn.Module, dials: Dials) -> dict[str, PackedPrecision]:
    """The layers that are to be quantized, by name, and how.

    Raises:
        ConfigError: If the output layer is to be quantized and is the embedding table.
    """
    wanted = {name: dials[dial_of(name)] for name, _ in linear_layers(model)}
    packed = {name: how for name, how in wanted.items() if how in PACKED}
    tables = {id(table.weight) for table in model.modules() if isinstance(table, nn.Embedding)}
    for name in packed:
        if id(model.get_submodule(name).weight) in tables:
            raise ConfigError(
                f"The layer '{name}' is the embedding table, which stays in 16 bits: quantized "
                "it would be kept twice. Leave out the precision of the output layer."
            )
    return {name: cast("PackedPrecision", how) for name, how in packed.items()}


def quantize_model(
    model: nn.Module, dials: Dials, *, device: torch.device, half: torch.dtype
) -> tuple[PartReport, ...]:
    """Quantize a loaded model in place and move it to a device, one layer at a time.

    Args:
        model: A transformers model, on the processor.
        dials: From `dials_of`.
        device: Where it is to compute.
        half: What 16-bit precisions and the unquantized rest of quantized parts become.

    Returns:
        What was quantized and what was kept, by name.

    Raises:
        ConfigError: If the embedding table is to be quantized.
        ModelError: If a layer was left as it was.
        MissingExtraError: If bitsandbytes is not installed.
    """
    packed = layers_to_pack(model, dials)
    for name, precision in packed.items():
        bits = bitsandbytes_layers()
        linear = cast("nn.Linear", model.get_submodule(name))
        tensors = bits.pack(linear.weight, precision)
        if linear.bias is not None:
            tensors["bias"] = linear.bias.detach()
        model.set_submodule(
            name, bits.packed_layer(linear, tensors, device=device, dtype=half), strict=True
        )
    placed: dict[int, nn.Parameter] = {}
    for name, parameter in list(model.named_parameters(remove_duplicate=False)):
        if name.rpartition(".")[0] in packed:
            continue
        if id(parameter) not in placed:
            dtype = float_type(dials[dial_of(name)], half)
            value = parameter.detach().to(device=device, dtype=dtype)
            placed[id(parameter)] = nn.Parameter(value, requires_grad=False)
        folder, _, own = name.rpartition(".")
        setattr(model.get_submodule(folder), own, placed[id(parameter)])
    buffers_to(model, device)
    _convert_between_parts(model)
    check_quantized(model, dials)
    return part_reports(model)


def _convert_between_parts(model: nn.Module) -> None:
    """Let each part take what another part computed in other numbers."""
    patterns = [rf"model\.{pattern}" for _, pattern in _PLACES] + ["lm_head"]
    for name, module in model.named_modules():
        if not any(re.fullmatch(pattern, name) for pattern in patterns):
            continue
        types = {value.dtype for value in module.parameters() if value.is_floating_point()}
        # Of packed matrices alone any numbers are taken.
        if len(types) == 1:
            dtype = types.pop()
            module.register_forward_pre_hook(partial(_converted, dtype), with_kwargs=True)


def _converted(
    dtype: torch.dtype, _: nn.Module, positional: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    def convert(value: Any) -> Any:
        is_float = isinstance(value, Tensor) and value.is_floating_point()
        return value.to(dtype) if is_float else value

    keys = ("inputs_embeds", "pixel_values", "image_hidden_states", "hidden_states")
    changed = {key: convert(named[key]) for key in keys if key in named}
    return tuple(convert(value) for value in positional), named | changed


def float_type(precision: str, half: torch.dtype) -> torch.dtype:
    """In which numbers the unquantized tensors of a part are kept and computed with."""
    return half if precision in PACKED or precision == "bf16" else FLOATS[precision]


def buffers_to(model: nn.Module, device: torch.device) -> None:
    """Move a model's buffers; their numbers stay as wide as they are."""
    for module in model.modules():
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, buffer.to(device))


def check_dials_act(packed: Mapping[str, PackedPrecision], dials: Dials) -> None:
    """Refuse dials that would change nothing.

    Args:
        packed: The layers that will be quantized.
        dials: Those that somebody turned. A scheme's own may find nothing in a part: some
            vision encoders are all convolutions, and Gemma 3's connector has no layer.

    Raises:
        ConfigError: If a part is to be quantized and has no linear layer.
    """
    acting = {dial_of(name) for name in packed}
    idle = [part for part, precision in dials.items() if precision in PACKED and part not in acting]
    if idle:
        raise ConfigError(
            f"The {idle[0].replace('_', ' ')} of this model has no linear layer, so that "
            f"'{dials[idle[0]]}' would change nothing. Choose bf16 for it."
        )


def check_quantized(model: nn.Module, dials: Dials) -> None:
    """Make sure that every linear layer is of the class that its dial asks for.

    Raises:
        ModelError: If one is not, with its name.
    """
    wrong = []
    for name, module in model.named_modules():
        is_layer = type(module) is nn.Linear or _is_packed(module)
        if not is_layer:
            continue
        wanted = dials[dial_of(name)]
        if wanted in PACKED:
            right = bitsandbytes_layers().is_packed(module, wanted)
        else:
            right = type(module) is nn.Linear
        if not right:
            wrong.append(f"{name} ({wanted})")
    if wrong:
        raise ModelError(
            f"{len(wrong)} layers are not stored as they were asked to be (first: {wrong[:3]})."
        )


def part_reports(model: nn.Module) -> tuple[PartReport, ...]:
    """What of each part is quantized and what is kept, by name."""
    quantized: dict[str, list[str]] = {part: [] for part in PARTS}
    kept: dict[str, list[str]] = {part: [] for part in PARTS}
    for name, module in model.named_modules():
        if _is_packed(module):
            quantized[part_of(name)].append(name)
            continue
        for own, value in module.named_parameters(recurse=False):
            if value.dim() > 1:
                kept[part_of(name)].append(name if own == "weight" else f"{name}.{own}")
    return tuple(
        PartReport(name=part, quantized=tuple(quantized[part]), kept=tuple(kept[part]))
        for part in PARTS
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticBytes:
    """What a loaded model takes before it computes anything."""

    parameters: int
    """Parameters and buffers, as the published figures count: packed scales are left out."""
    scales: int
    """Scales and tables of packed matrices."""

    @property
    def all(self) -> int:
        """Everything."""
        return self.parameters + self.scales


def static_bytes(model: nn.Module) -> StaticBytes:
    """Count a loaded model's bytes; what is shared counts once."""
    seen: dict[int, Tensor] = {}
    for tensor in (*model.parameters(), *model.buffers()):
        seen[tensor.data_ptr()] = tensor
    scales: dict[int, Tensor] = {}
    for module in model.modules():
        if _is_packed(module):
            for tensor in bitsandbytes_layers().scale_tensors(module):
                scales[tensor.data_ptr()] = tensor
    return StaticBytes(
        parameters=sum(tensor.nbytes for tensor in seen.values()),
        scales=sum(tensor.nbytes for tensor in scales.values()),
    )


def bitsandbytes_layers() -> ModuleType:
    """The module of bitsandbytes' layers, which is imported when it is first needed."""
    # It warns at every product that LLM.int8 takes float16, and at import of a kernel that it
    # would otherwise fetch from a server.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    require("bitsandbytes", extra="bitsandbytes", for_what="Quantizing in torch")
    from tinymed.engines.torch import packed

    return packed


def _is_packed(module: nn.Module) -> bool:
    # Known by its class's home, so that nothing is imported for a model in full precision.
    return any(base.__module__.startswith("bitsandbytes.nn") for base in type(module).__mro__)
