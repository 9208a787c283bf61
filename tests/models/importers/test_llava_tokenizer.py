"""Llama's tokenizer out of a SentencePiece file, without the sentencepiece package."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from original_llava import VOCABULARY, sentencepiece_model, spoken_ids, write_tokenizer

from tinymed.errors import ModelError
from tinymed.models.importers.layout import TokenizerChanges
from tinymed.models.importers.sentencepiece_file import llama_tokenizer
from tinymed.models.importers.tokenizer_files import (
    find_tokenizer_files,
    read_tokenizer,
)
from tinymed.models.importers.tokenizer_files import (
    write_tokenizer as write_imported,
)


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "tokenizer.model"
    path.write_bytes(sentencepiece_model())
    return path


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize(
    "text", ["the USER is in", "x", "Größe 5 µm", "a  b", "line\nline", "theUSEtheer", "日本"]
)
def test_ids_are_those_of_joining_the_best_neighbours_first(
    model_file: Path, text: str, *, legacy: bool
) -> None:
    tokenizer = llama_tokenizer(model_file, legacy=legacy)
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert ids == spoken_ids(text)
    assert tokenizer.decode(ids) == text


@pytest.mark.parametrize(("legacy", "first"), [(True, "▁"), (False, "I")])
def test_only_legacy_sets_a_space_behind_a_special_token(
    model_file: Path, first: str, *, legacy: bool
) -> None:
    tokenizer = llama_tokenizer(model_file, legacy=legacy)
    ids = tokenizer.encode("a</s>I", add_special_tokens=False).ids
    assert VOCABULARY[ids[ids.index(2) + 1]] == first


def test_a_text_opens_with_bos_unless_the_checkpoint_says_no(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    assert read_tokenizer(find_tokenizer_files(tmp_path)).encode("x").ids[0] == 1
    write_tokenizer(tmp_path, add_bos_token=False)
    assert read_tokenizer(find_tokenizer_files(tmp_path)).encode("x").ids == spoken_ids("x")


def test_added_tokens_come_next_and_known_ones_stay(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    count = len(VOCABULARY)
    added = {"<im_patch>": count + 1, "[PAD]": count}
    (tmp_path / "added_tokens.json").write_text(json.dumps(added))
    changes = TokenizerChanges(added=("<im_patch>", "<im_end>"), roles={"pad_token": "[PAD]"})
    out = tmp_path / "out"
    out.mkdir()
    write_imported(find_tokenizer_files(tmp_path), changes, out)
    written = read_tokenizer((out / "tokenizer.json",))
    tokens = ["[PAD]", "<im_patch>", "<im_end>"]
    assert [written.token_to_id(token) for token in tokens] == [count, count + 1, count + 2]
    settings = json.loads((out / "tokenizer_config.json").read_text())
    assert (settings["pad_token"], settings["bos_token"]) == ("[PAD]", "<s>")


def test_another_kind_of_sentencepiece_model_is_refused(model_file: Path) -> None:
    model_file.write_bytes(sentencepiece_model(model_type=1))
    with pytest.raises(ModelError, match="Llama's kind"):
        llama_tokenizer(model_file, legacy=True)


@pytest.mark.parametrize("content", [b"\xff", b"\x0a\xff\x01", b"\x0b", b"", b"\x08\x01"])
def test_a_damaged_file_is_refused(model_file: Path, content: bytes) -> None:
    model_file.write_bytes(content)
    with pytest.raises(ModelError, match=r"tokenizer\.model"):
        llama_tokenizer(model_file, legacy=True)


def test_a_folder_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No tokenizer in"):
        find_tokenizer_files(tmp_path, None)
