"""LLaVA-1.5: what comes out computes what its own code computes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from original_llava import (
    VISION_HEADS,
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
from tinymed.models.importers.table import LAYOUTS, find_layout
from tinymed.models.importers.write import import_checkpoint

SIZE_PX = 42
QUESTION = "Is there a shadow?"
PROMPT = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant "
    "gives helpful, detailed, and polite answers to the user's questions. USER: <image>\n"
    "Is there a shadow? ASSISTANT:"
)


class Original:
    """A checkpoint without a vision encoder, and the stock one."""

    def __init__(self, folder: Path) -> None:
        # Words that once chose a class stand in the path; nothing may heed them.
        self.tensors: Tensors = llava_tensors(size_px=SIZE_PX, num_kv_heads=4, own_tower=False)
        self.folder = write_folder(folder / "phi-mistral-qwen-lora", llava_config(), self.tensors)
        write_tokenizer(self.folder)
        self.tower = write_stock_tower(folder / "mpt", size_px=SIZE_PX)
        self.source = Source(folder=self.folder, vision=folder / "mpt")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    return Original(tmp_path_factory.mktemp("llava"))


@pytest.fixture(scope="module")
def loaded(original: Original, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    out = tmp_path_factory.mktemp("out") / "model"
    import_checkpoint(original.source, out, progress=False)
    return Loaded(out)


def test_the_logits_are_the_originals(original: Original, loaded: Loaded) -> None:
    inputs = loaded.inputs(picture(60, 40), loaded.prompt(QUESTION))
    features = patch_features(original.tower, "vision_model.", inputs["pixel_values"][0])
    wanted = answer_logits(
        original.tensors, published_chunks(PROMPT), mlp2x(original.tensors, features)
    )
    found = loaded.logits(inputs)[:, : len(VOCABULARY)]
    assert relative_difference(found, wanted) < 1e-5


def test_the_prompt_is_the_published_one(loaded: Loaded) -> None:
    assert loaded.prompt(QUESTION) == PROMPT


def test_a_second_turn_follows_the_answer_and_its_end(loaded: Loaded) -> None:
    assert loaded.prompt(QUESTION, "Yes", "Where?") == (f"{PROMPT} Yes</s>USER: Where? ASSISTANT:")


def test_a_role_that_the_model_does_not_know_is_refused(loaded: Loaded) -> None:
    with pytest.raises(Exception, match="roles are user and assistant, not system"):
        loaded.processor.apply_chat_template([{"role": "system", "content": "Be brief."}])


def test_the_prompts_tokens_are_the_published_ones(loaded: Loaded) -> None:
    inputs = loaded.inputs(picture(60, 40), loaded.prompt(QUESTION))
    assert loaded.ids_around_image(inputs) == published_chunks(PROMPT)


def test_behind_an_answer_no_space_is_set_where_the_tokenizer_is_not_legacy(
    loaded: Loaded,
) -> None:
    ids = loaded.processor.tokenizer(loaded.prompt(QUESTION, "Yes", "Where?")).input_ids
    assert VOCABULARY[ids[ids.index(2) + 1]] == "USE"


@pytest.mark.parametrize(("width", "height"), [(60, 40), (40, 61), (42, 42)])
def test_an_image_is_padded_to_a_square_with_the_mean_colour(
    loaded: Loaded, width: int, height: int
) -> None:
    image = picture(width, height)
    found = loaded.inputs(image, loaded.prompt(QUESTION))["pixel_values"][0]
    torch.testing.assert_close(found, normal(cut(padded(image), SIZE_PX)), atol=1e-5, rtol=0)


def test_without_padding_the_middle_is_cut_out(tmp_path: Path, original: Original) -> None:
    folder = write_folder(
        tmp_path / "square", llava_config(image_aspect_ratio="square"), original.tensors
    )
    write_tokenizer(folder)
    source = Source(folder=folder, vision=original.source.vision)
    import_checkpoint(source, tmp_path / "out", progress=False)
    image, loaded = picture(60, 40), Loaded(tmp_path / "out")
    found = loaded.inputs(image, loaded.prompt(QUESTION))["pixel_values"][0]
    torch.testing.assert_close(found, normal(cut(image, SIZE_PX)), atol=1e-5, rtol=0)


def test_positions_that_are_stretched_stay_so(tmp_path: Path, original: Original) -> None:
    config = llava_config(rope_scaling={"type": "linear", "factor": 4.0})
    folder = write_folder(tmp_path / "long", config, original.tensors)
    write_tokenizer(folder)
    source = Source(folder=folder, vision=original.source.vision)
    import_checkpoint(source, tmp_path / "out", progress=False)
    text = Loaded(tmp_path / "out").model.config.text_config
    assert text.rope_parameters["rope_type"] == "linear"
    assert text.rope_parameters["factor"] == 4.0


def test_the_image_token_is_never_an_answer(loaded: Loaded) -> None:
    assert loaded.model.generation_config.suppress_tokens == [len(VOCABULARY)]


def test_a_checkpoint_without_a_vision_encoder_asks_for_the_stock_one(
    original: Original, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="openai/clip-vit-large-patch14-336"):
        import_checkpoint(Source(folder=original.folder), tmp_path / "out")


def test_a_stock_vision_encoder_may_be_written_by_todays_transformers(
    original: Original, loaded: Loaded, tmp_path: Path
) -> None:
    settings = {"model_type": "clip_vision_model", "num_attention_heads": VISION_HEADS}
    tower = {name.removeprefix("vision_model."): value for name, value in original.tower.items()}
    write_folder(tmp_path / "clip", settings, tower)
    source = Source(folder=original.folder, vision=tmp_path / "clip")
    import_checkpoint(source, tmp_path / "out", progress=False)
    state, wanted = Loaded(tmp_path / "out").model.state_dict(), loaded.model.state_dict()
    assert state.keys() == wanted.keys()
    assert all(torch.equal(state[name], value) for name, value in wanted.items())


def test_a_checkpoint_with_its_own_vision_encoder_takes_no_other(
    original: Original, tmp_path: Path
) -> None:
    tensors = llava_tensors(size_px=SIZE_PX, num_kv_heads=4, own_tower=True)
    folder = write_folder(tmp_path / "own", llava_config(), tensors)
    write_tokenizer(folder)
    with pytest.raises(ModelError, match="Do not name another one"):
        import_checkpoint(Source(folder=folder, vision=original.source.vision), tmp_path / "out")


def test_a_checkpoint_that_says_it_does_otherwise_is_refused(
    original: Original, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "a", llava_config(mm_use_im_start_end=True), original.tensors)
    write_tokenizer(folder)
    with pytest.raises(ModelError, match="mm_use_im_start_end True"):
        import_checkpoint(Source(folder=folder, vision=original.source.vision), tmp_path / "out")


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "llava-1.5"),
        ({"model_type": "llava_llama"}, "llava-1.5"),
        ({"image_aspect_ratio": "anyres"}, "llava-1.6"),
        (
            {"architectures": ["LlavaMistralForCausalLM"], "image_aspect_ratio": "anyres"},
            "llava-1.6",
        ),
        (
            {"architectures": ["LlavaMistralForCausalLM"], "model_type": "llava_mistral"},
            "llava-med-1.5",
        ),
        ({"mm_projector_type": None}, "llava-med-1.0-delta"),
        ({"architectures": ["LlavaForConditionalGeneration"]}, "transformers"),
    ],
)
def test_a_layout_is_told_from_config_json_alone(
    tmp_path: Path, changes: dict[str, object], name: str
) -> None:
    folder = write_folder(tmp_path / "llava-med-phi", llava_config(**changes), {})
    assert find_layout(folder).name == name


def test_where_several_layouts_fit_one_is_to_be_named(
    original: Original, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = replace(LAYOUTS["llava-1.5"], name="again")
    monkeypatch.setitem(LAYOUTS, "again", again)
    with pytest.raises(ModelError, match=r"could be llava-1\.5, again .* Name one"):
        find_layout(original.folder)
    assert find_layout(original.folder, "again") is again


def test_an_unknown_layout_is_refused_with_those_known(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "llava", llava_config(architectures=["Other"]), {})
    with pytest.raises(ModelError, match=r"\['Other'\].*Known: .*llava-1\.5, llava-1\.6"):
        find_layout(folder)
    with pytest.raises(ModelError, match="No layout 'llava'"):
        find_layout(folder, "llava")
