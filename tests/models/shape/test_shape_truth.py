"""Every tensor that is counted, against transformers' own classes on the meta device."""

from __future__ import annotations

from typing import Any

import pytest
from tiny_configs import ENCODERS, LANGUAGES, WHOLES, Config, llava, text

torch = pytest.importorskip("torch", reason="needs torch")
transformers = pytest.importorskip("transformers", reason="needs transformers")

import tinymed.models.llava_head_bias  # noqa: E402  # registers itself
import tinymed.models.moe_language  # noqa: E402, F401  # registers itself
from tinymed.models.shape.known import find_config, find_shape, known_names  # noqa: E402
from tinymed.models.shape.read import read_shape  # noqa: E402
from tinymed.models.shape.text_families import TEXT_FAMILIES  # noqa: E402
from tinymed.models.shape.vision_families import VISION_FAMILIES  # noqa: E402
from tinymed.models.shape.wholes import WHOLES as KNOWN_WHOLES  # noqa: E402

Shapes = dict[str, tuple[int, ...]]


def _transformers_config(config: Config) -> Any:
    given = {name: value for name, value in config.items() if name not in ("model_type", "source")}
    return transformers.CONFIG_MAPPING[config["model_type"]](**given)


def _built(config: Any) -> Any:
    with torch.device("meta"):
        return transformers.AutoModelForImageTextToText.from_config(config)


def _shapes(model: Any) -> Shapes:
    """Tied tensors once."""
    return {name: tuple(value.shape) for name, value in model.named_parameters()}


def _counted(config: Config) -> Shapes:
    shape = read_shape(config, name="tiny")
    found = {tensor.name: tensor.shape for tensor in shape.tensors}
    assert len(found) == len(shape.tensors)
    return found


@pytest.mark.parametrize("name", LANGUAGES)
def test_a_language_models_tensors_are_transformers(name: str) -> None:
    config = llava(language=LANGUAGES[name])
    assert _counted(config) == _shapes(_built(_transformers_config(config)))


@pytest.mark.parametrize("name", ENCODERS)
def test_a_vision_encoders_tensors_are_transformers(name: str) -> None:
    config = llava(encoder=ENCODERS[name])
    assert _counted(config) == _shapes(_built(_transformers_config(config)))


@pytest.mark.parametrize("name", WHOLES)
def test_a_whole_models_tensors_are_transformers(name: str) -> None:
    config = WHOLES[name]
    assert _counted(config) == _shapes(_built(_transformers_config(config)))


@pytest.mark.parametrize("name", WHOLES)
def test_what_transformers_saves_is_counted_alike(name: str) -> None:
    config = _transformers_config(WHOLES[name])
    wanted = _shapes(_built(config))
    assert _counted(config.to_dict()) == wanted
    # What earlier versions saved leaves out what their classes held already.
    assert _counted({"model_type": config.model_type, **config.to_diff_dict()}) == wanted


@pytest.mark.parametrize("family", sorted({*TEXT_FAMILIES} - {"opt"}))
def test_what_a_language_model_leaves_out_is_transformers_default(family: str) -> None:
    config: Config = {"model_type": family, "num_hidden_layers": 1}
    config |= {"pad_token_id": 0} if family in ("phi3", "smollm3") else {}
    kind = family.removesuffix("_text") if family.startswith("qwen2_") else "llava"
    whole = llava(language=config, kind=kind)
    if kind != "llava":
        whole["vision_config"] = {"depth": 1}
    assert _counted(whole) == _shapes(_built(_transformers_config(whole)))


@pytest.mark.parametrize(
    "family", sorted({*VISION_FAMILIES} - {"qwen2_vl_vision", "qwen2_5_vl_vision"})
)
def test_what_an_encoder_leaves_out_is_transformers_default(family: str) -> None:
    config = llava(encoder={"model_type": family})
    assert _counted(config) == _shapes(_built(_transformers_config(config)))


# transformers cannot build its own default of aya_vision: 14 heads do not divide 1,152.
@pytest.mark.parametrize("kind", sorted({*KNOWN_WHOLES} - {"aya_vision"}))
def test_what_a_whole_leaves_out_is_transformers_default(kind: str) -> None:
    config = _transformers_config({"model_type": kind})
    if kind.startswith("qwen2"):
        given: Config = {"model_type": kind, "text_config": {}, "vision_config": {}}
    else:
        given = {"model_type": kind, "vision_config": _sizes(config.vision_config)}
        given["text_config"] = _sizes(config.text_config)
    assert _counted(given) == _shapes(_built(config))


def _sizes(part: Any) -> Config:
    """What the default whole says of a part beyond the part's own defaults."""
    return {"model_type": part.model_type, **part.to_diff_dict()}


def test_opt_is_counted_as_its_own_class_has_it() -> None:
    # transformers' LLaVA does not take it.
    language = text("opt", ffn_dim=48, word_embed_proj_dim=16)
    del language["num_key_value_heads"], language["intermediate_size"]
    given = {name: value for name, value in language.items() if name != "model_type"}
    with torch.device("meta"):
        model = transformers.OPTModel(transformers.OPTConfig(**given))
    prefix = "model.language_model."
    counted = _counted(llava(language=language))
    below = {
        name.removeprefix(prefix): shape
        for name, shape in counted.items()
        if name.startswith(prefix)
    }
    assert below == _shapes(model)


@pytest.mark.parametrize("name", [name for name in known_names() if name != "nano"])
def test_a_known_models_tensors_are_transformers(name: str) -> None:
    config = _transformers_config(find_config(name))
    shape = find_shape(name)
    assert {tensor.name: tensor.shape for tensor in shape.tensors} == _shapes(_built(config))
