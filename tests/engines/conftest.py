"""Fixtures: a prompt whose tokenizer has one token a byte, the tiny model, engines that run it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from tinymed.engines.openvino import OpenVinoEngine, build_openvino
from tinymed.engines.openvino.layers import Array, Precision
from tinymed.images.prepare import Preprocessing
from tinymed.models.prompt import END, IMAGE, TEMPLATE, Prompt, build_prompt

sys.path.insert(0, str(Path(__file__).parent))

from tiny_model import SIZE_PX, Load, Open, TinyWeights, tiny_torch_engine, tiny_weights


@pytest.fixture(scope="session")
def prompt() -> Prompt:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    control = ["<|im_start|>", END, IMAGE]
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in control])
    return build_prompt(tokenizer)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> TinyWeights:
    return tiny_weights(tmp_path_factory.mktemp("parts"))


@pytest.fixture(scope="session")
def load(weights: TinyWeights, prompt: Prompt, tmp_path_factory: pytest.TempPathFactory) -> Load:
    folder = tmp_path_factory.mktemp("builds")

    def build_and_load(
        precision: Precision = "f32", *, ask: Prompt = prompt, threads: int | None = 1
    ) -> OpenVinoEngine:
        if not (folder / precision).exists():
            build_openvino(weights, folder / precision, precision=precision)
        return OpenVinoEngine(
            folder / precision,
            model="tiny",
            prompt=ask,
            prompt_template=TEMPLATE,
            preprocessing=Preprocessing(size_px=SIZE_PX),
            threads=threads,
        )

    return build_and_load


@pytest.fixture(params=["openvino-f32", "torch"])
def open_tiny(
    request: pytest.FixtureRequest, load: Load, weights: TinyWeights, prompt: Prompt
) -> Open:
    """Opens the tiny model in an engine that computes in float32, with any prompt."""
    if request.param == "torch":
        pytest.importorskip("torch", reason="needs torch")
        pytest.importorskip("transformers", reason="needs transformers")
        return lambda ask=prompt: tiny_torch_engine(weights, ask)
    return lambda ask=prompt: load("f32", ask=ask)


@pytest.fixture(scope="session")
def pixels() -> Array:
    return np.random.default_rng(3).normal(0, 1, (3, SIZE_PX, SIZE_PX)).astype(np.float32)
