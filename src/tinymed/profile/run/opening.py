"""Opening the engine of a point on the device asked for, whatever the parity gate says of it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinymed.engines.choose import open_build
from tinymed.engines.protocol import EncodedImage, Engine
from tinymed.errors import ConfigError
from tinymed.extras import require
from tinymed.models.build import load_prompt, read_build
from tinymed.models.catalog import Checkpoint, Source, find_source, load_source
from tinymed.models.llava_checkpoint import unreadable_because
from tinymed.models.prompt import Prompt, build_prompt
from tinymed.models.schemes import find_scheme
from tinymed.profile.run.observation import Request

if TYPE_CHECKING:
    from tinymed.engines.torch.quantized import StaticBytes

CPU = "cpu"
_MODULES = {
    "native": "tinymed.engines.native.engine",
    "openvino": "tinymed.engines.openvino.runtime",
    "llamacpp": "tinymed.engines.llamacpp.engine",
    "torch": "tinymed.engines.torch.build",
}
_PUBLISHED_MODULE = "tinymed.engines.torch.published"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenEngine:
    """An engine that can be asked, and what its protocol does not tell."""

    engine: Engine
    device: str
    """"cpu" or the GPU's name."""
    on_gpu: bool
    count_prompt: Callable[[EncodedImage, str], int]
    """Tokens of image and question together, up to where the answer begins."""
    static: StaticBytes | None = None
    """Of torch's engine, which can be counted."""


def check_device(engine: str, device: str) -> None:
    """Refuse a device that an engine would not compute on.

    Raises:
        ConfigError: If the engine knows the processor alone.
    """
    if engine != "torch" and device not in ("auto", CPU):
        raise ConfigError(
            f"The {engine} engine computes on the processor only: leave --device {device} out, "
            "or name a scheme of torch (torch-bf16, int8, nf4)."
        )


def import_engine(request: Request) -> None:
    """Import what a point's engine needs and no more, so that opening can be timed without it.

    Raises:
        ConfigError: If there is no such scheme.
        ModelError: If the model is unknown.
        MissingExtraError: If the engine's packages are not installed.
    """
    engine = find_scheme(request.scheme).engine
    if engine == "llamacpp":
        require("xllamacpp", extra="gguf", for_what="The llama.cpp engine")
    if engine == "torch":
        for package in ("torch", "transformers", "onnx"):
            require(package, extra="torch", for_what="The torch engine")
    is_published = request.build is None and runs_in_transformers_only(find_source(request.address))
    importlib.import_module(_PUBLISHED_MODULE if is_published else _MODULES[engine])


def runs_in_transformers_only(source: Source) -> bool:
    """Whether no engine of ours can read a model, so that it has no builds."""
    return isinstance(source, Checkpoint) and unreadable_because(source.folder) is not None


def open_requested(request: Request) -> OpenEngine:
    """Open the engine of a point.

    Raises:
        ModelError: If the model or its build is incomplete or damaged.
        HardwareError: If a GPU is asked for and there is none.
        MissingExtraError: If the engine's packages are not installed.
    """
    scheme = find_scheme(request.scheme)
    check_device(scheme.engine, request.device)
    if request.build is None:
        return _open_as_it_is(request)
    build = read_build(Path(request.build))
    prompt = load_prompt(build)
    if scheme.engine != "torch":
        engine = open_build(build, threads=request.threads)
        return OpenEngine(engine=engine, device=CPU, on_gpu=False, count_prompt=_counter_of(prompt))
    from tinymed.engines.torch.build import open_torch_build

    return _in_torch(
        open_torch_build(build.folder, threads=request.threads, device=request.device),
        _counter_of(prompt),
    )


def _open_as_it_is(request: Request) -> OpenEngine:
    """Open a model that has no build: torch reads the model itself."""
    source = find_source(request.address)
    if isinstance(source, Checkpoint) and runs_in_transformers_only(source):
        from tinymed.engines.torch.published import TransformersEngine

        published: Any = TransformersEngine(
            source.folder, scheme=request.scheme, threads=request.threads, device=request.device
        )
        return _in_torch(published, _counter_of_published(published))
    from tinymed.engines.torch.engine import TorchEngine

    weights = load_source(source)
    engine = TorchEngine(
        weights, scheme=request.scheme, threads=request.threads, device=request.device
    )
    return _in_torch(engine, _counter_of(build_prompt(weights.tokenizer, weights.template)))


def _in_torch(engine: Any, count_prompt: Callable[[EncodedImage, str], int]) -> OpenEngine:
    """An engine of torch, with its parameters counted where they lie."""
    import torch

    from tinymed.engines.torch.quantized import static_bytes

    on_gpu = engine.device.type == "cuda"
    return OpenEngine(
        engine=engine,
        device=torch.cuda.get_device_name(engine.device) if on_gpu else CPU,
        on_gpu=on_gpu,
        count_prompt=count_prompt,
        static=static_bytes(engine._model),  # noqa: SLF001  # the one place that counts it
    )


def _counter_of(prompt: Prompt) -> Callable[[EncodedImage, str], int]:
    def count(image: EncodedImage, question: str) -> int:
        return len(prompt.prefix_ids) + image.num_image_tokens + len(prompt.question_ids(question))

    return count


def _counter_of_published(engine: Any) -> Callable[[EncodedImage, str], int]:
    """What the checkpoint's own processor makes of image and question, image tokens included."""

    def count(image: EncodedImage, question: str) -> int:
        inputs = engine._inputs(image.state.picture, question)  # noqa: SLF001
        num_tokens: int = inputs["input_ids"].shape[1]
        return num_tokens

    return count
