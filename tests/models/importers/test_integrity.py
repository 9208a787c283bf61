"""Every tensor is placed, or the import fails with the names and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from original_llava import (
    MISTRAL,
    Tensors,
    llava_config,
    llava_tensors,
    write_folder,
    write_tokenizer,
)
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText

from tinymed.errors import ModelError
from tinymed.models.importers.integrity import (
    check_planned,
    check_result,
    empty_model,
    planned_facts,
    state_shapes,
)
from tinymed.models.importers.layout import ImportPlan, Source
from tinymed.models.importers.llava_med import LAYOUT
from tinymed.models.importers.placing import place
from tinymed.models.importers.stored_tensors import source_tensors
from tinymed.models.importers.write import import_checkpoint

UP = "model.layers.1.mlp.up_proj.weight"
RESULT_UP = "model.language_model.layers.1.mlp.up_proj.weight"

Refusal = Callable[[Tensors], str]


def write(folder: Path, tensors: Tensors) -> Source:
    write_folder(folder, llava_config(**MISTRAL), tensors)
    write_tokenizer(folder)
    return Source(folder=folder)


def tiny_tensors() -> Tensors:
    return llava_tensors(size_px=28, num_kv_heads=2, own_tower=True)


@pytest.fixture
def refusal(tmp_path: Path) -> Refusal:
    def import_(tensors: Tensors) -> str:
        source = write(tmp_path / "mistral", tensors)
        with pytest.raises(ModelError) as caught:
            import_checkpoint(source, tmp_path / "out", progress=False)
        assert [path.name for path in tmp_path.iterdir()] == ["mistral"]
        return str(caught.value)

    return import_


def test_a_missing_tensor_is_named(refusal: Refusal) -> None:
    tensors = tiny_tensors()
    del tensors[UP]
    assert f"it lacks 1 tensor: {UP}." in refusal(tensors)


def test_of_many_missing_tensors_five_are_named_and_all_counted(refusal: Refusal) -> None:
    kept = {name: t for name, t in tiny_tensors().items() if "model.layers.1." not in name}
    message = refusal(kept)
    assert "it lacks 9 tensors: " in message
    assert message.count("model.layers.1.") == 5
    assert message.endswith("and 4 more.")


@pytest.mark.parametrize(
    "name",
    [
        "model.layers.2.mlp.up_proj.weight",
        "model.layers.1.mlp.up_proj.bias",
        "model.image_newline",
        "model.mm_projector.4.weight",
        "model.vision_tower.vision_tower.vision_model.extra",
        "vision_tower.weight",
        "lm_head.bias",
    ],
)
def test_a_tensor_without_a_place_is_named(refusal: Refusal, name: str) -> None:
    assert f"no place for 1 tensor: {name}." in refusal(tiny_tensors() | {name: torch.ones(3)})


@pytest.mark.parametrize(
    "name", [UP, "model.mm_projector.0.bias", "model.embed_tokens.weight", "lm_head.weight"]
)
def test_a_tensor_of_another_shape_is_named(refusal: Refusal, name: str) -> None:
    tensors = tiny_tensors()
    tensors[name] = torch.ones(400, *tensors[name].shape[1:])
    message = refusal(tensors)
    assert name in message
    assert "(400" in message


@pytest.mark.parametrize("name", ["model.embed_tokens.weight", "lm_head.weight"])
def test_rows_that_are_missing_are_not_filled_up(refusal: Refusal, name: str) -> None:
    tensors = tiny_tensors()
    tensors[name] = tensors[name][:-1]
    assert f"'{name}' has the shape (366, 32)" in refusal(tensors)


def test_rotary_buffers_are_left_out_with_the_reason(tmp_path: Path) -> None:
    buffer = "model.layers.0.self_attn.rotary_emb.inv_freq"
    source = write(tmp_path / "in", tiny_tensors() | {buffer: torch.ones(4)})
    report = import_checkpoint(source, tmp_path / "out", progress=False)
    assert dict(report.leftovers) == {buffer: "computed from rope_theta"}


def test_a_tensor_in_two_files_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "in", tiny_tensors())
    first, second = sorted(source.folder.glob("*.safetensors"))
    again = next(iter(load_file(first)))
    save_file(load_file(second) | {again: torch.ones(1)}, second, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=f"'{again}' is both in"):
        import_checkpoint(source, tmp_path / "out")


def test_a_file_that_the_index_names_must_be_there(tmp_path: Path) -> None:
    source = write(tmp_path / "in", tiny_tensors())
    (source.folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(ModelError, match=r"lacks model-00002-of-00002\.safetensors"):
        import_checkpoint(source, tmp_path / "out")


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "in", tiny_tensors())
    path = source.folder / "model-00001-of-00002.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelError, match="no readable file of weights"):
        import_checkpoint(source, tmp_path / "out")


@pytest.fixture(scope="module")
def plan_and_source(tmp_path_factory: pytest.TempPathFactory) -> tuple[ImportPlan, Source]:
    source = write(tmp_path_factory.mktemp("in") / "model", tiny_tensors())
    assert LAYOUT.plan is not None
    return LAYOUT.plan(source), source


def test_a_plan_that_writes_a_tensor_twice_is_refused(
    plan_and_source: tuple[ImportPlan, Source],
) -> None:
    plan, source = plan_and_source
    facts = planned_facts(plan, source_tensors(source))
    with pytest.raises(ModelError, match=f"would be written twice|{RESULT_UP}"):
        check_planned(plan, [*facts, next(one for one in facts if one.name == RESULT_UP)])
    check_planned(plan, facts)


def test_a_tensor_that_cannot_be_made_is_named(
    plan_and_source: tuple[ImportPlan, Source],
) -> None:
    plan, source = plan_and_source
    broken = ImportPlan(
        config=plan.config,
        processor={},
        tokenizer_files=(),
        chat_template="",
        tensors=(place("joined", UP, "lm_head.weight", make=torch.cat), place("x", UP)),
    )
    facts = planned_facts(broken, source_tensors(source))
    assert facts[0].shape == (48 + 368 - 1, 32)
    broken = ImportPlan(
        config=plan.config,
        processor={},
        tokenizer_files=(),
        chat_template="",
        tensors=(place("joined", UP, "model.norm.weight", make=torch.cat),),
    )
    with pytest.raises(ModelError, match=r"'joined' cannot be made of .*model\.norm\.weight"):
        planned_facts(broken, source_tensors(source))


def test_transformers_own_loader_is_asked_about_the_result(tmp_path: Path) -> None:
    import_checkpoint(write(tmp_path / "in", tiny_tensors()), tmp_path / "out", progress=False)
    path = tmp_path / "out" / "model.safetensors"
    tensors = load_file(path)
    check_result(tmp_path / "out")
    tensors["left.over"] = tensors.pop(RESULT_UP)
    tensors["lm_head.weight"] = torch.ones(3, 32)
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(ModelError) as caught:
        check_result(tmp_path / "out")
    message = str(caught.value)
    assert f"it lacks 1 tensor: {RESULT_UP}" in message
    assert "no place for 1 tensor: left.over" in message
    assert "other shapes: 1 tensor: lm_head.weight" in message


def test_a_tied_tensor_counts_once(plan_and_source: tuple[ImportPlan, Source]) -> None:
    plan, _source = plan_and_source
    text = plan.config["text_config"]
    tied = {**plan.config, "text_config": {**text, "tie_word_embeddings": True}}
    both = state_shapes(empty_model(plan.config)).keys()
    once = state_shapes(empty_model(tied | {"tie_word_embeddings": True})).keys()
    assert both - once == {"lm_head.weight"}


def test_names_and_shapes_are_those_of_the_real_model(tmp_path: Path) -> None:
    import_checkpoint(write(tmp_path / "in", tiny_tensors()), tmp_path / "out", progress=False)
    state = AutoModelForImageTextToText.from_pretrained(tmp_path / "out").state_dict()
    written = load_file(tmp_path / "out" / "model.safetensors")
    assert {name: t.shape for name, t in written.items()} == {
        name: t.shape for name, t in state.items()
    }
    assert all(torch.equal(written[name], state[name]) for name in written)
