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

from tiny_model import SIZE_PX, Load, Open, tiny_tokenizer, tiny_torch_engine, tiny_weights


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
        if ask is not None:
            engine._prompt = ask
        return engine

    return build_and_load


@pytest.fixture(scope="session")
def native_build(weights: ModelWeights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("native") / "build"
    build_native(weights, folder, scheme=find_scheme("native-int8"))
    return folder


@pytest.fixture(params=["openvino-f32", "torch", "native-int8"])
def open_tiny(
    request: pytest.FixtureRequest,
    load: Load,
    native_build: Path,
    weights: ModelWeights,
    prompt: Prompt,
) -> Open:
    """Opens the tiny model in an engine whose answers no neighbour changes, with any prompt."""
    if request.param == "native-int8":

        def open_native(ask: Prompt = prompt) -> NativeEngine:
            engine = NativeEngine(native_build, threads=1)
            engine._prompt = ask
            return engine

        return open_native
    if request.param == "torch":
        pytest.importorskip("torch", reason="needs torch")
        pytest.importorskip("transformers", reason="needs transformers")
        return lambda ask=prompt: tiny_torch_engine(weights, ask)
    return lambda ask=prompt: load("f32", ask=ask)


@pytest.fixture(scope="session")
def pixels() -> Array:
    return np.random.default_rng(3).normal(0, 1, (3, SIZE_PX, SIZE_PX)).astype(np.float32)
