"""Installed models: names, what is here, and what can go."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from tinymed.errors import ModelError
from tinymed.models import build
from tinymed.models.catalog import find_source, source_digest
from tinymed.models.installed import (
    check_name,
    install_folder,
    installed_folder,
    installed_models,
    is_installed,
    work_folder,
)
from tinymed.models.remove import paths_to_remove, remove, unused_builds


def install(name: str, *files: str, cache: Path) -> Path:
    work = cache / "models" / f".{name}.work"
    work.mkdir(parents=True)
    for file in files:
        (work / file).write_text("{}")
    return install_folder(work, name)


def a_build(cache: Path, name: str, **row: object) -> Path:
    folder = cache / "builds" / name
    folder.mkdir(parents=True)
    (folder / "build.json").write_text(json.dumps({"format": build.FORMAT, **row}))
    (folder / "weights.bin").write_bytes(bytes(1 << 20))
    return folder


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/b", "a\\b", "../x", ".hidden", "-x", "a b", "a:b", "é", "x" * 101, "a."],
)
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="is no name for a model"):
        check_name(name)


def test_a_shipped_models_name_is_refused() -> None:
    with pytest.raises(ModelError, match="'nano' is a model that tinymed ships"):
        installed_folder("nano")


def test_installed_models_are_listed_by_kind(cache: Path) -> None:
    assert installed_models() == []
    install("ours", "manifest.json", "config.json", cache=cache)
    install("theirs", "config.json", "x.safetensors", cache=cache)
    install("built", "build.json", "config.json", cache=cache)
    install("alone", "x.gguf", cache=cache)
    assert [(model.name, model.kind, model.num_bytes) for model in installed_models()] == [
        ("alone", "weights", 2),
        ("built", "build", 4),
        ("ours", "tinymed", 4),
        ("theirs", "checkpoint", 4),
    ]


def test_a_name_is_exact(cache: Path) -> None:
    install("Model", "config.json", cache=cache)
    assert is_installed("Model")
    assert not is_installed("model")
    assert not is_installed("Mod")


def test_a_taken_name_keeps_what_it_has(cache: Path) -> None:
    folder = install("a", "config.json", cache=cache)
    with pytest.raises(ModelError, match=r"'a' is installed already\..*tinymed models rm a"):
        install("a", "other.json", cache=cache)
    assert [path.name for path in folder.iterdir()] == ["config.json"]


def test_one_process_at_a_time_makes_a_model(cache: Path) -> None:
    errors: list[ModelError] = []

    def second() -> None:
        try:
            with work_folder("a", "pull"):
                pass
        except ModelError as error:
            errors.append(error)

    with work_folder("a", "pull") as work:
        assert work == cache / "models" / ".a.pull"
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert [str(error) for error in errors] == [
        "Another tinymed is bringing the model 'a' here: wait for it."
    ]
    second()
    assert len(errors) == 1


def test_removing_a_model_frees_its_folder_and_no_other(cache: Path) -> None:
    folder = install("a", "x.gguf", cache=cache)
    other = install("b", "x.gguf", cache=cache)
    doomed = paths_to_remove("a")
    assert doomed == {folder: 2}
    remove(doomed)
    assert not folder.exists()
    assert other.exists()
    assert sorted(path.name for path in (cache / "models").iterdir()) == ["b"]


def test_what_a_cut_short_pull_left_can_be_removed(cache: Path) -> None:
    left = cache / "models" / ".a.pull" / "files"
    left.mkdir(parents=True)
    (left / "x.partial").write_bytes(bytes(5))
    assert paths_to_remove("a") == {left.parent: 5}


def test_a_model_that_is_not_here_is_named_with_those_that_are(cache: Path) -> None:
    install("b", "x.gguf", cache=cache)
    with pytest.raises(ModelError, match=r"No model 'a' is here\. Known: b, nano\."):
        paths_to_remove("a")


def test_a_shipped_models_builds_go_by_scheme(cache: Path) -> None:
    digest = source_digest(find_source("nano"))
    int8 = a_build(cache, "one", scheme="openvino-int8", source_digest=digest)
    f32 = a_build(cache, "two", scheme="openvino-f32", source_digest=digest)
    a_build(cache, "three", scheme="openvino-int8", source_digest="another")
    assert list(paths_to_remove("nano", scheme="openvino-int8")) == [int8]
    assert set(paths_to_remove("nano")) == {int8, f32}
    with pytest.raises(ModelError, match="No build 'nf4' of 'nano' is here"):
        paths_to_remove("nano", scheme="nf4")


def test_unused_builds_are_of_other_formats_or_unknown_weights(cache: Path) -> None:
    digest = source_digest(find_source("nano"))
    a_build(cache, "used", scheme="openvino-int8", source_digest=digest)
    old = a_build(cache, "old", source_digest=digest, format=1)
    gone = a_build(cache, "gone", source_digest="of a model that was removed")
    (damaged := a_build(cache, "damaged") / "build.json").write_text("{")
    doomed = unused_builds()
    assert set(doomed) == {old, gone, damaged.parent}
    assert doomed[old] > 1 << 20
    remove(doomed)
    assert [path.name for path in (cache / "builds").iterdir()] == ["used"]


def test_parts_that_another_model_needs_stay(cache: Path) -> None:
    from tinymed.models.cache import part_path
    from tinymed.models.catalog import find_model

    nano = find_model("nano")
    for part in nano.parts:
        part_path(part).parent.mkdir(parents=True)
        part_path(part).write_bytes(b"x")
    assert set(paths_to_remove("nano")) == {part_path(part).parent for part in nano.parts}
    work = cache / "models" / ".mine.work"
    work.mkdir(parents=True)
    (work / "manifest.json").write_bytes((nano.folder / "manifest.json").read_bytes())
    install_folder(work, "mine")
    assert paths_to_remove("nano") == {}
