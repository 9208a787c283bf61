"""LLaVA-1.6: tiles beside the whole image, joined as its own code joins them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from original_llava import (
    MISTRAL,
    TEXT_WIDTH,
    VOCABULARY,
    Tensors,
    llava_config,
    llava_tensors,
    noise,
    published_chunks,
    write_folder,
    write_tokenizer,
)
from PIL import Image
from published_llava import Loaded, answer_logits, mlp2x, normal, patch_features, picture
from torch import Tensor
from written_out import relative_difference

from tinymed.errors import ModelError
from tinymed.models.importers.layout import Source
from tinymed.models.importers.write import import_checkpoint

SIZE_PX, GRID = 28, 2
SIZES = [[28, 56], [56, 28], [56, 56], [84, 28], [28, 84]]
"""Width and height, as published for 336 pixels."""
OWN = "model.vision_tower.vision_tower.vision_model."
QUESTION = "Is it in?"
PROMPTS = {
    "mistral": "[INST] <image>\nIs it in? [/INST]",
    "vicuna": "A chat between a curious user and an artificial intelligence assistant. The "
    "assistant gives helpful, detailed, and polite answers to the user's questions. "
    "USER: <image>\nIs it in? ASSISTANT:",
}
SECOND = {
    "mistral": " Yes </s>[INST] Why? [/INST]",
    "vicuna": " Yes</s>USER: Why? ASSISTANT:",
}
FORMS = {
    "mistral": MISTRAL,
    "vicuna": {"model_type": "llava_llama", "num_key_value_heads": 2},
}
NEXT = {
    "image_aspect_ratio": "anyres",
    "image_crop_resolution": 224,
    "image_grid_pinpoints": SIZES,
    "mm_patch_merge_type": "spatial_unpad",
    "mm_vision_tower_lr": 2e-06,
    "tokenizer_model_max_length": 4096,
    "tokenizer_padding_side": "right",
    "unfreeze_mm_vision_tower": True,
}


def next_tensors() -> Tensors:
    tensors = llava_tensors(size_px=SIZE_PX, num_kv_heads=2, own_tower=True)
    return tensors | {"model.image_newline": noise(9)(TEXT_WIDTH)}


class Form:
    """One of the two forms, written and imported."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.tensors = name, next_tensors()
        self.folder = write_folder(folder / "in", llava_config(**FORMS[name], **NEXT), self.tensors)
        write_tokenizer(self.folder, legacy=name == "mistral")
        import_checkpoint(Source(folder=self.folder), folder / "out", progress=False)
        self.loaded = Loaded(folder / "out")
        self.theta = 1000000.0 if name == "mistral" else 10000.0


@pytest.fixture(scope="module", params=["mistral", "vicuna"])
def form(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Form:
    return Form(request.param, tmp_path_factory.mktemp(request.param))


def best_size(image: Image.Image) -> tuple[int, int]:
    """The width and height that keep most of the image, then those that waste least."""

    def merit(size: list[int]) -> tuple[int, int]:
        scale = min(size[0] / image.width, size[1] / image.height)
        kept = int(image.width * scale) * int(image.height * scale)
        kept = min(kept, image.width * image.height)
        return kept, kept - size[0] * size[1]

    width, height = max(SIZES, key=merit)  # the first of equals
    return width, height


def tiles(image: Image.Image) -> list[Image.Image]:
    """The whole image squeezed into a square, then its tiles row by row."""
    width, height = best_size(image)
    scale = min(width / image.width, height / image.height)
    small = image.resize(
        (min(-int(-image.width * scale // 1), width), min(-int(-image.height * scale // 1), height))
    )
    sheet = Image.new("RGB", (width, height))
    sheet.paste(small, ((width - small.width) // 2, (height - small.height) // 2))
    corners = [(x, y) for y in range(0, height, SIZE_PX) for x in range(0, width, SIZE_PX)]
    cuts = [sheet.crop((x, y, x + SIZE_PX, y + SIZE_PX)) for x, y in corners]
    return [image.resize((SIZE_PX, SIZE_PX)), *cuts]


def joined(tensors: Tensors, image: Image.Image, pixels: Tensor) -> Tensor:
    """The whole image's features, then the tiles' rows without padding, a newline after each."""
    features = [mlp2x(tensors, patch_features(tensors, OWN, tile)) for tile in pixels]
    width, height = best_size(image)
    across, down = width // SIZE_PX, height // SIZE_PX
    sheet = torch.cat(
        [
            torch.cat(
                [features[1 + row * across + x].reshape(GRID, GRID, -1) for x in range(across)], 1
            )
            for row in range(down)
        ]
    )
    if image.width / image.height > across / down:
        real = int(image.height * (across * GRID / image.width))
        pad = (down * GRID - real) // 2
        sheet = sheet[pad : down * GRID - pad]
    else:
        real = int(image.width * (down * GRID / image.height))
        pad = (across * GRID - real) // 2
        sheet = sheet[:, pad : across * GRID - pad]
    newline = tensors["model.image_newline"][None]
    return torch.cat([features[0], *(torch.cat([row, newline]) for row in sheet)])


@pytest.mark.parametrize(("width", "height"), [(90, 40), (30, 70), (60, 60), (20, 20), (100, 20)])
def test_the_logits_are_the_originals(form: Form, width: int, height: int) -> None:
    image = picture(width, height)
    inputs = form.loaded.inputs(image, form.loaded.prompt(QUESTION))
    wanted = answer_logits(
        form.tensors,
        published_chunks(PROMPTS[form.name]),
        joined(form.tensors, image, inputs["pixel_values"][0]),
        num_kv_heads=2,
        theta=form.theta,
    )
    found = form.loaded.logits(inputs)[:, : len(VOCABULARY)]
    assert relative_difference(found, wanted) < 1e-5


@pytest.mark.parametrize(("width", "height"), [(90, 40), (30, 70), (20, 20), (100, 20)])
def test_the_tiles_are_the_published_ones(form: Form, width: int, height: int) -> None:
    image = picture(width, height)
    found = form.loaded.inputs(image, form.loaded.prompt(QUESTION))["pixel_values"][0]
    wanted = torch.stack([normal(tile) for tile in tiles(image)])
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


def test_the_prompts_are_the_published_ones(form: Form) -> None:
    prompt = PROMPTS[form.name]
    assert form.loaded.prompt(QUESTION) == prompt
    assert form.loaded.prompt(QUESTION, "Yes", "Why?") == prompt + SECOND[form.name]
    inputs = form.loaded.inputs(picture(60, 60), prompt)
    assert form.loaded.ids_around_image(inputs) == published_chunks(prompt)


def test_sizes_written_as_text_are_read(tmp_path: Path) -> None:
    config = llava_config(**MISTRAL, **NEXT | {"image_grid_pinpoints": "[(28, 56), (56, 28)]"})
    folder = write_folder(tmp_path / "in", config, next_tensors())
    write_tokenizer(folder)
    import_checkpoint(Source(folder=folder), tmp_path / "out", progress=False)
    assert Loaded(tmp_path / "out").processor.image_processor.image_grid_pinpoints == [
        [56, 28],
        [28, 56],
    ]


def test_the_form_that_speaks_chatml_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", llava_config(**NEXT), next_tensors())
    write_tokenizer(folder)
    (folder / "added_tokens.json").write_text('{"<|im_start|>": 367}')
    with pytest.raises(ModelError, match="ChatML"):
        import_checkpoint(Source(folder=folder), tmp_path / "out")


def test_another_way_of_joining_tiles_is_refused(tmp_path: Path) -> None:
    config = llava_config(**MISTRAL, **NEXT | {"mm_patch_merge_type": "flat"})
    folder = write_folder(tmp_path / "in", config, next_tensors())
    write_tokenizer(folder)
    with pytest.raises(ModelError, match="mm_patch_merge_type 'flat'"):
        import_checkpoint(Source(folder=folder), tmp_path / "out")
