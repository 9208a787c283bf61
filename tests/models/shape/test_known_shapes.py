"""The known models, against what is published of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_configs import llava, text

from tinymed.errors import ModelError
from tinymed.models.cache import part_path
from tinymed.models.language_gguf import language_config, open_gguf
from tinymed.models.manifest import write_manifest
from tinymed.models.parts import LANGUAGE_MODELS, VISION_ENCODERS, untrained
from tinymed.models.schemes import PARTS
from tinymed.models.shape.known import find_config, find_shape, known_names
from tinymed.models.shape.read import read_shape
from tinymed.models.shape.shape import ModelShape

GIB = 2**30
NAMES = (
    "llava-1.5-13b",
    "llava-1.5-7b",
    "llava-med-7b",
    "med-moe-phi2",
    "med-moe-stablelm",
    "nano",
    "smolvlm-2.2b",
    "smolvlm-256m",
    "smolvlm-500m",
    "tinyllava-1.5b",
)


def _gib_in_16_bits(shape: ModelShape) -> float:
    return 2 * shape.num_weights() / GIB


def test_the_known_names_are_these() -> None:
    assert known_names() == NAMES


@pytest.mark.parametrize("name", [name for name in NAMES if name != "nano"])
def test_a_known_configuration_says_where_it_was_read(name: str) -> None:
    assert len(find_config(name)["source"]) > 40


@pytest.mark.parametrize("name", NAMES)
def test_every_tensor_is_of_one_part_and_each_part_has_some(name: str) -> None:
    shape = find_shape(name)
    assert {tensor.part for tensor in shape.tensors} == set(PARTS)
    assert sum(map(shape.num_weights, PARTS)) == shape.num_weights()


def test_llava_med_takes_what_was_derived_of_it() -> None:
    assert _gib_in_16_bits(find_shape("llava-med-7b")) == pytest.approx(14.09, abs=0.01)


def test_tinyllava_takes_what_was_derived_of_it_with_all_of_siglip() -> None:
    # The derived figure counts the encoder's last layer and its head, which the published code
    # deletes when it loads.
    config = find_config("tinyllava-1.5b")
    whole = config["vision_config"] | {"num_hidden_layers": 27, "vision_use_head": True}
    shape = read_shape(config | {"vision_config": whole}, name="whole")
    assert _gib_in_16_bits(shape) == pytest.approx(2.86, abs=0.01)
    assert _gib_in_16_bits(find_shape("tinyllava-1.5b")) == pytest.approx(2.80, abs=0.01)


@pytest.mark.parametrize(("name", "billions"), [("med-moe-phi2", 3.6), ("med-moe-stablelm", 2.05)])
def test_med_moe_activates_as_many_weights_as_published(name: str, billions: float) -> None:
    shape = find_shape(name)
    share = shape.text.experts_per_token / shape.text.num_experts
    activated = sum(
        tensor.num_weights * (share if tensor.is_expert else 1)
        for tensor in shape.tensors
        if tensor.part == "language_model"
    )
    assert activated / 1e9 == pytest.approx(billions, abs=0.05)


def test_mixtrals_experts_are_told_from_what_every_token_passes() -> None:
    shape = read_shape(llava(language=text("mixtral", num_local_experts=3)), name="x")
    experts = {
        tensor.name.rpartition("layers.1.")[2] for tensor in shape.tensors if tensor.is_expert
    }
    assert {"mlp.experts.gate_up_proj", "mlp.experts.down_proj"} < experts
    assert sum(tensor.num_weights for tensor in shape.tensors if tensor.is_expert) == (
        2 * 3 * 3 * 32 * 48
    )
    assert (shape.text.num_experts, shape.text.experts_per_token) == (3, 2)


@pytest.mark.parametrize(
    ("name", "num_weights"), [("smolvlm-256m", 256_484_928), ("llava-1.5-7b", 7_063_427_072)]
)
def test_the_tensors_add_up_to_the_published_number(name: str, num_weights: int) -> None:
    assert find_shape(name).num_weights() == num_weights


def test_image_tokens_are_the_published_ones() -> None:
    found = {name: find_shape(name).image_tokens for name in NAMES}
    assert found["tinyllava-1.5b"] == 729
    assert found["llava-med-7b"] == found["llava-1.5-13b"] == found["med-moe-phi2"] == 576
    assert found["nano"] == 81


def test_a_cache_row_is_of_the_key_heads_alone() -> None:
    assert find_shape("llava-med-7b").text.key_value_numbers == 2 * 32 * 8 * 128
    assert find_shape("nano").text.key_value_numbers == 2 * 30 * 3 * 64


def test_layers_that_llava_leaves_out_are_kept_but_not_run() -> None:
    shape = find_shape("llava-med-7b")
    assert shape.vision.layers == 23
    assert any(".encoder.layers.23." in tensor.name for tensor in shape.tensors)


@pytest.mark.parametrize("encoder", VISION_ENCODERS)
@pytest.mark.parametrize("fold", [1, None])
def test_a_model_of_our_own_has_the_tensors_of_its_checkpoint(
    tmp_path: Path, encoder: str, fold: int | None
) -> None:
    pytest.importorskip("transformers", reason="needs transformers")
    from tinymed.models import checkpoint
    from tinymed.models.language_gguf import LanguageConfig

    language = LanguageConfig(
        num_layers=30,
        hidden_size=576,
        intermediate_size=1536,
        num_heads=9,
        num_kv_heads=3,
        head_dim=64,
        rope_theta=100000.0,
        rms_norm_eps=1e-5,
        vocab_size=49152,
    )
    manifest = untrained(
        "own", encoder=encoder, language="smollm2-135m-instruct", description="", fold=fold
    )
    write_manifest(manifest, tmp_path)
    shape = find_shape(f"{tmp_path}/")
    config = checkpoint.checkpoint_config(
        checkpoint.vision_config(encoder),
        checkpoint.llama_config(language),
        fold=manifest.fold,
        image_id=3,
    )
    model = checkpoint.empty_model(config)
    wanted = {name: tuple(value.shape) for name, value in model.named_parameters()}
    assert {tensor.name: tensor.shape for tensor in shape.tensors} == wanted
    assert shape.image_tokens == manifest.num_image_tokens
    assert shape.runs_only_in_transformers == ""


@pytest.mark.slow
def test_the_language_models_file_holds_what_is_counted() -> None:
    found = language_config(open_gguf(part_path(LANGUAGE_MODELS["smollm2-135m-instruct"])))
    text = find_shape("nano").text
    assert (found.num_layers, found.hidden_size, found.intermediate_size, found.vocab_size) == (
        text.layers,
        text.width,
        text.middle,
        text.vocabulary,
    )
    assert (found.num_heads, found.num_kv_heads, found.head_dim, found.tied) == (
        text.heads,
        text.key_heads,
        text.head_width,
        text.is_tied,
    )


def test_a_manifest_with_a_strange_part_is_refused(tmp_path: Path) -> None:
    manifest = untrained(
        "own", encoder="dinov2-small", language="smollm2-135m-instruct", description=""
    )
    write_manifest(manifest, tmp_path)
    path = tmp_path / "manifest.json"
    row = json.loads(path.read_text())
    row["parts"][1]["sha256"] = "0" * 64
    path.write_text(json.dumps(row))
    with pytest.raises(ModelError, match="names a part whose shape is not known"):
        find_shape(str(tmp_path))
