from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import openvino as ov
import pytest
from tiny_model import Load, TinyWeights, vision_encoder

from tinymed.engines.openvino import build, build_openvino, check_build, read_build
from tinymed.engines.openvino.build import FORMAT
from tinymed.errors import ConfigError, ModelError

FILES = ["embedding.npy", "language.bin", "language.xml", "vision.bin", "vision.xml"]


@pytest.fixture(scope="session")
def pristine(weights: TinyWeights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pristine") / "build"
    build_openvino(weights, folder, precision="int8")
    return folder


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "build"))


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_the_manifest_tells_what_was_built(folder: Path) -> None:
    made = check_build(folder)
    assert made == read_build(folder)
    assert (made.precision, made.weights_digest, made.num_image_tokens) == ("int8", "tiny", 4)
    assert [file.name for file in made.files] == FILES
    assert made.num_bytes == sum((folder / name).stat().st_size for name in FILES)


def test_fewer_bits_make_a_smaller_build(
    weights: TinyWeights, tmp_path: Path, pristine: Path
) -> None:
    sizes = [
        build_openvino(weights, tmp_path / precision, precision=precision).num_bytes
        for precision in ("f32", "f16")
    ]
    assert sizes[0] > sizes[1] > read_build(pristine).num_bytes
    for name in ("language.bin", "vision.bin"):
        f32, f16, int8 = (
            (where / name).stat().st_size
            for where in (tmp_path / "f32", tmp_path / "f16", pristine)
        )
        assert f32 > f16 > int8


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte_is_refused(folder: Path, name: str) -> None:
    flip_a_byte(folder / name)
    for check in (read_build, check_build):
        with pytest.raises(ModelError, match=f"The file '{name}' of the build .* is damaged"):
            check(folder)


def test_a_large_file_is_sized_at_load_and_hashed_on_demand(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "ALWAYS_HASHED_BYTES", 0)
    flip_a_byte(folder / "language.bin")
    read_build(folder)
    with pytest.raises(ModelError, match=r"language\.bin"):
        check_build(folder)
    (folder / "language.bin").write_bytes((folder / "language.bin").read_bytes()[:-1])
    with pytest.raises(ModelError, match=r"language\.bin"):
        read_build(folder)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "vision.bin").unlink()
    with pytest.raises(ModelError, match=r"lacks its file 'vision\.bin'; build it again"):
        read_build(folder)


def test_a_folder_without_a_manifest_is_no_build(folder: Path) -> None:
    (folder / "build.json").unlink()
    with pytest.raises(ModelError, match="No finished build at"):
        read_build(folder)


@pytest.mark.parametrize(
    "text", ["{", "[]", f'{{"format": {FORMAT}}}', f'{{"format": {FORMAT}, "files": [1]}}']
)
def test_a_damaged_manifest_is_refused(folder: Path, text: str) -> None:
    (folder / "build.json").write_text(text)
    with pytest.raises(ModelError, match="is damaged; build it again"):
        read_build(folder)


def test_a_build_of_another_version_is_refused(folder: Path) -> None:
    row = json.loads((folder / "build.json").read_text())
    (folder / "build.json").write_text(json.dumps({**row, "format": 99}))
    with pytest.raises(ModelError, match=f"has format 99, this version reads {FORMAT}"):
        read_build(folder)


def test_a_failed_build_leaves_nothing_behind(weights: TinyWeights, tmp_path: Path) -> None:
    language = {k: v for k, v in weights.language.items() if k != "norm.weight"}
    with pytest.raises(KeyError):
        build_openvino(replace(weights, language=language), tmp_path / "new", precision="f32")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_build_keeps_the_older_one(weights: TinyWeights, folder: Path) -> None:
    broken = replace(weights, connector={})
    with pytest.raises(KeyError):
        build_openvino(broken, folder, precision="f32")
    assert check_build(folder).precision == "int8"
    assert [path.name for path in folder.parent.iterdir()] == ["build"]


def test_a_new_build_replaces_the_older_one(weights: TinyWeights, folder: Path) -> None:
    build_openvino(weights, folder, precision="f16")
    assert check_build(folder).precision == "f16"
    assert [path.name for path in folder.parent.iterdir()] == ["build"]


def test_an_unknown_precision_is_refused(weights: TinyWeights, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"No precision 'int3' .* Known: f32, f16, int8"):
        build_openvino(weights, tmp_path / "new", precision="int3")


def test_a_file_that_is_no_encoder_is_refused(weights: TinyWeights, tmp_path: Path) -> None:
    path = tmp_path / "encoder.onnx"
    path.write_bytes(b"no such thing")
    with pytest.raises(ModelError, match="is not a readable vision encoder"):
        build_openvino(replace(weights, vision_file=path), tmp_path / "new", precision="f32")


def test_an_encoder_without_the_final_norm_is_refused(weights: TinyWeights, tmp_path: Path) -> None:
    path = tmp_path / "encoder.xml"
    ov.save_model(vision_encoder(weights.vision, norm_name="other"), path)
    with pytest.raises(ModelError, match=r"has no 'backbone\.layernorm\.weight'"):
        build_openvino(replace(weights, vision_file=path), tmp_path / "new", precision="f32")


def test_an_engine_refuses_a_damaged_build(load: Load, folder: Path) -> None:
    flip_a_byte(folder / "language.xml")
    engine = load("f32")
    with pytest.raises(ModelError, match=r"language\.xml"):
        type(engine)(
            folder,
            model="tiny",
            prompt=engine._prompt,
            prompt_template="",
            preprocessing=engine.preprocessing,
        )
