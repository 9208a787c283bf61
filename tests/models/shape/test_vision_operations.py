"""Operations of one image, against what torch counts of transformers' encoders."""

from __future__ import annotations

from typing import Any

import pytest
from tiny_configs import ENCODERS, LLAMA, WHOLES, Config, llava

torch = pytest.importorskip("torch", reason="needs torch")
transformers = pytest.importorskip("transformers", reason="needs transformers")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from tinymed.models.efficientnet_tower import EfficientNetLiteConfig  # noqa: E402
from tinymed.models.shape.known import find_shape  # noqa: E402
from tinymed.models.shape.read import read_shape  # noqa: E402
from tinymed.models.shape.vision_families import VISION_FAMILIES  # noqa: E402

TRANSFORMERS = ["clip", "siglip headless", "dinov2", "dinov2 swiglu", "vit", "pixtral", "internvl"]


def _counted(encoder: Any, side_px: int, **others: Any) -> float:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        encoder(torch.zeros(1, 3, side_px, side_px, device="meta"), **others)
    return float(counter.get_total_flops())


def _encoder(config: Config) -> Any:
    given = {name: value for name, value in config.items() if name != "model_type"}
    with torch.device("meta"):
        made = transformers.CONFIG_MAPPING[config["model_type"]](**given)
        return transformers.AutoModel.from_config(made, attn_implementation="sdpa").eval()


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_transformers_operations_are_counted(name: str) -> None:
    encoder = ENCODERS[name]
    shape = read_shape(llava(encoder=encoder, vision_feature_layer=-1), name="tiny")
    others = {"image_sizes": [(28, 28)]} if name == "pixtral" else {}
    counted = _counted(_encoder(encoder), 28, **others)
    if name == "vit":
        counted -= 2 * shape.vision.width**2  # its pooler, which no language model reads
    assert shape.vision.num_operations == pytest.approx(counted, rel=0.001)


def test_layers_that_are_not_run_are_left_out() -> None:
    whole, part = (
        read_shape(llava(vision_feature_layer=layer), name="tiny").vision for layer in (-1, -2)
    )
    assert (whole.layers, part.layers) == (3, 2)
    patches = 2 * 16 * 3 * 7 * 7 * 24
    assert part.num_operations - patches == pytest.approx(2 / 3 * (whole.num_operations - patches))


def test_each_tile_takes_as_long() -> None:
    shape = read_shape(WHOLES["idefics3"], name="tiny").vision
    one = WHOLES["idefics3"]["vision_config"] | {
        "size": {"longest_edge": 28},
        "max_image_size": {"longest_edge": 28},
    }
    alone = read_shape(WHOLES["idefics3"] | {"vision_config": one}, name="tiny").vision
    assert (shape.tiles, alone.tiles) == (17, 1)
    assert shape.num_operations == pytest.approx(17 * alone.num_operations)


def test_efficientnets_operations_are_counted() -> None:
    with torch.device("meta"):
        tower = transformers.AutoModel.from_config(EfficientNetLiteConfig()).eval()
    vision = find_shape("nano").vision
    assert vision.num_operations == _counted(tower, 260)
    assert (vision.tokens, vision.width, vision.patch_px) == (81, 1280, None)


def test_windows_make_attention_cheaper() -> None:
    encoder = {"depth": 4, "num_heads": 2, "patch_size": 7, "hidden_size": 24}
    config = {
        "model_type": "qwen2_5_vl",
        "text_config": {**LLAMA, "model_type": "qwen2_5_vl_text"},
        "vision_config": {**encoder, "out_hidden_size": 32, "intermediate_size": 40},
    }
    config["vision_config"] |= {"window_size": 28, "fullatt_block_indexes": [0, 1, 2, 3]}
    everywhere = read_shape(config, name="tiny").vision
    config["vision_config"] |= {"fullatt_block_indexes": [3]}
    in_windows = read_shape(config, name="tiny").vision
    tokens = 140**2
    saved = 4.0 * tokens * 24 * 3 * (tokens - 16)
    assert everywhere.num_operations - in_windows.num_operations == pytest.approx(saved)


def test_windows_that_are_not_stated_are_transformers_own() -> None:
    told = transformers.CONFIG_MAPPING["qwen2_5_vl"]().vision_config
    defaults = VISION_FAMILIES["qwen2_5_vl_vision"].defaults
    assert defaults["window_size"] == told.window_size
    assert list(defaults["fullatt_block_indexes"]) == list(told.fullatt_block_indexes)
