"""Reading a language model out of GGUF."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.tiny import TINY, tiny_tensors, write_tiny_gguf

from tinymed.errors import ModelError
from tinymed.models.language_gguf import language_config, language_tensors, open_gguf


def test_a_model_written_as_llama_cpp_does_comes_back_unchanged(tmp_path: Path) -> None:
    tensors = tiny_tensors()
    reader = open_gguf(write_tiny_gguf(tmp_path / "m.gguf", tensors))
    config = language_config(reader)
    assert config == TINY
    read = language_tensors(reader, config)
    assert set(read) == set(tensors)
    for name, values in tensors.items():
        np.testing.assert_array_equal(read[name], values, err_msg=name)


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    tensors = tiny_tensors()
    del tensors["layers.1.mlp.up_proj.weight"]
    reader = open_gguf(write_tiny_gguf(tmp_path / "m.gguf", tensors))
    with pytest.raises(ModelError, match=r"1 are missing \(first: \['layers.1.mlp.up_proj.weight"):
        language_tensors(reader, language_config(reader))


def test_a_text_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_text("not a model at all, just words that go on for a while")
    with pytest.raises(ModelError, match="is not a whole GGUF file"):
        open_gguf(path)
