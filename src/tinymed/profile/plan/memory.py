"""The most memory that opening a model and answering a question takes, part by part.

Each engine has a function that follows what it really allocates: how weights lie in memory,
caches, the largest of what is computed with, and what opening takes for a moment. The process's
own share and other constants stand in `overheads`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from tinymed.models.schemes import Scheme
from tinymed.models.shape.shape import ModelShape, TensorShape
from tinymed.profile.devices import DeviceKind
from tinymed.profile.plan import overheads as measured
from tinymed.profile.plan.plan import MemoryPlan, PartPlan
from tinymed.profile.plan.stored import gguf_type, sees_natively
from tinymed.profile.plan.weights import (
    HeldTensor,
    disk_bytes,
    download_bytes,
    static_bytes,
    weight_bytes,
)

_NATIVE_TOKENS_AT_ONCE = 256
"""`engines.native.language.TOKENS_AT_ONCE`."""
_FLOAT32, _SIXTEEN_BITS = 4, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Tokens of one image, one question and its answer."""

    image: int
    question: int
    """All text of the prompt: before the image, and the question with what surrounds it."""
    answer: int
    context: int
    """What a cache for the whole context has room for."""

    @property
    def prompt(self) -> int:
        """Before the first answered token."""
        return self.image + self.question

    @property
    def total(self) -> int:
        """When the answer ends."""
        return self.prompt + self.answer

    @property
    def prefix(self) -> int:
        """Up to the question: what is read once for an image."""
        return self.image + min(measured.TEXT_BEFORE_IMAGE, self.question)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be planned for."""

    shape: ModelShape
    scheme: Scheme
    held: tuple[HeldTensor, ...]
    parts: tuple[PartPlan, ...]
    """Sums of `held`."""
    lengths: Lengths
    kind: DeviceKind
    asked: Mapping[str, str] = field(default_factory=dict)
    """Precisions of single parts that are not the scheme's."""

    def precision(self, part: str) -> str:
        """Of one of `schemes.PARTS`."""
        return next(one.precision for one in self.parts if one.name == part)

    def bytes_of(self, part: str) -> int:
        """What a part's numbers and scales take."""
        return next(one.num_bytes for one in self.parts if one.name == part)

    def num_weights(self, *parts: str, kinds: Iterable[str] = ()) -> int:
        """Weights of some parts, of some kinds of tensors or of all."""
        wanted = set(kinds)
        return sum(
            one.tensor.num_weights
            for one in self.held
            if one.tensor.part in parts and (not wanted or one.tensor.kind in wanted)
        )

    def stored_bytes(self, kept: Callable[[TensorShape], bool]) -> int:
        """What the language model's tensors of some kind take."""
        return sum(
            one.stored.num_bytes
            for one in self.held
            if one.tensor.part == "language_model" and kept(one.tensor)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a process holds, in bytes; words as in `MemoryPlan`."""

    runtime: float
    weights: float
    key_value: float
    activation: float
    loading: float = 0


def memory_plan(request: Request) -> MemoryPlan:
    """Where a process's memory goes."""
    on_processor = _ENGINES[request.scheme.engine]
    held = (on_processor if request.kind == "cpu" else _on_gpu)(request)
    activation = held.activation + (0 if request.kind == "gpu" else measured.IMAGE_READING)
    working = held.key_value + activation
    return MemoryPlan(
        parts=request.parts,
        weight_bytes=round(held.weights),
        static_bytes=static_bytes(request.parts),
        key_value_bytes=round(held.key_value),
        activation_bytes=round(activation),
        runtime_bytes=round(held.runtime),
        loading_bytes=round(held.loading),
        peak_bytes=round(held.runtime + held.weights + max(working, held.loading)),
        disk_bytes=disk_bytes(request.shape, request.scheme, request.parts),
        download_bytes=download_bytes(request.shape),
    )


def _native(request: Request) -> Held:
    """One copy of the weights as the file has them; rows of the embedding table as needed."""
    text, lengths = request.shape.text, request.lengths
    weights: float = weight_bytes(request.parts) - request.stored_bytes(_is_embedding)
    runtime: float = measured.NATIVE_BASE
    seen = 0.0
    if not sees_natively(request.shape):
        runtime += measured.OPENVINO_BESIDE_NATIVE
        weights += _vision_graph_beside(request)
        seen = _vision_graph_activation(request.shape)
    joint = (text.heads + 2 * text.key_heads) * text.head_width
    row = 2 * text.width + joint + text.heads * text.head_width + 3 * text.middle
    numbers = min(_NATIVE_TOKENS_AT_ONCE, lengths.prompt) * row
    numbers += 2 * lengths.prompt * text.width
    numbers += lengths.image * (request.shape.vision.width + text.width)
    return Held(
        runtime=runtime,
        weights=weights,
        key_value=_SIXTEEN_BITS * text.key_value_numbers * lengths.total,
        activation=max(_FLOAT32 * numbers, seen),
    )


def _openvino(request: Request) -> Held:
    """Both graphs' weights repacked; the files' own pages are given back."""
    text, lengths = request.shape.text, request.lengths
    is_whole = request.precision("language_model") == "f32"
    language = request.bytes_of("language_model") - request.stored_bytes(_is_embedding)
    seen = request.bytes_of("vision_encoder") + request.bytes_of("connector")
    kinds = ("matrix", "output")
    weights = seen + _vision_graph_beside(request) + language + measured.LANGUAGE_GRAPH
    weights += measured.LANGUAGE_GRAPH_A_WEIGHT * request.num_weights("language_model", kinds=kinds)
    weights += _second_layout(request)
    numbers_bytes = _FLOAT32 if is_whole else _SIXTEEN_BITS
    at_once = min(measured.PREFIX_TOKENS_AT_ONCE, lengths.prompt)
    numbers = at_once * (3 * text.middle + 6 * text.width) + 2 * lengths.prompt * text.width
    cache = numbers_bytes * text.key_value_numbers * lengths.total
    return Held(
        runtime=measured.OPENVINO_BASE,
        weights=weights,
        key_value=measured.OPENVINO_CACHES * cache,
        activation=_FLOAT32 * numbers + _vision_graph_activation(request.shape),
    )


def _llamacpp(request: Request) -> Held:
    """The language model's file mapped, some matrices repacked beside it; OpenVINO's graph."""
    text, lengths = request.shape.text, request.lengths
    weights = weight_bytes(request.parts) + _vision_graph_beside(request)
    weights += _repacked_by_llamacpp(request)
    batch = min(measured.LLAMACPP_BATCH_TOKENS, lengths.prefix)
    numbers = batch * (2 * text.heads * lengths.prefix + 3 * text.middle)
    return Held(
        runtime=measured.LLAMACPP_BASE,
        weights=weights,
        key_value=_SIXTEEN_BITS * text.key_value_numbers * lengths.context,
        activation=_FLOAT32 * numbers + _vision_graph_activation(request.shape),
    )


def _torch(request: Request) -> Held:
    """Parameters as they are; packed matrices mapped from the build and copied when first used."""
    precision = request.scheme.language_model
    weights: float = weight_bytes(request.parts)
    loading = 0.0
    runtime: float = measured.TORCH_BASE
    if request.scheme.bits < 16:  # noqa: PLR2004
        runtime += measured.BITSANDBYTES
        weights += _packed_copies(request)
        # Of a table that is looked up alone, only a few rows are ever read.
        weights -= 0 if request.shape.text.is_tied else request.stored_bytes(_is_embedding)
    elif precision in measured.TORCH_LARGEST_COPIES:
        largest = max(one.tensor.num_weights for one in request.held)
        loading = measured.TORCH_LARGEST_COPIES[precision] * largest
        weights += _holes(request) if precision == "bf16" else 0
        if request.shape.vision.patch_px is None:
            opening = measured.TORCH_OPENING_OURS * request.num_weights("language_model")
            loading = max(loading, opening - weights)
    cache, activation = _torch_work(request, _FLOAT32 if precision == "f32" else _SIXTEEN_BITS)
    return Held(
        runtime=runtime,
        weights=weights,
        key_value=cache,
        activation=activation,
        loading=loading,
    )


def _on_gpu(request: Request) -> Held:
    """On a GPU nothing is repacked: context, weights, cache, work. Not measured by us.

    Where it shares the system's memory, the program itself counts too.
    """
    cache, activation = _torch_work(request, _SIXTEEN_BITS)
    if request.scheme.engine == "llamacpp":
        lengths, text = request.lengths, request.shape.text
        cache = _SIXTEEN_BITS * text.key_value_numbers * lengths.context
    runtime: float = measured.CUDA_CONTEXT
    if request.kind == "unified":
        runtime += measured.PROGRAM_BASE[request.scheme.engine]
    return Held(
        runtime=runtime,
        weights=weight_bytes(request.parts),
        key_value=cache,
        activation=activation,
    )


_ENGINES: dict[str, Callable[[Request], Held]] = {
    "native": _native,
    "openvino": _openvino,
    "llamacpp": _llamacpp,
    "torch": _torch,
}


def _is_embedding(tensor: TensorShape) -> bool:
    return tensor.kind == "embedding"


def _vision_graph_beside(request: Request) -> float:
    """What OpenVINO's graph of encoder and connector takes beyond its weights."""
    count = request.num_weights("vision_encoder", "connector")
    return measured.VISION_GRAPH + measured.VISION_GRAPH_A_WEIGHT * count


def _vision_graph_activation(shape: ModelShape) -> float:
    """Measured: 44 MiB of 47 for tinyllava, 32 of 33 for clip-576."""
    vision = shape.vision
    return _FLOAT32 * vision.tokens * (vision.middle + 10 * vision.width)


def _second_layout(request: Request) -> float:
    """Matrices that OpenVINO keeps a second time."""
    precision, lengths = request.precision("language_model"), request.lengths
    question = lengths.prompt - lengths.prefix
    rest = lengths.prefix % measured.PREFIX_TOKENS_AT_ONCE
    in_prefix = rest in measured.SECOND_LAYOUT_TOKENS
    if precision != "int8" or not (in_prefix or question in measured.SECOND_LAYOUT_TOKENS):
        return 0

    def is_small(tensor: TensorShape) -> bool:
        count = _joint_weights(tensor, request.shape)
        return tensor.kind == "matrix" and count < measured.SECOND_LAYOUT_WEIGHTS

    return request.stored_bytes(is_small)


def _joint_weights(tensor: TensorShape, shape: ModelShape) -> int:
    """Weights of the matrix that a build makes of this one and those beside it."""
    text, last = shape.text, tensor.name.split(".")[-2]
    if last in {"gate_proj", "up_proj"}:
        return 2 * tensor.num_weights
    if last in {"q_proj", "k_proj", "v_proj"}:
        return text.width * text.head_width * (text.heads + 2 * text.key_heads)
    return tensor.num_weights


def _repacked_by_llamacpp(request: Request) -> int:
    """Matrices that llama.cpp holds in another layout beside the mapped file."""
    if request.precision("language_model") != "q4_k_m":
        return 0

    def is_repacked(tensor: TensorShape) -> bool:
        kind = gguf_type(tensor, "q4_k_m", request.shape).name
        return tensor.kind in {"matrix", "output"} and kind in measured.LLAMACPP_REPACKED

    return request.stored_bytes(is_repacked)


def _packed_copies(request: Request) -> float:
    """What bitsandbytes holds of the language model's matrices beside the mapped file."""
    precision = request.precision("language_model")
    if precision == "int8":
        return measured.INT8_OUTLIERS
    if precision != "nf4":
        return 0
    return measured.NF4_COPY_A_WEIGHT * request.num_weights("language_model", kinds=("matrix",))


def _holes(request: Request) -> float:
    def is_small(tensor: TensorShape) -> bool:
        return tensor.kind == "matrix" and tensor.num_weights < measured.TORCH_HOLES_WEIGHTS

    return measured.TORCH_HOLES * request.stored_bytes(is_small)


def _torch_work(request: Request, number_bytes: int) -> tuple[float, float]:
    """Bytes of the caches (the image's, and a question's copy), and of what is computed with."""
    text, vision, lengths = request.shape.text, request.shape.vision, request.lengths
    cache = 2 * number_bytes * text.key_value_numbers * lengths.total
    # Every layer's output is kept, as the wanted one is picked by its number.
    seen = vision.tokens * vision.tiles * vision.width * (vision.layers + 1)
    seen += vision.tokens * (2 * vision.middle + 8 * vision.width)
    read = lengths.prompt * (3 * text.middle + 6 * text.width)
    return cache, number_bytes * (seen + read)
