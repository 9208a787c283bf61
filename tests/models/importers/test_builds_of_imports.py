"""From a published layout to an answer without torch: import, build, ask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from published_llava import Loaded, picture
from tests.models.importers import (
    test_llava,
    test_llava_med,
    test_llava_med_delta,
    test_med_moe,
    test_tinyllava,
)

from tinymed.engines.choose import open_engine
from tinymed.engines.openvino import OpenVinoEngine, build_openvino
from tinymed.images.medical_image import MedicalImage
from tinymed.images.prepare import prepare
from tinymed.models.importers.layout import Source
from tinymed.models.importers.write import import_checkpoint
from tinymed.models.llava_checkpoint import read_llava
from tinymed.models.schemes import find_scheme

QUESTION = "Is the heart in?"


def _llava(folder: Path) -> Source:
    return test_llava.Original(folder).source


def _llava_med(folder: Path) -> Source:
    return test_llava_med.write(folder, test_llava_med.med_tensors())


def _tinyllava(folder: Path) -> Source:
    return Source(folder=test_tinyllava.write_llama(folder, test_tinyllava.llama_checkpoint()))


@pytest.mark.parametrize("write", [_llava, _llava_med, _tinyllava])
def test_a_build_gives_the_imported_models_logits(
    write: Callable[[Path], Source], tmp_path: Path
) -> None:
    import_checkpoint(write(tmp_path / "in"), tmp_path / "out", progress=False)
    weights = read_llava(tmp_path / "out", name="imported")
    build_openvino(weights, tmp_path / "build", scheme=find_scheme("openvino-f32"))
    engine = OpenVinoEngine(tmp_path / "build", threads=1)

    seen = picture(50, 80)
    loaded = Loaded(tmp_path / "out")
    inputs = loaded.inputs(seen, loaded.prompt(QUESTION))
    image = MedicalImage(pixels=np.asarray(seen), source="png")
    pixels = prepare(image, engine.preprocessing)
    np.testing.assert_allclose(pixels, inputs["pixel_values"][0].numpy(), atol=0.02)

    expected = loaded.logits(inputs)[-1].numpy()
    encoded = engine.encode(inputs["pixel_values"][0].float().numpy())
    answer = engine.answer(encoded, QUESTION, max_new_tokens=1, keep_logits=True)
    assert answer.first_token_logits is not None
    difference = np.abs(answer.first_token_logits - expected).max() / np.ptp(expected)
    assert difference < 1e-5


def _med_moe(folder: Path) -> Source:
    return test_med_moe.write_original(folder, test_med_moe.checkpoint("phi"), test_med_moe.PHI)


def _llava_med_delta(folder: Path) -> Source:
    return test_llava_med_delta.Original(folder).source


@pytest.mark.parametrize("write", [_med_moe, _llava_med_delta])
def test_what_only_transformers_computes_is_asked_there(
    write: Callable[[Path], Source], tmp_path: Path
) -> None:
    import_checkpoint(write(tmp_path / "in"), tmp_path / "out", progress=False)
    engine = open_engine(f"{tmp_path / 'out'}:torch-f32", threads=1)
    seen = picture(50, 80)
    loaded = Loaded(tmp_path / "out")
    loaded.model.float()  # the delta layout's weights are stored in 16 bits
    answer = engine.answer(engine.encode(seen), QUESTION, max_new_tokens=3, keep_logits=True)
    expected = loaded.logits(loaded.inputs(seen, loaded.prompt(QUESTION)))[-1].numpy()
    assert answer.first_token_logits is not None
    difference = np.abs(answer.first_token_logits - expected).max() / np.ptp(expected)
    assert difference < 1e-5
