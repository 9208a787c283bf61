"""Checkpoints of random weights: opened by our engines and by transformers as any other."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_configs import WHOLES, llava, text, vision

from tinymed.engines.choose import open_as_it_is, open_build
from tinymed.engines.native.build import build_native
from tinymed.engines.native.kernel import kernel_problem
from tinymed.engines.openvino import build_openvino
from tinymed.errors import ModelError
from tinymed.models.build import read_build
from tinymed.models.catalog import find_source
from tinymed.models.llava_checkpoint import read_llava
from tinymed.models.schemes import find_scheme
from tinymed.models.shape import random_checkpoint
from tinymed.models.shape.random_checkpoint import make_random_checkpoint
from tinymed.models.shape.read import read_shape

CONFIGS = {
    "clip and llama": llava(
        language=text("llama", hidden_size=64, intermediate_size=96),
        encoder=vision("clip_vision_model", hidden_size=32, intermediate_size=64),
    ),
    "siglip and qwen2": llava(
        language=text("qwen2", hidden_size=64, intermediate_size=96, tie_word_embeddings=True),
        encoder=vision("siglip_vision_model", hidden_size=32, intermediate_size=64),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    ),
}
"""Rows of whole blocks of 32 weights, as our engines' scales want them."""
TINY = CONFIGS["clip and llama"]
BUILDERS: dict[str, Callable[..., Any]] = {
    "openvino-int8": build_openvino,
    "native-int8": build_native,
}


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("scheme", [*BUILDERS, "torch-bf16"])
def test_our_engines_open_one(tmp_path: Path, config: str, scheme: str) -> None:
    folder = make_random_checkpoint(CONFIGS[config], tmp_path / "made")
    if scheme == "native-int8" and kernel_problem() is not None:
        pytest.skip("no kernel here")
    if scheme in BUILDERS:
        weights = read_llava(folder, name="made")
        BUILDERS[scheme](weights, tmp_path / "build", scheme=find_scheme(scheme))
        engine = open_build(read_build(tmp_path / "build"), threads=1)
    else:
        pytest.importorskip("transformers", reason="needs transformers")
        engine = open_as_it_is(find_source(str(folder)), find_scheme(scheme), threads=1)
    image = engine.encode(np.zeros((3, 28, 28), dtype=np.float32))
    assert image.num_image_tokens == read_shape(CONFIGS[config], name="tiny").image_tokens
    answer = engine.answer(image, "Any effusion?", max_new_tokens=3)
    assert 1 <= answer.num_tokens <= 3


@pytest.mark.parametrize("config", CONFIGS)
def test_transformers_opens_one_and_lacks_nothing(tmp_path: Path, config: str) -> None:
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    torch = pytest.importorskip("torch", reason="needs torch")
    folder = make_random_checkpoint(CONFIGS[config], tmp_path / "made")
    model, told = transformers.AutoModelForImageTextToText.from_pretrained(
        folder, output_loading_info=True
    )
    assert {name: list(found) for name, found in told.items() if found} == {}
    assert {value.dtype for value in model.parameters()} == {torch.bfloat16}
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    said = "Any effusion?"
    assert len(tokenizer(said, add_special_tokens=False)["input_ids"]) == len(said)
    assert len(tokenizer) == model.config.text_config.vocab_size
    assert tokenizer.convert_tokens_to_ids("<image>") == model.config.image_token_index


def test_weights_are_random_and_norms_are_around_one(tmp_path: Path) -> None:
    weights = read_llava(make_random_checkpoint(TINY, tmp_path / "made"), name="made")
    table = weights.language["embed_tokens.weight"]
    assert np.std(table) == pytest.approx(0.02, rel=0.02)
    assert np.mean(table) == pytest.approx(0, abs=0.001)
    assert len(np.unique(table, axis=0)) == len(table)
    norm = weights.language["norm.weight"]
    assert np.mean(norm) == pytest.approx(1, abs=0.01)
    assert np.std(norm) > 0
    # Two tensors of one shape begin elsewhere in what is repeated.
    first, second = (weights.language[f"layers.{n}.mlp.up_proj.weight"] for n in (0, 1))
    assert not np.array_equal(first, second)


def test_rows_differ_where_the_random_numbers_are_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random_checkpoint, "_NUM_RANDOM", 1021)
    weights = read_llava(make_random_checkpoint(TINY, tmp_path / "made"), name="made")
    table = weights.language["embed_tokens.weight"]
    assert table.size > 10 * 1021
    assert len(np.unique(table, axis=0)) == len(table)


def test_it_is_the_same_each_time(tmp_path: Path) -> None:
    first, second = (make_random_checkpoint(TINY, tmp_path / name) for name in "ab")
    assert _digests(first) == _digests(second)


def test_it_tells_how_far_it_is(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    folder = make_random_checkpoint(
        TINY, tmp_path / "made", on_progress=lambda done, total: calls.append((done, total))
    )
    total = 2 * read_shape(TINY, name="tiny").num_weights()
    assert calls[-1] == (total, total)
    assert sorted(calls) == calls
    assert {told for _, told in calls} == {total}
    header = (folder / "model.safetensors").stat().st_size - total
    assert 0 < header < 100_000


def test_little_is_held_however_large_it_is(tmp_path: Path) -> None:
    wide = text("llama", hidden_size=1024, intermediate_size=16384)
    make_random_checkpoint(TINY, tmp_path / "warm")
    tracemalloc.start()
    folder = make_random_checkpoint(TINY | {"text_config": wide}, tmp_path / "made")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (folder / "model.safetensors").stat().st_size > 200 * 2**20
    assert peak < 64 * 2**20


def test_nothing_is_left_of_one_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(random_checkpoint, "_write_tensors", full)
    with pytest.raises(ModelError, match="No space left on device"):
        make_random_checkpoint(TINY, tmp_path / "made")
    assert list(tmp_path.iterdir()) == []


def test_one_that_was_killed_is_not_there_and_can_be_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    program = (
        "import sys, json, time; from pathlib import Path\n"
        "from tinymed.models.shape.random_checkpoint import make_random_checkpoint\n"
        "def wait(done, total):\n    print(done, flush=True); time.sleep(600)\n"
        "make_random_checkpoint(json.loads(sys.argv[1]), Path(sys.argv[2]), on_progress=wait)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, json.dumps(TINY), str(folder)], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert not folder.exists()
    make_random_checkpoint(TINY, folder)
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    with pytest.raises(ModelError, match="is there already: remove it, or name another folder"):
        make_random_checkpoint(TINY, folder)
    assert list(folder.iterdir()) == []


def test_room_is_looked_for_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ModelError, match=r"takes [\d,]+ bytes and .* has 1,000,000 free"):
        make_random_checkpoint(TINY, tmp_path / "made")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("smolvlm-256m", "not of 'smolvlm-256m': It is a 'idefics3'"),
        ("med-moe-phi2", "Its language model is a 'med_moe_phi'"),
        ("nano", "'nano' is made of tinymed's own parts"),
        ("nanoo", "Did you mean 'nano'"),
        (WHOLES["aya_vision"], "It is a 'aya_vision'"),
        (llava(language=text("llama", vocab_size=258)), "vocabulary of 258: .* one of 259 or more"),
    ],
)
def test_what_cannot_be_made_is_said_in_a_sentence(tmp_path: Path, model: Any, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        make_random_checkpoint(model, tmp_path / "made")
    assert list(tmp_path.iterdir()) == []


def test_what_a_configuration_leaves_out_is_written(tmp_path: Path) -> None:
    few = {
        "model_type": "llava",
        "vision_config": {"hidden_size": 32, "num_attention_heads": 2}
        | {"intermediate_size": 64, "image_size": 64},
        "text_config": {"num_hidden_layers": 1, "hidden_size": 64, "num_attention_heads": 4}
        | {"vocab_size": 400, "intermediate_size": 96},
    }
    folder = make_random_checkpoint(few, tmp_path / "made")
    weights = read_llava(folder, name="made")
    assert weights.language_config.num_kv_heads == 4
    written = json.loads((folder / "config.json").read_text())
    assert written["vision_config"]["patch_size"] == 32
    assert written["vision_config"]["num_hidden_layers"] == 12
    before, after = (
        {tensor.name: tensor.shape for tensor in read_shape(config, name="x").tensors}
        for config in (few, written)
    )
    assert before == after
