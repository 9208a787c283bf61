"""Torch and transformers, or these tests are skipped; the tiny LLaVA and what it is asked."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("transformers", reason="needs transformers")

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from tiny_llava import SIZE_PX, write_llava

from tinymed.engines.protocol import Pixels
from tinymed.models.llava_checkpoint import read_llava
from tinymed.models.weights import ModelWeights


@pytest.fixture(scope="session", params=["clip", "siglip"])
def llava(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModelWeights:
    folder = write_llava(tmp_path_factory.mktemp("llava"), vision=request.param)
    return read_llava(folder, name="tiny")


@pytest.fixture(scope="session")
def llava_pixels() -> Pixels:
    rng = np.random.default_rng(0)
    return rng.normal(size=(3, SIZE_PX, SIZE_PX)).astype(np.float32)
