"""Reading a torch checkpoint without torch and without trust."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest

from tinymed.errors import ModelError
from tinymed.models.torch_file import MAGIC, read_torch_file

torch = pytest.importorskip("torch")


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        "a.weight": torch.randn(3, 4),
        "turned": torch.randn(4, 5).t(),
        "part": torch.randn(10)[2:6],
        "count": torch.tensor(7),
        "empty.bias": torch.zeros(2),
    }


def _save(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    torch.save(tensors, path, _use_new_zipfile_serialization=False)
    return path


def test_tensors_come_back_as_torch_wrote_them(
    tmp_path: Path, tensors: dict[str, torch.Tensor]
) -> None:
    read = read_torch_file(_save(tmp_path / "c.pth", tensors))
    assert set(read) == set(tensors)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(read[name], tensor.numpy(), err_msg=name)


def test_a_function_named_in_the_file_is_refused_and_not_called(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (exec, (f"open({str(tmp_path / 'called')!r}, 'w')",))

    content = io.BytesIO()
    for value in (MAGIC, 1001, {}, {"a": Attack()}):
        pickle.dump(value, content, protocol=2)
    path = tmp_path / "attack.pth"
    path.write_bytes(content.getvalue())
    with pytest.raises(ModelError, match=r"it names '__builtin__.exec', which is no tensor"):
        read_torch_file(path)
    assert not (tmp_path / "called").exists()


@pytest.mark.parametrize("keep", [0, 5, 100, 0.5, 0.99])
def test_a_torn_file_is_refused_in_one_sentence(
    tmp_path: Path, tensors: dict[str, torch.Tensor], keep: float
) -> None:
    path = _save(tmp_path / "c.pth", tensors)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep if keep >= 1 else keep * len(content))])
    with pytest.raises(ModelError, match="is not a readable torch checkpoint"):
        read_torch_file(path)


def test_the_newer_zip_format_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "c.pth")
    with pytest.raises(ModelError, match="is not a readable torch checkpoint"):
        read_torch_file(tmp_path / "c.pth")
