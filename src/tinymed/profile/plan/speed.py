"""How long an answer takes, from a device's speed and the share of it that a scheme reaches."""

from __future__ import annotations

from tinymed.models.shape.shape import ModelShape, TensorShape
from tinymed.profile.devices import Device
from tinymed.profile.plan.memory import Request
from tinymed.profile.plan.plan import SpeedPlan
from tinymed.profile.plan.shares import (
    CONVOLUTIONS,
    IMAGE_READING_S,
    ON_GPU,
    ON_PROCESSOR,
    Rate,
    Share,
)

_GIGA = 1e9


def speed_plan(request: Request, device: Device) -> SpeedPlan | None:
    """Seconds of each step; None where the device's speed or the scheme's share is unknown.

    Reading so many tokens takes their multiplications and additions, and every weight once from
    memory; decoding one takes every weight and all of the cache once; both, what every layer
    takes beside.
    """
    share = (ON_GPU if device.has_gpu else ON_PROCESSOR).get(_built_as(request))
    read = device.read_gb_per_s
    if share is None or read is None or _needs_kernel(request, device):
        return None
    rate, vision_rate = _rate(device, share.rate), _rate(device, share.vision_rate)
    if rate is None or vision_rate is None:
        return None
    lengths, text = request.lengths, request.shape.text
    read_bytes_per_s = read * _GIGA * share.read
    weights_s = _bytes_a_token(request) / read_bytes_per_s
    per_s = rate * _GIGA * share.language
    prefix_s = _read_operations(request.shape, 0, lengths.prefix) / per_s
    question_s = _read_operations(request.shape, lengths.prefix, lengths.prompt) / per_s
    layers_s = text.layers * share.layer_ms / 1000
    cache_bytes = 2 * text.key_value_numbers * lengths.total
    return SpeedPlan(
        image_s=IMAGE_READING_S,
        vision_s=_vision_s(request, device, vision_rate * _GIGA * share.vision),
        image_prefill_s=prefix_s + weights_s + layers_s,
        question_prefill_s=question_s + weights_s + layers_s,
        decode_tokens_per_s=1 / (weights_s + cache_bytes / read_bytes_per_s + layers_s),
        basis=_basis(device, share),
    )


def _built_as(request: Request) -> str:
    """The scheme whose build it really is: narrow language models keep 8 bits."""
    is_widened = request.scheme.language_model == "int4" and not request.asked
    if is_widened and request.precision("language_model") == "int8":
        return f"{request.scheme.engine}-int8"
    return request.scheme.name


def _needs_kernel(request: Request, device: Device) -> bool:
    """Whether the native engine would run without code for the processor: many times slower."""
    return request.scheme.engine == "native" and device.int8_gop_per_s is None


def _rate(device: Device, which: Rate) -> float | None:
    found: float | None = getattr(device, f"{which}_gop_per_s")
    return device.float32_gop_per_s if found is None else found


def _basis(device: Device, share: Share) -> str:
    speed = device.sources if device.is_measured else f"{device.title}: the makers' figures."
    return f"{speed} Share of it that this scheme reaches: {share.source}."


def _bytes_a_token(request: Request) -> float:
    """Weights of the language model that one decoded token reads."""
    text = request.shape.text

    def is_read(tensor: TensorShape) -> bool:
        is_table = tensor.kind == "embedding" and not text.is_tied
        holds_output = request.scheme.engine in {"native", "openvino"}
        return not is_table and not (tensor.kind == "embedding" and holds_output)

    total = request.stored_bytes(is_read)
    if not text.num_experts:
        return total
    experts = request.stored_bytes(lambda tensor: tensor.is_expert)
    return total - experts * (1 - text.experts_per_token / text.num_experts)


def _read_operations(shape: ModelShape, start: int, end: int) -> float:
    """Of reading tokens `start` to `end` into the cache: matrices, and attention to all before."""
    text = shape.text
    weights = 0.0
    for tensor in shape.tensors:
        if tensor.part == "language_model" and tensor.kind == "matrix":
            used = text.experts_per_token / text.num_experts if tensor.is_expert else 1
            weights += tensor.num_weights * used
    attention = 2 * text.layers * text.heads * text.head_width * (end**2 - start**2)
    return 2 * weights * (end - start) + attention


def _vision_s(request: Request, device: Device, operations_per_s: float) -> float:
    """Of vision encoder and connector; convolutions reach another share than matrices do."""
    rate = device.float32_gop_per_s
    if request.shape.vision.patch_px is None and not device.has_gpu and rate is not None:
        share = CONVOLUTIONS.get(request.scheme.engine, CONVOLUTIONS["otherwise"])
        operations_per_s = rate * _GIGA * share
    return _vision_operations(request.shape) / operations_per_s


def _vision_operations(shape: ModelShape) -> float:
    """Of vision encoder and connector, one image."""
    connector = sum(
        tensor.num_weights
        for tensor in shape.tensors
        if tensor.part == "connector" and tensor.kind == "matrix"
    )
    return shape.vision.num_operations + 2 * connector * shape.image_tokens
