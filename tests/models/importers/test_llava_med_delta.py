"""LLaVA-Med v1.0: base and delta are added as its own tool adds them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from original_llava import (
    TEXT_LAYERS,
    TEXT_WIDTH,
    VISION_WIDTH,
    VOCABULARY,
    Tensors,
    language_tensors,
    llava_config,
    noise,
    spoken_ids,
    write_folder,
    write_stock_tower,
    write_tokenizer,
)
from published_llava import Loaded, answer_logits, cut, normal, patch_features, picture
from safetensors.torch import load_file
from torch import Tensor
from written_out import Weights, relative_difference

from tinymed.errors import ModelError
from tinymed.models.importers.layout import Source
from tinymed.models.importers.write import import_checkpoint

SIZE_PX = 28
NUM_BASE = len(VOCABULARY)
PAD, PATCH, START, END = range(NUM_BASE, NUM_BASE + 4)
NUM_ROWS = NUM_BASE + 4
QUESTION = "Is the spine in?"
OPENING = (
    "A chat between a curious human and an artificial intelligence assistant. The assistant "
    "gives helpful, detailed, and polite answers to the human's questions.###Human: Hi!###"
    "Assistant: Hi there!  How can I help you today?\n###"
)
MARKED = "<im_start><im_patch><im_end>"
PROMPT = f"{OPENING}Human: {QUESTION}\n{MARKED}###"


def old_config(**others: Any) -> dict[str, Any]:
    """config.json with the keys of the first LLaVA."""
    config = {
        key: value
        for key, value in llava_config().items()
        if key not in {"mm_projector_type", "image_aspect_ratio", "num_key_value_heads"}
    }
    return config | {
        "mm_use_im_start_end": True,
        "mm_vision_tower": "openai/clip-vit-large-patch14",
        "torch_dtype": "float16",
        "transformers_version": "4.28.0.dev0",
        "vocab_size": NUM_ROWS,
        **others,
    }


def rotary() -> Tensors:
    """Buffers that transformers wrote before 4.32."""
    names = (f"model.layers.{i}.self_attn.rotary_emb.inv_freq" for i in range(TEXT_LAYERS))
    return {name: torch.ones(4) for name in names}


class Original:
    """Delta, base and the vision encoder they use."""

    def __init__(self, folder: Path, **config: Any) -> None:
        make = noise(5)
        self.base = language_tensors(num_rows=NUM_BASE, num_kv_heads=4, seed=1)
        self.delta = {
            name: value.half()
            for name, value in language_tensors(num_rows=NUM_ROWS, num_kv_heads=4, seed=2).items()
        } | {
            "model.mm_projector.weight": make(TEXT_WIDTH, VISION_WIDTH).half(),
            "model.mm_projector.bias": make(TEXT_WIDTH).half(),
        }
        write_folder(folder / "base", {"model_type": "llama"}, self.base | rotary(), kind="bin")
        write_folder(folder / "delta", old_config(**config), self.delta | rotary(), kind="bin")
        self.tower = write_stock_tower(folder / "clip", size_px=SIZE_PX)
        write_tokenizer(folder / "delta", legacy=True)
        added = {"[PAD]": PAD, "<im_patch>": PATCH, "<im_start>": START, "<im_end>": END}
        (folder / "delta" / "added_tokens.json").write_text(json.dumps(added))
        self.source = Source(folder=folder / "delta", base=folder / "base", vision=folder / "clip")

    def summed(self) -> Tensors:
        """`apply_delta`, in 16 bits: the tokens that the base lacks keep the delta's rows."""
        sums = {}
        for name, value in self.delta.items():
            total = value.clone()
            if name in self.base:
                total[: len(self.base[name])] += self.base[name].half()
            sums[name] = total
        return sums


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    return Original(tmp_path_factory.mktemp("v1"))


@pytest.fixture(scope="module")
def out(original: Original, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out") / "model"
    report = import_checkpoint(original.source, folder, progress=False)
    assert report.layout == "llava-med-1.0-delta"
    return folder


@pytest.fixture(scope="module")
def loaded(out: Path) -> Loaded:
    loaded = Loaded(out)
    loaded.model.float()
    return loaded


def published_ids() -> list[list[int]]:
    """Special tokens cut the text; each stretch is tokenized with a space before it."""
    before = spoken_ids(f"{OPENING}Human: {QUESTION}\n")
    return [[1, *before, START], [END, *spoken_ids("###")]]


def test_every_weight_is_base_and_delta_to_the_last_bit(original: Original, out: Path) -> None:
    written = load_file(out / "model.safetensors")
    pairs = {
        "lm_head.weight": "lm_head.weight",
        "model.language_model.norm.weight": "model.norm.weight",
        **{
            name: name.replace("model.language_model.", "model.")
            for name in written
            if name.startswith("model.language_model.")
        },
    }
    summed = original.summed()
    assert len(pairs) == len(original.base)
    for name, old in pairs.items():
        assert written[name].dtype == torch.float16
        assert torch.equal(written[name], summed[old]), name


def test_the_logits_are_the_originals(original: Original, loaded: Loaded) -> None:
    inputs = loaded.inputs(picture(40, 30), loaded.prompt(QUESTION, asks=False))
    # The vision encoder is in 32 bits here and there; the sums were rounded to 16.
    tensors: dict[str, Tensor] = {name: value.float() for name, value in original.summed().items()}
    tower = {name: value.half().float() for name, value in original.tower.items()}
    patches = patch_features(tower, "vision_model.", inputs["pixel_values"][0])
    features = Weights(tensors=tensors, prefix="model.").linear("mm_projector", patches)
    wanted = answer_logits(tensors, published_ids(), features)
    assert relative_difference(loaded.logits(inputs), wanted) < 1e-5


def test_the_prompts_are_the_published_ones(loaded: Loaded) -> None:
    assert loaded.prompt(QUESTION, asks=False) == PROMPT
    assert loaded.prompt(QUESTION) == f"{PROMPT}Assistant:"
    assert loaded.prompt(QUESTION, "No", "Why?") == (
        f"{PROMPT}Assistant: No###Human: Why?###Assistant:"
    )


def test_the_prompts_tokens_are_the_published_ones(loaded: Loaded) -> None:
    inputs = loaded.inputs(picture(40, 30), PROMPT)
    assert loaded.ids_around_image(inputs) == published_ids()


def test_an_image_is_cut_to_its_middle(loaded: Loaded) -> None:
    image = picture(40, 30)
    found = loaded.inputs(image, loaded.prompt(QUESTION))["pixel_values"][0]
    torch.testing.assert_close(found, normal(cut(image, SIZE_PX)), atol=1e-5, rtol=0)


def test_the_text_that_ends_an_answer_is_kept(out: Path) -> None:
    assert json.loads((out / "import.json").read_text())["stop_strings"] == ["###"]


def test_without_start_and_end_the_patches_stand_alone(tmp_path: Path) -> None:
    original = Original(tmp_path, mm_use_im_start_end=False)
    import_checkpoint(original.source, tmp_path / "out", progress=False)
    prompt = Loaded(tmp_path / "out").prompt(QUESTION, asks=False)
    assert prompt == f"{OPENING}Human: {QUESTION}\n<im_patch>###"


def test_delta_weights_without_their_base_are_refused(original: Original, tmp_path: Path) -> None:
    source = Source(folder=original.source.folder, vision=original.source.vision)
    with pytest.raises(ModelError, match="Name the folder of LLaMA-7B"):
        import_checkpoint(source, tmp_path / "out")


def test_a_tokenizer_with_more_tokens_than_the_embeddings_is_refused(
    original: Original, tmp_path: Path
) -> None:
    folder = tmp_path / "delta"
    write_folder(folder, old_config(), original.delta | rotary(), kind="bin")
    write_tokenizer(folder)
    added = {f"<{index}>": NUM_BASE + index for index in range(4)}
    (folder / "added_tokens.json").write_text(json.dumps(added))
    source = Source(folder=folder, base=original.source.base, vision=original.source.vision)
    with pytest.raises(ModelError, match=f"embeddings have {NUM_ROWS} rows"):
        import_checkpoint(source, tmp_path / "out")


def test_a_base_of_another_size_is_refused(original: Original, tmp_path: Path) -> None:
    base = dict(original.base)
    base["model.norm.weight"] = torch.ones(1)  # could be added to any width
    write_folder(tmp_path / "base", {}, base)
    source = Source(
        folder=original.source.folder, base=tmp_path / "base", vision=original.source.vision
    )
    with pytest.raises(ModelError, match=r"model\.norm\.weight .* differ in shape"):
        import_checkpoint(source, tmp_path / "out")
