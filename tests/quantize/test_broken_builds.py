"""Real builds of a tiny model, each broken on purpose: the gate names what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_model import tiny_weights

from tinymed.engines.choose import open_build
from tinymed.engines.openvino import build_openvino
from tinymed.engines.openvino.layers import Array
from tinymed.models.build import read_build
from tinymed.models.schemes import find_scheme
from tinymed.models.trained import Trained, merge
from tinymed.models.weights import ModelWeights
from tinymed.quantize.fixed_set import Case
from tinymed.quantize.gate import Comparison, compare
from tinymed.quantize.observe import Observed, observe

Gate = Callable[..., Comparison]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> ModelWeights:
    """The tiny model without an adapter."""
    return tiny_weights(tmp_path_factory.mktemp("parts"))


@pytest.fixture(scope="module")
def weights(base: ModelWeights) -> ModelWeights:
    """The same with an adapter added in, as `load_weights` does."""
    rng = np.random.default_rng(5)

    def normal(*shape: int) -> Array:
        return rng.normal(0, 0.3, shape).astype(np.float32)

    adapter = {
        name.removesuffix(".weight"): (normal(4, values.shape[1]), normal(values.shape[0], 4))
        for name, values in base.language.items()
        if name.endswith(("q_proj.weight", "down_proj.weight"))
    }
    trained = Trained(connector={}, adapter=adapter, rank=4, alpha=4.0)
    return replace(base, language=merge(dict(base.language), trained))


def _observed(folder: Path, cases: list[Case]) -> Observed:
    return observe(open_build(read_build(folder), threads=1), cases, label=folder.name)


@pytest.fixture(scope="module")
def gate(
    weights: ModelWeights, cases: list[Case], tmp_path_factory: pytest.TempPathFactory
) -> Gate:
    """Builds what it is given, spoils it where asked to, and compares it with the model."""
    folder = tmp_path_factory.mktemp("builds")
    build_openvino(weights, folder / "reference", scheme=find_scheme("openvino-f32"))
    reference = _observed(folder / "reference", cases)

    def against(
        broken: ModelWeights,
        *,
        scheme: str = "openvino-int8",
        spoil: Callable[[Path], None] | None = None,
        num_cases: int = 3,
    ) -> Comparison:
        place = tmp_path_factory.mktemp("build") / "build"
        build = build_openvino(broken, place, scheme=find_scheme(scheme))
        if spoil is not None:
            spoil(place)
        asked = cases[:num_cases]
        return compare(
            replace(reference, cases=reference.cases[:num_cases]),
            _observed(place, asked),
            asked,
            precisions={part.name: part.precision for part in build.parts},
        )

    return against


def _stage_reasons(found: Comparison) -> set[str]:
    return {reason.partition(" are off")[0] for reason in found.reasons if " are off" in reason}


def test_a_good_build_keeps_every_stage(gate: Gate, weights: ModelWeights) -> None:
    whole = gate(weights, scheme="openvino-f32", num_cases=12)
    assert whole.reasons == ()
    # Random weights answer by a hair, so in 8 bits only the stages are sure to hold.
    small = gate(weights)
    assert _stage_reasons(small) == set()
    assert [stage.relative_error == 0 for stage in small.stages] == [False, False, False]


def _fresh(name: str, values: Array) -> Array:
    return np.random.default_rng(9).normal(0, values.std() or 0.1, values.shape).astype(np.float32)


def _zero(name: str, values: Array) -> Array:
    return values * 0 if name.startswith("linear_2") else values


def _identity(name: str, values: Array) -> Array:
    if values.ndim == 1:
        return np.ones_like(values) if name == "layernorm.weight" else np.zeros_like(values)
    return np.eye(*values.shape, dtype=np.float32)


@pytest.mark.parametrize("instead", [_fresh, _zero, _identity])
@pytest.mark.parametrize("scheme", ["openvino-f32", "openvino-int4"])
def test_a_build_without_the_trained_projector_is_caught(
    gate: Gate,
    weights: ModelWeights,
    instead: Callable[[str, Array], Array],
    scheme: str,
) -> None:
    connector = {name: instead(name, values) for name, values in weights.connector.items()}
    found = gate(replace(weights, connector=connector), scheme=scheme)
    assert "its image tokens" in _stage_reasons(found)
    assert "its vision features" not in _stage_reasons(found)


@pytest.mark.parametrize("field", ["mean", "std"])
def test_a_build_with_the_wrong_normalization_is_caught(
    gate: Gate, weights: ModelWeights, field: str
) -> None:
    def spoil(folder: Path) -> None:
        path = folder / "build.json"
        row = json.loads(path.read_text())
        row["preprocessing"][field] = [0.5, 0.5, 0.5]
        path.write_text(json.dumps(row))

    found = gate(weights, spoil=spoil)
    assert any(f"prepares images otherwise: {field} is" in reason for reason in found.reasons)
    # The manifest's words aside, what comes out of the encoder gives it away.
    assert "its vision features" in _stage_reasons(found)


def test_a_build_with_a_swapped_template_is_caught(gate: Gate, weights: ModelWeights) -> None:
    swapped = replace(
        weights.template,
        before_image="<|im_start|>assistant\n",
        after_question="<|im_end|>\n<|im_start|>user\n",
    )
    found = gate(replace(weights, template=swapped))
    assert found.reasons[0].startswith("it puts the prompt otherwise")
    assert "its first-token logits" in _stage_reasons(found)
    assert found.stages[1].relative_error is not None
    assert found.stages[1].relative_error < 0.1


def test_a_build_that_says_the_right_template_and_uses_another_is_caught(
    gate: Gate,
    weights: ModelWeights,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = weights.template.in_words()
    swapped = replace(weights.template, after_question="<|im_end|>")
    monkeypatch.setattr(type(weights.template), "in_words", lambda _: right)
    found = gate(replace(weights, template=swapped))
    assert _stage_reasons(found) == {"its first-token logits"}


@pytest.mark.parametrize("scheme", ["openvino-f32", "openvino-int4"])
def test_a_build_without_the_adapter_is_caught(
    gate: Gate,
    weights: ModelWeights,
    base: ModelWeights,
    scheme: str,
) -> None:
    found = gate(replace(weights, language=base.language), scheme=scheme)
    assert _stage_reasons(found) == {"its first-token logits"}
    assert found.reasons[0].endswith("look at the language model, its adapter or the prompt")
