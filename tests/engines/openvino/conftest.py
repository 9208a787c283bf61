"""Fixtures: the tiny model, and engines that run it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from tinymed.engines.openvino import OpenVinoEngine, build_openvino
from tinymed.engines.openvino.layers import Array, Precision
from tinymed.images.prepare import Preprocessing
from tinymed.models.prompt import TEMPLATE, Prompt

sys.path.insert(0, str(Path(__file__).parent))

from tiny_model import SIZE_PX, Load, TinyWeights, tiny_weights


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


@pytest.fixture(scope="session")
def pixels() -> Array:
    return np.random.default_rng(3).normal(0, 1, (3, SIZE_PX, SIZE_PX)).astype(np.float32)
