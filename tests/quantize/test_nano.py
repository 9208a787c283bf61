"""The gate on nano: its closed answers hardly show a connector that is missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tinymed.engines.choose import open_build
from tinymed.engines.openvino import build_openvino
from tinymed.errors import ModelError
from tinymed.models.build import read_build
from tinymed.models.catalog import find_source, load_source
from tinymed.models.schemes import PARTS, find_scheme
from tinymed.models.weights import ModelWeights
from tinymed.quantize.fixed_set import Case
from tinymed.quantize.gate import compare
from tinymed.quantize.observe import Observed, observe

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def weights() -> ModelWeights:
    try:
        return load_source(find_source("nano"))
    except ModelError:
        pytest.skip("needs the parts of the model nano: tinymed models pull nano")


@pytest.fixture(scope="module")
def asked(cases: list[Case]) -> list[Case]:
    return cases[::4]


@pytest.fixture(scope="module")
def reference(
    weights: ModelWeights, asked: list[Case], tmp_path_factory: pytest.TempPathFactory
) -> Observed:
    return _observed(weights, "openvino-f32", asked, tmp_path_factory.mktemp("f32") / "build")


def _observed(weights: ModelWeights, scheme: str, asked: list[Case], folder: Path) -> Observed:
    build_openvino(weights, folder, scheme=find_scheme(scheme))
    return observe(open_build(read_build(folder), threads=1), asked, label=scheme)


def _stages_off(
    reference: Observed, build: Observed, asked: list[Case], precision: str
) -> set[str]:
    found = compare(reference, build, asked, precisions=dict.fromkeys(PARTS, precision))
    return {reason.partition(" are off")[0] for reason in found.reasons if " are off" in reason}


def test_eight_bits_keep_every_stage(
    weights: ModelWeights, reference: Observed, asked: list[Case], tmp_path: Path
) -> None:
    build = _observed(weights, "openvino-int8", asked, tmp_path / "build")
    assert _stages_off(reference, build, asked, "int8") == set()


def test_a_fresh_connector_is_caught_though_most_answers_stay(
    weights: ModelWeights, reference: Observed, asked: list[Case], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    fresh = {
        name: values if values.ndim == 1 else rng.normal(0, values.std(), values.shape)
        for name, values in weights.connector.items()
    }
    connector = {name: values.astype(np.float32) for name, values in fresh.items()}
    broken = replace(weights, connector=connector)
    build = _observed(broken, "openvino-f32", asked, tmp_path / "build")
    for precision in ("f32", "int8", "int4"):
        assert "its image tokens" in _stages_off(reference, build, asked, precision)
    same = compare(reference, build, asked, precisions=dict.fromkeys(PARTS, "f32")).closed
    assert same.share is not None
    assert same.share > 0.8


def test_other_grey_levels_are_caught_though_most_answers_stay(
    weights: ModelWeights, reference: Observed, asked: list[Case], tmp_path: Path
) -> None:
    other = replace(
        weights.preprocessing,
        mean=(0.48145466, 0.4578275, 0.40821073),
        std=(0.26862954, 0.26130258, 0.27577711),
    )
    broken = replace(weights, preprocessing=other)
    build = _observed(broken, "openvino-f32", asked, tmp_path / "build")
    off = _stages_off(reference, build, asked, "int8")
    assert off == {"its vision features", "its image tokens"}
