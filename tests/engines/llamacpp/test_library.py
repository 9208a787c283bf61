"""llama.cpp's C library: only the version we know, its layout proven, its quantization its own."""

from __future__ import annotations

import importlib.metadata
import importlib.util

import numpy as np
import pytest

pytest.importorskip("xllamacpp", reason="needs the extra gguf")

from gguf import GGMLQuantizationType, quants

from tinymed.engines.llamacpp import library
from tinymed.engines.llamacpp.gguf_file import stored
from tinymed.errors import MissingExtraError, ModelError


def test_another_version_of_the_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "2027.1.1")
    with pytest.raises(MissingExtraError, match=r"xllamacpp 2027\.1\.1 is installed.*2026\.10"):
        library.llama.__wrapped__()


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tinymed\[gguf\]'"):
        library.llama.__wrapped__()


def test_a_structure_of_another_layout_is_refused() -> None:
    params = library.llama().llama_context_default_params()
    library.check_layout(params, library.CONTEXT_DEFAULTS)
    params.type_k = 99
    with pytest.raises(ModelError, match=r"ContextParams\.type_k is 99, not 1"):
        library.check_layout(params, library.CONTEXT_DEFAULTS)


@pytest.mark.parametrize("kind", ["F16", "Q8_0", "Q5_0"])
def test_blocks_are_those_of_the_gguf_package(kind: str) -> None:
    values = np.random.default_rng(0).normal(size=(6, 512)).astype(np.float32)
    expected = quants.quantize(values, GGMLQuantizationType[kind]).view(np.uint8)
    np.testing.assert_array_equal(stored(values, GGMLQuantizationType[kind]), expected)


@pytest.mark.parametrize(("kind", "bound"), [("Q4_K", 0.08), ("Q6_K", 0.02)])
def test_k_quants_come_near_the_weights(kind: str, bound: float) -> None:
    values = np.random.default_rng(0).normal(size=(6, 512)).astype(np.float32)
    near = quants.dequantize(stored(values, GGMLQuantizationType[kind]), GGMLQuantizationType[kind])
    # A normal distribution's 4-bit step is a twelfth of its range of 5; 6 bits, a fiftieth.
    assert 0 < np.sqrt(((near - values) ** 2).mean()) < bound
