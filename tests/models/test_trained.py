"""The file that training makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.tiny import tiny_tensors

from tinymed.errors import ModelError
from tinymed.models.trained import merge, read_trained

METADATA = {"format": "tinymed-trained-1", "rank": "2", "alpha": "4.0"}
MODULE = "layers.0.self_attn.q_proj"


def _tensors() -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    rng = np.random.default_rng(1)
    return {
        "connector.linear_1.weight": rng.normal(size=(4, 8)).astype(np.float32),
        f"language.{MODULE}.lora_A": rng.normal(size=(2, 32)).astype(np.float32),
        f"language.{MODULE}.lora_B": rng.normal(size=(32, 2)).astype(np.float32),
    }


def test_merging_adds_b_a_alpha_over_rank(tmp_path: Path) -> None:
    tensors = _tensors()
    save_file(tensors, tmp_path / "t.safetensors", metadata=METADATA)
    language = tiny_tensors()
    merged = merge(language, read_trained(tmp_path / "t.safetensors"))
    a, b = tensors[f"language.{MODULE}.lora_A"], tensors[f"language.{MODULE}.lora_B"]
    expected = language[f"{MODULE}.weight"] + 2 * b @ a
    np.testing.assert_allclose(merged[f"{MODULE}.weight"], expected, rtol=1e-6)
    unchanged = "layers.1.self_attn.q_proj.weight"
    np.testing.assert_array_equal(merged[unchanged], language[unchanged])


def test_a_tensor_without_a_place_fails_the_load(tmp_path: Path) -> None:
    save_file(
        {**_tensors(), "vision_tower.x": np.zeros(1, np.float32)},
        tmp_path / "t.safetensors",
        metadata=METADATA,
    )
    with pytest.raises(ModelError, match=r"no place for the tensor 'vision_tower.x'"):
        read_trained(tmp_path / "t.safetensors")


def test_half_an_adapter_fails_the_load(tmp_path: Path) -> None:
    tensors = _tensors()
    del tensors[f"language.{MODULE}.lora_B"]
    save_file(tensors, tmp_path / "t.safetensors", metadata=METADATA)
    with pytest.raises(ModelError, match="half of the adapter"):
        read_trained(tmp_path / "t.safetensors")


def test_an_adapter_for_another_model_fails_the_merge(tmp_path: Path) -> None:
    tensors = _tensors()
    tensors[f"language.{MODULE}.lora_A"] = np.zeros((2, 33), np.float32)
    save_file(tensors, tmp_path / "t.safetensors", metadata=METADATA)
    with pytest.raises(ModelError, match="does not fit the language model"):
        merge(tiny_tensors(), read_trained(tmp_path / "t.safetensors"))


@pytest.mark.parametrize("content", [b"", b"\x00" * 8, b"pickle?" * 10])
def test_a_damaged_file_is_refused_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="is not a whole safetensors file"):
        read_trained(path)


def test_another_format_is_refused(tmp_path: Path) -> None:
    save_file(_tensors(), tmp_path / "t.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="has the format 'pt'"):
        read_trained(tmp_path / "t.safetensors")
