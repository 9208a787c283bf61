"""Configurations that say too little, something strange, or what cannot be."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_configs import WHOLES, Config, llava, text, vision

from tinymed.errors import ModelError
from tinymed.models.llava_checkpoint import unreadable_because
from tinymed.models.shape.random_checkpoint import make_random_checkpoint
from tinymed.models.shape.read import read_shape


def _without(config: Config, name: str) -> Config:
    return {key: value for key, value in config.items() if key != name}


def test_another_kind_with_the_usual_fields_is_counted_all_the_same() -> None:
    config = llava(
        kind="someones_vlm",
        language=text("someones_lm"),
        encoder=vision("someones_vit"),
    )
    shape = read_shape(config, name="x")
    usual = read_shape(llava(), name="x")
    assert shape.tensors == usual.tensors
    assert shape.remarks == (
        "'someones_vlm' is not known: counted as LLaVA joins its parts.",
        "The vision_config's 'someones_vit' is not known: counted as CLIP is made.",
        "The text_config's 'someones_lm' is not known: counted as Llama is made.",
    )
    assert "It is a 'someones_vlm'" in shape.runs_only_in_transformers


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, "model_type 'None'. has no vision_config, so the model's shape cannot be told"),
        ({"model_type": "llava", "hidden_size": 768}, "'llava'. has no vision_config"),
        (llava() | {"vision_config": False}, "'llava'. has no vision_config"),
        (
            {"model_type": "x", "vision_config": vision("clip_vision_model")},
            "'x'. has no text_config",
        ),
        (
            llava(kind="x", language=_without(text("x"), "hidden_size")),
            "text_config of 'mine' has no 'hidden_size'",
        ),
        (
            llava(kind="x", encoder=_without(vision("x"), "patch_size")),
            "vision_config of 'mine' has no 'patch_size'",
        ),
        (llava(language=text("llama", hidden_size=-1)), "hidden_size -1; a whole number"),
        (llava(language=text("llama", hidden_size="32")), "hidden_size '32'"),
        (llava(language=text("llama", hidden_size=True)), "hidden_size True"),
        (llava(language=text("llama", num_hidden_layers=10**6)), "num_hidden_layers 1000000"),
        (llava(encoder=vision("clip_vision_model", patch_size=29)), "patches of 29 pixels in im"),
        (llava(encoder=vision("dinov2", mlp_ratio=float("inf"))), "mlp_ratio inf"),
        (llava(encoder=vision("clip_vision_model", image_size=7)), None),
        (
            WHOLES["internvl"] | {"downsample_ratio": 1e-9},
            "downsample_ratio 1e-09, which no model has",
        ),
        (llava(vision_feature_layer=-5), "reads layer -5 of a vision encoder of 3"),
        (WHOLES["aya_vision"] | {"downsample_factor": 9}, "leaves no token of an image"),
        (
            llava(language=text("med_moe_phi", moe_layers="all", moe_num_experts=[4])),
            "does not say which layers have how many experts",
        ),
    ],
)
def test_what_is_missing_or_cannot_be_is_said_in_a_sentence(config: Config, said: str) -> None:
    if said is None:
        assert read_shape(config, name="mine").image_tokens == 1
        return
    with pytest.raises(ModelError, match=said) as caught:
        read_shape(config, name="mine")
    assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize(
    ("names", "value"),
    [
        (("n_embd", "hidden_size"), 32),
        (("n_layer", "num_hidden_layers"), 2),
        (("n_head", "num_attention_heads"), 4),
        (("n_inner", "intermediate_size"), 48),
        (("n_positions", "max_position_embeddings"), 64),
    ],
)
def test_a_size_goes_by_several_names(names: tuple[str, str], value: int) -> None:
    other, usual = names
    language = _without(text("llama"), usual) | {other: value}
    assert read_shape(llava(language=language), name="x") == read_shape(llava(), name="x")


REFUSED_BY_THE_READER = {
    "phi": llava(language=text("phi")),
    "positions": llava(language=text("llama", rope_scaling={"type": "linear", "factor": 2})),
    "positions by today's name": llava(
        language=text("llama", rope_parameters={"rope_type": "linear", "factor": 2})
    ),
    "feed-forward": llava(language=text("llama", mlp_bias=True)),
    "dinov2": llava(encoder=vision("dinov2")),
    "layers": llava(vision_feature_layer=[-2, -1]),
    "patches": llava(vision_feature_select_strategy="full"),
    "whole": WHOLES["aya_vision"],
}


@pytest.mark.parametrize("name", [*REFUSED_BY_THE_READER, ""])
def test_what_our_engines_refuse_is_foretold(name: str, tmp_path: Any) -> None:
    folder = make_random_checkpoint(llava(), tmp_path / "made")
    config = REFUSED_BY_THE_READER.get(name, {})
    made = json.loads((folder / "config.json").read_text())
    for part in ("text_config", "vision_config"):
        made[part] = made[part] | config.get(part, {}) | {"vocab_size": 300}
    made |= {key: value for key, value in config.items() if not key.endswith("_config")}
    made["image_token_index"] = 299
    made["text_config"].setdefault("rms_norm_eps", 1e-5)
    (folder / "config.json").write_text(json.dumps(made))
    told = read_shape(made, name="x").runs_only_in_transformers
    assert (unreadable_because(folder) is not None) == bool(told) == bool(name)


MANGLED = 300
_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(),
    st.text(max_size=4),
    st.lists(st.integers(-2, 9), max_size=3),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)


@settings(max_examples=MANGLED, deadline=None)
@given(data=st.data())
def test_a_mangled_configuration_is_read_or_refused(data: st.DataObject) -> None:
    config = copy.deepcopy(WHOLES[data.draw(st.sampled_from(sorted(WHOLES)))])
    part = data.draw(st.sampled_from(["", "text_config", "vision_config"]))
    inner = config.get(part, config)
    if not isinstance(inner, dict):
        return
    extra = ["size", "moe_layers", "mlp_ratio", "window_size", "fullatt_block_indexes"]
    inner[data.draw(st.sampled_from([*sorted(inner), *extra]))] = data.draw(_LEAVES)
    try:
        shape = read_shape(config, name="mine")
    except ModelError:
        return
    assert shape.image_tokens >= 1
    assert shape.num_weights() > 0
    assert shape.vision.num_operations > 0
