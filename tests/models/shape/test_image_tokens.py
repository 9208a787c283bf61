"""How many image tokens an image becomes, against transformers' models and processors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_configs import ENCODERS, SIGLIP, WHOLES, Config, llava, text, vision

torch = pytest.importorskip("torch", reason="needs torch")
transformers = pytest.importorskip("transformers", reason="needs transformers")

from tinymed.models.shape.known import find_config  # noqa: E402
from tinymed.models.shape.read import read_shape  # noqa: E402

SIDE_PX = 28
ONE_TILE = ["llava", "aya_vision", "internvl", "paligemma", "gemma3"]


def _model(config: Config) -> Any:
    given = {name: value for name, value in config.items() if name != "model_type"}
    made = transformers.CONFIG_MAPPING[config["model_type"]](**given)
    return transformers.AutoModelForImageTextToText.from_config(made).eval()


def _features(model: Any, *images: Any, **others: Any) -> int:
    """Rows that the connector gives for one image."""
    with torch.no_grad():
        found = model.get_image_features(*images, return_dict=True, **others).pooler_output
    return sum(rows.reshape(-1, rows.shape[-1]).shape[0] for rows in found)


def _square(side_px: int) -> Image.Image:
    return Image.fromarray(np.full((side_px, side_px, 3), 90, dtype=np.uint8))


@pytest.mark.parametrize("name", ONE_TILE)
def test_one_tile_becomes_as_many_as_in_transformers(name: str) -> None:
    config = WHOLES[name]
    shape = read_shape(config, name="tiny")
    pixels = torch.zeros(1, 3, SIDE_PX, SIDE_PX)
    assert shape.image_tokens == _features(_model(config), pixels)
    assert shape.vision.tiles == 1


@pytest.mark.parametrize(
    ("encoder", "strategy"), [("clip", "full"), ("siglip", "default"), ("dinov2", "default")]
)
def test_tokens_before_the_patches_are_kept_or_left_out(encoder: str, strategy: str) -> None:
    config = llava(encoder=ENCODERS[encoder], vision_feature_select_strategy=strategy)
    pixels = torch.zeros(1, 3, SIDE_PX, SIDE_PX)
    assert read_shape(config, name="tiny").image_tokens == _features(_model(config), pixels)


def test_mistral3_becomes_as_many_as_in_transformers() -> None:
    config = WHOLES["mistral3"]
    pixels = torch.zeros(1, 3, SIDE_PX, SIDE_PX)
    sizes = torch.tensor([[SIDE_PX, SIDE_PX]])
    wanted = _features(_model(config), pixels, image_sizes=sizes)
    assert read_shape(config, name="tiny").image_tokens == wanted


SIZES_FIT = [[28, 56], [56, 28], [56, 56], [84, 28], [28, 84]]
ALL_LONG = [[112, 56], [56, 168]]
ONE_LARGER = [[56, 56]]


@pytest.mark.parametrize("kind", ["llava_next", "llava_onevision"])
@pytest.mark.parametrize(("side_px", "points"), [(28, SIZES_FIT), (56, ALL_LONG), (28, ONE_LARGER)])
def test_llavas_tiles_are_cut_as_transformers_cuts_them(
    kind: str, side_px: int, points: list[list[int]]
) -> None:
    encoder = (SIGLIP if kind == "llava_onevision" else vision("clip_vision_model")) | {
        "image_size": side_px
    }
    language = text("qwen2" if kind == "llava_onevision" else "llama")
    config = llava(
        kind=kind,
        language=language,
        encoder=encoder,
        image_grid_pinpoints=points,
        vision_aspect_ratio="anyres_max_1",
    )
    name = "LlavaNext" if kind == "llava_next" else "LlavaOnevision"
    size = {"height": side_px, "width": side_px}
    processor = getattr(transformers, f"{name}ImageProcessorPil")(
        size=size, crop_size=size, image_grid_pinpoints=points
    )
    cut = processor(_square(side_px), return_tensors="pt")
    shape = read_shape(config, name="tiny")
    assert shape.vision.tiles == cut["pixel_values"].shape[1]
    wanted = _features(_model(config), cut["pixel_values"].float(), image_sizes=cut["image_sizes"])
    assert shape.image_tokens == wanted


@pytest.mark.parametrize("kind", ["aya_vision", "internvl"])
def test_tiles_that_the_configuration_does_not_tell_are_spoken_of(kind: str) -> None:
    assert "may cut a large image into several" in read_shape(WHOLES[kind], name="x").remarks[0]


def test_a_larger_image_is_spoken_of_where_it_becomes_more() -> None:
    config = WHOLES["llava_next"]
    shape = read_shape(config, name="tiny")
    # 4 x 4 patches of the whole, 8 x 8 of its tiles and the end of each row.
    assert "becomes up to 88 image tokens in 5 tiles" in shape.remarks[0]
    assert shape.image_tokens == 36


@pytest.mark.parametrize("name", ["smolvlm-256m", "smolvlm-2.2b"])
def test_smolvlms_tiles_are_cut_as_its_processor_cuts_them(name: str) -> None:
    config = find_config(name)
    edges = {key: config["vision_config"][key] for key in ("size", "max_image_size")}
    cut = transformers.Idefics3ImageProcessorPil(**edges)(_square(100), return_tensors="np")
    shape = read_shape(config, name=name)
    assert shape.vision.tiles == cut["pixel_values"].shape[1] == 17
    assert shape.image_tokens == 17 * {"smolvlm-256m": 64, "smolvlm-2.2b": 81}[name]


@pytest.mark.parametrize("kind", ["idefics3", "smolvlm"])
def test_each_tile_of_idefics_is_folded(kind: str) -> None:
    shape = read_shape(WHOLES[kind], name="tiny")
    tiles = torch.ones(1, shape.vision.tiles, 3, SIDE_PX, SIDE_PX)
    assert shape.image_tokens == _features(_model(WHOLES[kind]), tiles)


def test_qwens_image_is_as_large_as_its_processor_leaves_one() -> None:
    default = {"model_type": "qwen2_vl", "text_config": {}, "vision_config": {}}
    found = transformers.Qwen2VLImageProcessorPil()(_square(2000), return_tensors="np")
    _frames, rows, columns = found["image_grid_thw"][0]
    shape = read_shape(default, name="qwen")
    assert shape.image_tokens == rows * columns // 4 == 35 * 35
    assert "980 x 980" in shape.remarks[0]
