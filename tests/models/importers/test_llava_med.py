"""LLaVA-Med v1.5: Mistral, and the vision encoder that its own loader drops."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from original_llava import (
    MISTRAL,
    VOCABULARY,
    Tensors,
    llava_config,
    llava_tensors,
    published_chunks,
    write_folder,
    write_stock_tower,
    write_tokenizer,
)
from published_llava import (
    Loaded,
    answer_logits,
    cut,
    mlp2x,
    normal,
    padded,
    patch_features,
    picture,
)
from written_out import relative_difference

from tinymed.errors import ModelError
from tinymed.models.importers.layout import Source
from tinymed.models.importers.write import import_checkpoint

SIZE_PX = 42
OWN = "model.vision_tower.vision_tower.vision_model."
CHANGED = f"{OWN}encoder.layers.0.mlp.fc1.weight"
QUESTION = "Is the heart in?"
PROMPT = "[INST] <image>\nIs the heart in? [/INST]"
SEGTOK = {
    "feature_outs": "encoder+decoder",
    "img_size": 640,
    "segtok_posembed": "sincos",
    "vision_backbone": "convnextl",
}
"""Names of a tool that its code mentions and does not have."""


def write(folder: Path, tensors: Tensors) -> Source:
    config = llava_config(**MISTRAL, **SEGTOK)
    write_folder(folder, config, tensors)
    write_tokenizer(folder, legacy=True)
    return Source(folder=folder)


def med_tensors() -> Tensors:
    return llava_tensors(size_px=SIZE_PX, num_kv_heads=2, own_tower=True)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder = tmp_path_factory.mktemp("med")
    report = import_checkpoint(write(folder / "in", med_tensors()), folder / "out", progress=False)
    assert report.layout == "llava-med-1.5"
    return Loaded(folder / "out")


def published(tensors: Tensors, tower: Tensors, prefix: str, pixels: torch.Tensor) -> torch.Tensor:
    features = mlp2x(tensors, patch_features(tower, prefix, pixels))
    return answer_logits(
        tensors, published_chunks(PROMPT), features, num_kv_heads=2, theta=1000000.0
    )


def test_the_logits_are_those_of_its_own_vision_encoder_and_no_stock_one(
    loaded: Loaded, tmp_path: Path
) -> None:
    tensors = med_tensors()
    inputs = loaded.inputs(picture(50, 80), loaded.prompt(QUESTION))
    found = loaded.logits(inputs)[:, : len(VOCABULARY)]
    pixels = inputs["pixel_values"][0]
    assert relative_difference(found, published(tensors, tensors, OWN, pixels)) < 1e-5
    stock = write_stock_tower(tmp_path / "clip", size_px=SIZE_PX)
    dropped = published(tensors, stock, "vision_model.", pixels)
    assert relative_difference(found, dropped) > 1e-2


def test_a_change_of_its_vision_encoder_changes_the_answer(loaded: Loaded, tmp_path: Path) -> None:
    tensors = med_tensors()
    tensors[CHANGED] = tensors[CHANGED] + 0.1
    import_checkpoint(write(tmp_path / "in", tensors), tmp_path / "out", progress=False)
    inputs = loaded.inputs(picture(50, 80), loaded.prompt(QUESTION))
    before, after = loaded.logits(inputs), Loaded(tmp_path / "out").logits(inputs)
    assert relative_difference(after, before) > 1e-3


def test_a_stock_vision_encoder_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "in", med_tensors())
    write_stock_tower(tmp_path / "clip", size_px=SIZE_PX)
    with pytest.raises(ModelError, match="its own tuned vision encoder"):
        import_checkpoint(Source(folder=source.folder, vision=tmp_path / "clip"), tmp_path / "out")


def test_the_prompts_are_the_published_ones(loaded: Loaded) -> None:
    assert loaded.prompt(QUESTION) == PROMPT
    assert loaded.prompt(QUESTION, "No", "Why?") == f"{PROMPT} No </s>[INST] Why? [/INST]"
    inputs = loaded.inputs(picture(50, 80), PROMPT)
    assert loaded.ids_around_image(inputs) == published_chunks(PROMPT)


def test_an_image_is_padded_with_the_mean_colour(loaded: Loaded) -> None:
    image = picture(50, 80)
    found = loaded.inputs(image, loaded.prompt(QUESTION))["pixel_values"][0]
    torch.testing.assert_close(found, normal(cut(padded(image), SIZE_PX)), atol=1e-5, rtol=0)


def test_weights_of_16_bits_stay_as_they_are(tmp_path: Path) -> None:
    tensors = {name: value.bfloat16() for name, value in med_tensors().items()}
    import_checkpoint(write(tmp_path / "in", tensors), tmp_path / "out", progress=False)
    state = Loaded(tmp_path / "out").model.state_dict()
    name = "model.language_model.layers.1.mlp.up_proj.weight"
    original = tensors["model.layers.1.mlp.up_proj.weight"]
    assert torch.equal(state[name], original.to(state[name].dtype))
