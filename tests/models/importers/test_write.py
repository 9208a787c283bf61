"""An import appears whole or not at all, goes on after a kill, and trusts no file."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from filelock import FileLock
from original_llava import (
    MISTRAL,
    Tensors,
    llava_config,
    llava_tensors,
    write_folder,
    write_tokenizer,
)
from transformers import AutoModelForImageTextToText

from tinymed.errors import ModelError
from tinymed.models.importers import write as write_module
from tinymed.models.importers.layout import Source
from tinymed.models.importers.safetensors_file import write_safetensors
from tinymed.models.importers.write import import_checkpoint


def write(folder: Path, tensors: Tensors, *, kind: str = "safetensors") -> Source:
    write_folder(folder, llava_config(**MISTRAL), tensors, kind=kind)
    write_tokenizer(folder)
    return Source(folder=folder)


def tiny_tensors() -> Tensors:
    return llava_tensors(size_px=28, num_kv_heads=2, own_tower=True)


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return write(tmp_path / "in", tiny_tensors())


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_module, "SHARD_BYTES", 320_000)


def state(folder: Path) -> Tensors:
    loaded: Tensors = AutoModelForImageTextToText.from_pretrained(folder).state_dict()
    return loaded


def stopping_at(number: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stop where the file of this number would be written; gives the names of those written."""
    written: list[str] = []

    def stop(path: Path, *arguments: Any, **named: Any) -> None:
        if len(written) == number:
            raise KeyboardInterrupt
        written.append(path.name)
        write_safetensors(path, *arguments, **named)

    monkeypatch.setattr(write_module, "write_safetensors", stop)
    return written


def test_weights_are_written_in_files_of_a_bounded_size(
    source: Source, tmp_path: Path, small_shards: None
) -> None:
    import_checkpoint(source, tmp_path / "many", progress=False)
    files = sorted((tmp_path / "many").glob("*.safetensors"))
    assert len(files) > 3
    assert files[-1].name == f"model-{len(files):05}-of-{len(files):05}.safetensors"
    assert all(file.stat().st_size < 340_000 for file in files)
    index = json.loads((tmp_path / "many" / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"].values()) == {file.name for file in files}
    original = tiny_tensors()
    loaded = state(tmp_path / "many")
    name = "layers.1.self_attn.v_proj.weight"
    assert torch.equal(loaded[f"model.language_model.{name}"], original[f"model.{name}"])


def test_import_json_tells_what_the_result_was_made_of(source: Source, tmp_path: Path) -> None:
    report = import_checkpoint(source, tmp_path / "out", progress=False)
    told = json.loads((tmp_path / "out" / "import.json").read_text())
    assert (told["format"], told["layout"]) == ("tinymed-import-1", "llava-med-1.5")
    assert told["num_tensors"] == report.num_tensors == len(state(tmp_path / "out"))
    assert told["preprocessing"]["image_mode"] == "pad"
    assert told["preprocessing"]["pad_colour"] == [122, 116, 104]
    for name, sha256 in told["sources_sha256"].items():
        file = source.folder / Path(name).name
        assert hashlib.sha256(file.read_bytes()).hexdigest() == sha256
    assert {name.partition("/")[0] for name in told["sources_sha256"]} == {
        "checkpoint",
        "tokenizer",
    }
    assert told["environment"]["transformers"].startswith("5.")


def test_a_stopped_import_leaves_nothing_that_looks_finished_and_goes_on(
    source: Source, tmp_path: Path, small_shards: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = stopping_at(2, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        import_checkpoint(source, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()
    work = tmp_path / ".out.importing"
    assert not (work / "import.json").exists()
    assert sorted(path.name for path in work.glob("*.safetensors")) == first
    second = stopping_at(99, monkeypatch)
    import_checkpoint(source, tmp_path / "out", progress=False)
    assert not set(first) & set(second)
    whole = tmp_path / "whole"
    import_checkpoint(source, whole, progress=False)
    for file in whole.glob("model*"):
        assert (tmp_path / "out" / file.name).read_bytes() == file.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out", "whole"]


def test_a_stopped_import_of_other_weights_begins_anew(
    source: Source, tmp_path: Path, small_shards: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = stopping_at(2, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        import_checkpoint(source, tmp_path / "out", progress=False)
    shutil.rmtree(source.folder)
    changed = tiny_tensors()
    changed["lm_head.weight"] = changed["lm_head.weight"] + 1
    write(source.folder, changed)
    second = stopping_at(99, monkeypatch)
    import_checkpoint(source, tmp_path / "out", progress=False)
    assert set(first) < set(second)
    rows = len(changed["lm_head.weight"])
    assert torch.equal(state(tmp_path / "out")["lm_head.weight"][:rows], changed["lm_head.weight"])


KILLED = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from tinymed.models.importers import write
from tinymed.models.importers.layout import Source

write.SHARD_BYTES = 320_000
plain = write.write_safetensors

def slow(path, *arguments, **named):
    plain(path, *arguments, **named)
    print(path.name, flush=True)
    if path.name.startswith("model-00003"):
        sys.stdin.read()

write.write_safetensors = slow
write.import_checkpoint(Source(folder=Path(sys.argv[2])), Path(sys.argv[3]), progress=False)
"""


@pytest.mark.slow
def test_a_killed_import_goes_on(source: Source, tmp_path: Path, small_shards: None) -> None:
    arguments = [str(Path(__file__).parent), str(source.folder), str(tmp_path / "out")]
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for _file in range(3):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "out").exists()
    before = next((tmp_path / ".out.importing").glob("model-00001*")).stat().st_mtime_ns
    time.sleep(0.01)
    import_checkpoint(source, tmp_path / "out", progress=False)
    after = next((tmp_path / "out").glob("model-00001*")).stat().st_mtime_ns
    assert after == before
    import_checkpoint(source, tmp_path / "whole", progress=False)
    for file in (tmp_path / "whole").glob("model*"):
        assert (tmp_path / "out" / file.name).read_bytes() == file.read_bytes()


def test_a_folder_that_exists_is_left_alone(source: Source, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(ModelError, match="exists"):
        import_checkpoint(source, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_two_imports_into_one_folder_do_not_mix(source: Source, tmp_path: Path) -> None:
    with (
        FileLock(tmp_path / ".out.importing.lock"),
        pytest.raises(ModelError, match="Another process imports"),
    ):
        import_checkpoint(source, tmp_path / "out")


def test_a_disk_without_room_is_refused_before_anything_is_written(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=1_000_000))
    with pytest.raises(ModelError, match="needs 2 MB and has 1 MB"):
        import_checkpoint(source, tmp_path / "out")


def test_progress_is_told_and_can_be_silent(
    source: Source, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_checkpoint(source, tmp_path / "silent", progress=False)
    assert capsys.readouterr().err == ""
    import_checkpoint(source, tmp_path / "told")
    assert "Importing: 3 of 3 megabytes, 00:00 left" in capsys.readouterr().err


class Trap:
    """Writes a file if it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.path,)


def test_a_torch_file_is_never_executed(tmp_path: Path) -> None:
    source = write(tmp_path / "in", {}, kind="bin")
    path = source.folder / "pytorch_model.bin"
    torch.save({"lm_head.weight": torch.ones(1), "x": Trap(tmp_path / "trap")}, path)
    with pytest.raises(ModelError, match="no readable file of weights"):
        import_checkpoint(source, tmp_path / "out")
    assert not (tmp_path / "trap").exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_torch_files_of_both_formats_are_read(tmp_path: Path, *, zipped: bool) -> None:
    tensors = tiny_tensors()
    source = write(tmp_path / "in", {}, kind="bin")
    path = source.folder / "pytorch_model.bin"
    torch.save(tensors, path, _use_new_zipfile_serialization=zipped)
    import_checkpoint(source, tmp_path / "out", progress=False)
    norm = state(tmp_path / "out")["model.language_model.norm.weight"]
    assert torch.equal(norm, tensors["model.norm.weight"])


def test_a_torch_file_of_something_else_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "in", {}, kind="bin")
    torch.save({"epoch": 3}, source.folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="something else than named tensors"):
        import_checkpoint(source, tmp_path / "out")


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "config.json").write_text(json.dumps(llava_config(**MISTRAL)))
    with pytest.raises(ModelError, match="holds no weights"):
        import_checkpoint(Source(folder=tmp_path / "in"), tmp_path / "out")


@pytest.mark.parametrize(
    ("content", "words"), [("[]", "no JSON object"), ("{", "cannot be read"), (None, "holds no")]
)
def test_a_config_that_cannot_be_read_is_refused(
    tmp_path: Path, content: str | None, words: str
) -> None:
    (tmp_path / "in").mkdir()
    if content is not None:
        (tmp_path / "in" / "config.json").write_text(content)
    with pytest.raises(ModelError, match=words):
        import_checkpoint(Source(folder=tmp_path / "in"), tmp_path / "out")


@pytest.fixture
def llava_hf(source: Source, tmp_path: Path) -> Source:
    """A folder as the hub has it: transformers' names of before version 5."""
    import_checkpoint(source, tmp_path / "made", progress=False)
    hub = {_hub_name(name): value.contiguous() for name, value in state(tmp_path / "made").items()}
    folder = tmp_path / "llava-hf"
    config = json.loads((tmp_path / "made" / "config.json").read_text())
    write_folder(folder, config, hub)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(tmp_path / "made" / name, folder / name)
    for name in ("preprocessor_config.json", "processor_config.json"):
        shutil.copyfile(tmp_path / "made" / name, folder / name)
    (folder / "modeling_llava.py").write_text("raise SystemExit")
    (folder / "rust_model.bin").write_text("left from a conversion")
    shutil.rmtree(tmp_path / "made")
    return Source(folder=folder)


def _hub_name(name: str) -> str:
    for new, old in (
        ("model.vision_tower.", "vision_tower.vision_model."),
        ("model.language_model.", "language_model.model."),
        ("model.multi_modal_projector.", "multi_modal_projector."),
        ("lm_head.", "language_model.lm_head."),
    ):
        if name.startswith(new):
            return old + name.removeprefix(new)
    raise AssertionError(name)


def test_a_folder_of_transformers_is_linked_unchanged(llava_hf: Source, tmp_path: Path) -> None:
    report = import_checkpoint(llava_hf, tmp_path / "out", progress=False)
    assert report.layout == "transformers"
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {path.name for path in llava_hf.folder.iterdir()} - {
        "modeling_llava.py",
        "rust_model.bin",
    } | {"import.json"}
    for name in names - {"import.json"}:
        original, imported = llava_hf.folder / name, tmp_path / "out" / name
        assert imported.read_bytes() == original.read_bytes()
        assert imported.stat().st_ino == original.stat().st_ino
    norm = state(tmp_path / "out")["model.language_model.norm.weight"]
    assert torch.equal(norm, tiny_tensors()["model.norm.weight"])


def test_where_links_cannot_be_made_the_files_are_copied(
    llava_hf: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> None:
        raise OSError

    monkeypatch.setattr("os.link", refuse)
    import_checkpoint(llava_hf, tmp_path / "out", progress=False)
    original, imported = llava_hf.folder / "config.json", tmp_path / "out" / "config.json"
    assert imported.read_bytes() == original.read_bytes()
    assert imported.stat().st_ino != original.stat().st_ino


def test_a_folder_of_transformers_with_a_tensor_too_few_is_refused(
    llava_hf: Source, tmp_path: Path
) -> None:
    config = json.loads((llava_hf.folder / "config.json").read_text())
    config["text_config"]["num_hidden_layers"] += 1
    (llava_hf.folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"it lacks 9 tensors: model\.language_model\.layers\.2"):
        import_checkpoint(llava_hf, tmp_path / "out")


def test_a_processor_whose_image_token_is_not_the_models_is_refused(
    llava_hf: Source, tmp_path: Path
) -> None:
    config = json.loads((llava_hf.folder / "config.json").read_text())
    config["image_token_index"] = 5
    (llava_hf.folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"makes \[\d+\] of '<image>' .* at 5"):
        import_checkpoint(llava_hf, tmp_path / "out")
