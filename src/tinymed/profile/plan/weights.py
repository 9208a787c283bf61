"""The bytes of a model's parts in a scheme, from its shape alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from tinymed.models.schemes import PARTS, Scheme
from tinymed.models.shape.shape import ModelShape, TensorShape
from tinymed.profile.plan.plan import PartPlan
from tinymed.profile.plan.stored import RULES, StoredTensor, in_mmproj, is_narrow, sees_natively

PUBLISHED_BYTES = 2
"""Of a number in a published checkpoint: 16 bits."""

_LEAVES_OUT_LAYERS = ("llava", "llava_next", "aya_vision")
"""Kinds of models whose encoder may hold layers that never run."""
_NEVER_RUN = re.compile(r"(^|\.)(post_layernorm|head)\.")
"""Of such an encoder: what stands behind the last layer."""
_LAYER = re.compile(r"\blayers?\.(\d+)\.")

ADAPTER_RANK = 32
"""Of the LoRA adapter beside gguf-lora's language model: that of nano's recipe."""

XML_BYTES = {"language_model": 55_000, "vision_encoder": 29_000}
"""OpenVINO's description of a graph, a layer: 1.63 MB for nano's 30 and 1.34 for TinyLlama's 22;
0.76 MB for the 26 of SigLIP-so400m, 0.73 for the 23 of CLIP-L. Convolutions: 212 KB in all."""
_CONVOLUTIONS_XML_BYTES = 200_000
TOKENIZER_BYTES = 32
"""Of tokenizer.json, a token of the vocabulary: 1.56 MB for nano's 49,152."""
GGUF_VOCABULARY_BYTES = 36
"""Of a GGUF file, a token: 1.79 MB for nano's 49,152."""
_SAFETENSORS_HEADER_BYTES = 120
"""A tensor, with its name."""
_CONTEXT_TOKENS = 2048
"""`models.build.CONTEXT_TOKENS`: angles of so many positions stand in OpenVINO's graph."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldTensor:
    """A tensor, and what it takes."""

    tensor: TensorShape
    stored: StoredTensor


def part_precisions(
    shape: ModelShape, scheme: Scheme, asked: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The precision of each part, as builders choose it.

    Args:
        shape: Of the model; a narrow language model gets 8 bits where the scheme says 4, in
            OpenVINO and the native engine.
        scheme: Sets one for each part.
        asked: Of single parts, where they are to differ.
    """
    chosen = {part: scheme.precision(part) for part in PARTS}
    if chosen["language_model"] == "int4" and is_narrow(shape):
        chosen["language_model"] = "int8"
    if scheme.engine == "torch" and shape.vision.patch_px is None and scheme.bits < 16:  # noqa: PLR2004
        chosen["vision_encoder"] = "bf16"  # bitsandbytes packs no convolution
    return chosen | dict(asked or {})


def part_plans(
    shape: ModelShape,
    scheme: Scheme,
    precisions: Mapping[str, str] | None = None,
    *,
    with_unused: bool = False,
) -> tuple[PartPlan, ...]:
    """What each part takes.

    Args:
        shape: Of the model.
        scheme: How it is to be stored.
        precisions: Of single parts, where they are to differ from the scheme's.
        with_unused: Count also the layers that never run, which published programs load and
            ours leave out.
    """
    held = held_tensors(shape, scheme, precisions, with_unused=with_unused)
    return summed_parts(held, part_precisions(shape, scheme, precisions))


def held_tensors(
    shape: ModelShape,
    scheme: Scheme,
    precisions: Mapping[str, str] | None = None,
    *,
    with_unused: bool = False,
) -> tuple[HeldTensor, ...]:
    """The tensors that an engine holds, each as it stores it; arguments as of `part_plans`.

    OpenVINO and the native engine hold a tied output layer beside the embedding table.
    """
    chosen = part_precisions(shape, scheme, precisions)
    rule = RULES[scheme.engine]
    held = [
        HeldTensor(tensor=tensor, stored=rule(tensor, chosen[tensor.part], shape))
        for tensor in _tensors(shape, scheme, with_unused=with_unused)
    ]
    if scheme.language_model == "published":
        held += _adapter(shape)
    return tuple(held)


def summed_parts(held: Iterable[HeldTensor], chosen: Mapping[str, str]) -> tuple[PartPlan, ...]:
    """What the tensors of each part take together; `chosen` has the parts' precisions."""
    rows = list(held)
    return tuple(
        PartPlan(
            name=part,
            precision=chosen[part],
            num_weights=sum(one.tensor.num_weights for one in rows if one.tensor.part == part),
            num_bytes=sum(one.stored.num_bytes for one in rows if one.tensor.part == part),
            scale_bytes=sum(one.stored.scale_bytes for one in rows if one.tensor.part == part),
        )
        for part in PARTS
    )


def weight_bytes(parts: Iterable[PartPlan]) -> int:
    """Of all parts, scales included."""
    return sum(part.num_bytes for part in parts)


def static_bytes(parts: Iterable[PartPlan]) -> int:
    """Parameters and buffers as the published figures count them: without scales."""
    return sum(part.num_bytes - part.scale_bytes for part in parts)


def disk_bytes(shape: ModelShape, scheme: Scheme, parts: Iterable[PartPlan]) -> int:
    """Of a build's files; of what the model is made of where a scheme has no build."""
    if scheme.engine == "torch" and scheme.bits >= 16:  # noqa: PLR2004
        return _source_bytes(shape)
    return weight_bytes(parts) + _files_bytes(shape, scheme)


def download_bytes(shape: ModelShape) -> int:
    """Of the published checkpoint; for models of ours, of the packages their parts stand in."""
    return shape.fetched_bytes or _source_bytes(shape)


def _source_bytes(shape: ModelShape) -> int:
    return shape.source_bytes or PUBLISHED_BYTES * shape.num_weights()


def _tensors(shape: ModelShape, scheme: Scheme, *, with_unused: bool) -> Iterator[TensorShape]:
    holds_all = with_unused or bool(shape.runs_only_in_transformers)
    for tensor in shape.tensors:
        if holds_all or not _never_runs(tensor, shape):
            yield tensor
            if tensor.kind == "embedding" and _keeps_output(shape, scheme):
                yield replace(tensor, name="lm_head.weight", kind="output")


def _never_runs(tensor: TensorShape, shape: ModelShape) -> bool:
    if tensor.part != "vision_encoder" or shape.model_type not in _LEAVES_OUT_LAYERS:
        return False
    layer = _LAYER.search(tensor.name)
    if layer is not None:
        return int(layer[1]) >= shape.vision.layers
    return shape.vision.patch_px is not None and bool(_NEVER_RUN.search(tensor.name))


def _keeps_output(shape: ModelShape, scheme: Scheme) -> bool:
    return shape.text.is_tied and scheme.engine in {"openvino", "native"}


def _adapter(shape: ModelShape) -> Iterator[HeldTensor]:
    """The matrices of a LoRA adapter, in 16 bits."""
    for tensor in shape.tensors:
        if tensor.part == "language_model" and tensor.kind == "matrix":
            count = ADAPTER_RANK * sum(tensor.shape)
            yield HeldTensor(
                tensor=replace(tensor, name=f"{tensor.name}.lora", shape=(count,)),
                stored=StoredTensor(num_bytes=2 * count),
            )


def _files_bytes(shape: ModelShape, scheme: Scheme) -> int:
    """What a build's files hold beside the parts' tensors."""
    total = TOKENIZER_BYTES * shape.text.vocabulary
    if scheme.engine == "torch":
        return total + _SAFETENSORS_HEADER_BYTES * len(shape.tensors)
    if scheme.engine == "native" and sees_natively(shape):
        return total + _SAFETENSORS_HEADER_BYTES * len(shape.tensors)
    layers = shape.vision.layers if shape.vision.patch_px else 0
    total += XML_BYTES["vision_encoder"] * layers or _CONVOLUTIONS_XML_BYTES
    if scheme.engine == "openvino":
        # Cosines and sines, in 32 bits.
        total += XML_BYTES["language_model"] * shape.text.layers
        total += 2 * 4 * _CONTEXT_TOKENS * shape.text.head_width
    if scheme.engine == "llamacpp":
        total += GGUF_VOCABULARY_BYTES * shape.text.vocabulary + _mmproj_bytes(shape, scheme)
    return total


def _mmproj_bytes(shape: ModelShape, scheme: Scheme) -> int:
    """Of encoder and connector once more, for a stock llama.cpp, where it can read them."""
    if shape.vision.encoder != "siglip":
        return 0
    return sum(
        in_mmproj(tensor, scheme.vision_encoder).num_bytes
        for tensor in _tensors(shape, scheme, with_unused=False)
        if tensor.part != "language_model"
    )
