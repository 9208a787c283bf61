from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from tiny_model import CONFIG, vision_encoder

from tinymed.engines import precisions
from tinymed.engines.embedding import EMBEDDING, look_up
from tinymed.engines.openvino import OpenVinoEngine
from tinymed.engines.openvino import build as build_module
from tinymed.engines.openvino.build import build_openvino
from tinymed.errors import ConfigError, ModelError
from tinymed.models import build as builds
from tinymed.models.build import FORMAT, Build, check_build, read_build
from tinymed.models.schemes import PARTS, find_scheme
from tinymed.models.weights import ModelWeights

FILES = [
    "embedding.npy",
    "language.bin",
    "language.xml",
    "tokenizer.json",
    "vision.bin",
    "vision.xml",
]


@pytest.fixture(scope="session")
def pristine(weights: ModelWeights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pristine") / "build"
    build(weights, folder, "int8")
    return folder


def build(weights: ModelWeights, folder: Path, precision: str) -> Build:
    return build_openvino(
        weights,
        folder,
        scheme=find_scheme(f"openvino-{precision}" if precision == "int8" else "openvino-f32"),
        precisions=dict.fromkeys(PARTS, precision),
    )


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
    assert (made.scheme, made.source_digest, made.num_image_tokens) == ("openvino-int8", "tiny", 4)
    assert [part.name for part in made.parts] == list(PARTS)
    sizes = {part.name: part.num_bytes for part in made.parts}
    assert sizes["language_model"] > sizes["connector"] > 0
    # What the parts take is what the files hold, but for the graphs and position tables.
    on_disk = sum(
        (folder / name).stat().st_size for name in FILES if "bin" in name or "npy" in name
    )
    tables = 2 * build_module.CONTEXT_TOKENS * CONFIG.head_dim * 4
    assert 0.95 * on_disk < sum(sizes.values()) + tables < 1.05 * on_disk
    assert [file.name for file in made.files] == FILES
    assert made.num_bytes == sum((folder / name).stat().st_size for name in FILES)


def test_fewer_bits_make_a_smaller_build(
    weights: ModelWeights, tmp_path: Path, pristine: Path
) -> None:
    sizes = [
        build(weights, tmp_path / precision, precision).num_bytes for precision in ("f32", "f16")
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
    monkeypatch.setattr(builds, "ALWAYS_HASHED_BYTES", 0)
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


def test_a_failed_build_leaves_nothing_behind(weights: ModelWeights, tmp_path: Path) -> None:
    language = {k: v for k, v in weights.language.items() if k != "norm.weight"}
    with pytest.raises(KeyError):
        build(replace(weights, language=language), tmp_path / "new", "f32")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_build_keeps_the_older_one(weights: ModelWeights, folder: Path) -> None:
    broken = replace(weights, connector={})
    with pytest.raises(KeyError):
        build(broken, folder, "f32")
    assert check_build(folder).parts[0].precision == "int8"
    assert [path.name for path in folder.parent.iterdir()] == ["build"]


def test_a_new_build_replaces_the_older_one(weights: ModelWeights, folder: Path) -> None:
    build(weights, folder, "f16")
    assert check_build(folder).parts[0].precision == "f16"
    assert [path.name for path in folder.parent.iterdir()] == ["build"]


def test_an_unknown_precision_is_refused(weights: ModelWeights, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"No precision 'int3' .* Known: f32, f16, int8, int4"):
        build(weights, tmp_path / "new", "int3")


def test_a_file_that_is_no_encoder_is_refused(weights: ModelWeights, tmp_path: Path) -> None:
    path = tmp_path / "encoder.onnx"
    path.write_bytes(b"no such thing")
    with pytest.raises(ModelError, match="is not a readable vision encoder"):
        build(replace(weights, vision_file=path), tmp_path / "new", "f32")


def test_an_encoder_without_the_final_norm_is_refused(
    weights: ModelWeights, tmp_path: Path
) -> None:
    path = tmp_path / "encoder.xml"
    ov.save_model(vision_encoder(weights.vision, norm_name="other"), path)
    with pytest.raises(ModelError, match=r"has no 'backbone\.layernorm\.weight'"):
        build(replace(weights, vision_file=path), tmp_path / "new", "f32")


def test_an_engine_refuses_a_damaged_build(folder: Path) -> None:
    flip_a_byte(folder / "language.xml")
    with pytest.raises(ModelError, match=r"language\.xml"):
        OpenVinoEngine(folder)


TWO_BUILDS = """
import sys
from pathlib import Path
from openvino import opset13 as opset
from tiny_model import tiny_weights
from tinymed.engines.openvino.build import build_openvino
from tinymed.models.schemes import find_scheme
folder, scheme, made_before = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
folder.mkdir()
for _ in range(made_before):
    opset.constant(0.0)
print(build_openvino(tiny_weights(folder), folder / "build", scheme=find_scheme(scheme)).digest)
"""


@pytest.mark.parametrize("scheme", ["openvino-int8", "openvino-f32"])
def test_two_processes_write_the_same_bytes(tmp_path: Path, scheme: str) -> None:
    """OpenVINO's names for nodes count up over a process's life, and stood in the files."""
    paths = [str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    digests = [
        subprocess.run(
            [sys.executable, "-c", TWO_BUILDS, str(tmp_path / str(before)), scheme, str(before)],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        ).stdout
        for before in (0, 5)
    ]
    assert digests[0] == digests[1]
    one, two = (read_build(tmp_path / str(before) / "build") for before in (0, 5))
    assert one.files == two.files


def wide(weights: ModelWeights, monkeypatch: pytest.MonkeyPatch) -> ModelWeights:
    """The tiny model counts as wide as soon as nothing is narrow."""
    monkeypatch.setattr(precisions, "NARROW", 0)
    return weights


def test_four_bits_are_for_wide_language_models(
    weights: ModelWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheme = find_scheme("openvino-int4")
    narrow = build_openvino(weights, tmp_path / "narrow", scheme=scheme)
    assert [part.precision for part in narrow.parts] == ["int8"] * 3
    asked = build_openvino(
        weights, tmp_path / "asked", scheme=scheme, precisions={"language_model": "int4"}
    )
    broad = build_openvino(wide(weights, monkeypatch), tmp_path / "wide", scheme=scheme)
    for four in (asked, broad):
        assert four.precision("language_model") == "int4"
        assert four.parts[2].kept == ("lm_head",)
        assert four.num_bytes < narrow.num_bytes


def test_a_narrow_model_in_eight_bits_keeps_half_its_layers_in_sixteen(
    weights: ModelWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheme = find_scheme("openvino-int8")
    narrow = build_openvino(weights, tmp_path / "narrow", scheme=scheme)
    assert narrow.parts[2].kept == tuple(
        f"layers.{layer}.{name}"
        for layer in range(CONFIG.num_layers)
        for name in ("self_attn.qkv_proj", "self_attn.o_proj", "mlp.down_proj")
    )
    broad = build_openvino(wide(weights, monkeypatch), tmp_path / "wide", scheme=scheme)
    assert broad.parts[2].kept == ()
    assert broad.parts[2].num_bytes < narrow.parts[2].num_bytes


@pytest.mark.parametrize(
    ("precision", "bound", "bytes_a_row"),
    [("f32", 0.0, 64 * 4), ("f16", 5e-4, 64 * 2), ("int8", 0.008, 64 + 4), ("int4", 0.008, 68)],
)
def test_rows_of_the_embedding_table_come_back(
    weights: ModelWeights, tmp_path: Path, precision: str, bound: float, bytes_a_row: int
) -> None:
    build(weights, tmp_path / "build", precision)
    table = np.load(tmp_path / "build" / EMBEDDING, mmap_mode="r")
    assert table.nbytes == bytes_a_row * CONFIG.vocab_size
    ids = np.array([[3, 0, 258], [7, 7, 1]])
    expected = weights.language["embed_tokens.weight"][ids]
    rows = look_up(table, ids)
    assert (rows.dtype, rows.shape) == (np.float32, (2, 3, 64))
    assert np.linalg.norm(rows - expected) <= bound * np.linalg.norm(expected)
