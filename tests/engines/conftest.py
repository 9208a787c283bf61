"""Fixtures: a prompt whose tokenizer has one token a byte, the tiny model, engines that run it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from tinymed.engines.native.build import build_native
from tinymed.engines.native.engine import NativeEngine
from tinymed.engines.openvino import OpenVinoEngine, build_openvino
from tinymed.engines.openvino.layers import Array
from tinymed.models.prompt import Prompt, build_prompt
from tinymed.models.schemes import PARTS, find_scheme
from tinymed.models.weights import ModelWeights

sys.path.insert(0, str(Path(__file__).parent))

from tiny_model import (
    SIZE_PX,
    Load,
    Open,
    speaking,
    tiny_tokenizer,
    tiny_torch_engine,
    tiny_weights,
)


@pytest.fixture(scope="session")
def prompt() -> Prompt:
    return build_prompt(tiny_tokenizer())


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> ModelWeights:
    return tiny_weights(tmp_path_factory.mktemp("parts"))


@pytest.fixture(scope="session")
def load(weights: ModelWeights, tmp_path_factory: pytest.TempPathFactory) -> Load:
    folder = tmp_path_factory.mktemp("builds")

    def build_and_load(
        precision: str = "f32", *, ask: Prompt | None = None, threads: int | None = 1
    ) -> OpenVinoEngine:
        if not (folder / precision).exists():
            build_openvino(
                weights,
                folder / precision,
                scheme=find_scheme("openvino-f32"),
                precisions=dict.fromkeys(PARTS, precision),
            )
        engine = OpenVinoEngine(folder / precision, threads=threads)
        return engine if ask is None else speaking(engine, ask)

    return build_and_load


@pytest.fixture(scope="session")
def native_build(weights: ModelWeights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("native") / "build"
    build_native(weights, folder, scheme=find_scheme("native-int8"))
    return folder


@pytest.fixture(scope="session")
def gguf_build(weights: ModelWeights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("xllamacpp", reason="needs the extra gguf")
    from tinymed.engines.llamacpp.build import build_gguf

    folder = tmp_path_factory.mktemp("gguf") / "build"
    scheme = find_scheme("gguf-f16")
    build_gguf(weights, folder, scheme=scheme, precisions=dict.fromkeys(PARTS, "f32"))
    return folder


@pytest.fixture(params=["openvino-f32", "torch", "native-int8", "gguf-f32"])
def open_any(request: pytest.FixtureRequest, prompt: Prompt) -> Open:
    """Opens the tiny model in any engine, with any prompt."""
    if request.param != "gguf-f32":
        return _opener(request.param, request)
    from tinymed.engines.llamacpp.engine import LlamaCppEngine

    build = request.getfixturevalue("gguf_build")

    return lambda ask=prompt: speaking(LlamaCppEngine(build, threads=1), ask)


@pytest.fixture(params=["openvino-f32", "torch", "native-int8"])
def open_tiny(request: pytest.FixtureRequest) -> Open:
    """Opens the tiny model in an engine whose answers no neighbour changes, with any prompt."""
    return _opener(request.param, request)


def _opener(name: str, request: pytest.FixtureRequest) -> Open:
    prompt: Prompt = request.getfixturevalue("prompt")
    if name == "native-int8":
        build: Path = request.getfixturevalue("native_build")

        return lambda ask=prompt: speaking(NativeEngine(build, threads=1), ask)
    if name == "torch":
        pytest.importorskip("torch", reason="needs torch")
        pytest.importorskip("transformers", reason="needs transformers")
        weights: ModelWeights = request.getfixturevalue("weights")
        return lambda ask=prompt: tiny_torch_engine(weights, ask)
    load: Load = request.getfixturevalue("load")
    return lambda ask=prompt: load("f32", ask=ask)


@pytest.fixture(scope="session")
def pixels() -> Array:
    return np.random.default_rng(3).normal(0, 1, (3, SIZE_PX, SIZE_PX)).astype(np.float32)
