"""What a model is made of, written and read back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tinymed.errors import ConfigError, ModelError
from tinymed.models.catalog import _SHIPPED_FOLDER, DEFAULT_MODEL, SHIPPED, find_model
from tinymed.models.manifest import read_manifest, write_manifest
from tinymed.models.parts import LANGUAGE_MODELS, VISION_ENCODERS, untrained
from tinymed.models.schemes import DEFAULT_SCHEME, find_scheme
from tinymed.models.trained import read_trained
from tinymed.models.weights import CONNECTOR_NAMES, weights_digest
from tinymed.runs import sha256_of


@pytest.mark.parametrize("encoder", VISION_ENCODERS)
def test_a_manifest_reads_back_as_written(tmp_path: Path, encoder: str) -> None:
    [language] = LANGUAGE_MODELS
    manifest = untrained("m", encoder=encoder, language=language, description="d")
    write_manifest(manifest, tmp_path)
    read = read_manifest(tmp_path / "manifest.json")
    assert replace(read, folder=manifest.folder) == manifest


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_is_whole_and_small(name: str) -> None:
    manifest = find_model(name)
    path = manifest.folder / manifest.trained_file
    assert sha256_of(path) == manifest.trained_sha256
    assert path.stat().st_size < 60e6
    trained = read_trained(path)
    assert set(trained.connector) == set(CONNECTOR_NAMES)
    assert len(trained.adapter) == 7 * 30


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_models_parts_are_those_of_the_table(name: str) -> None:
    manifest = find_model(name)
    vision = VISION_ENCODERS[manifest.vision_encoder]
    assert manifest.part("vision_encoder") == vision.part
    assert manifest.part("language_model") in LANGUAGE_MODELS.values()
    assert manifest.num_image_tokens == vision.num_image_tokens(vision.fold)
    assert manifest.preprocessing == vision.preprocessing


def test_other_trained_weights_are_another_digest() -> None:
    manifest = find_model("nano")
    assert weights_digest(manifest) != weights_digest(replace(manifest, trained_sha256="x"))


def test_a_folder_without_a_model_says_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"it holds no manifest.json. Name a shipped model"):
        find_model(f"{tmp_path}/")


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "x"}')
    with pytest.raises(ModelError, match="is damaged"):
        find_model(f"{tmp_path}/")


def test_an_unknown_part_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"No vision encoder 'clip'. Known: dinov2-small"):
        untrained("m", encoder="clip", language="smollm2-135m-instruct", description="")
    with pytest.raises(ConfigError, match=r"No language model 'llama'"):
        untrained("m", encoder="dinov2-small", language="llama", description="")


def test_folding_leaves_fewer_image_tokens() -> None:
    names = {"encoder": "efficientnet-lite2", "language": "smollm2-135m-instruct"}
    folded = untrained("m", **names, description="", fold=3)
    assert (folded.fold, folded.num_image_tokens) == (3, 9)
    with pytest.raises(ConfigError, match=r"9 x 9 .* folded by 2. Set fold to one of 1, 3, 9"):
        untrained("m", **names, description="", fold=2)


@pytest.mark.parametrize(
    "path", sorted(_SHIPPED_FOLDER.glob("*/parity-*.json")), ids=lambda path: path.stem
)
def test_a_shipped_parity_report_is_of_a_known_scheme_and_decided(path: Path) -> None:
    report = json.loads(path.read_text(encoding="utf-8"))
    assert path.name == f"parity-{report['scheme']}.json"
    assert report["model"] == path.parent.name
    assert report["passed"] is not bool(report["reasons"])
    assert len(report["build_digest"]) == 64
    assert find_scheme(report["scheme"]).bits < 16


def test_the_default_build_of_the_default_model_ships_with_a_pass() -> None:
    path = _SHIPPED_FOLDER / DEFAULT_MODEL / f"parity-{DEFAULT_SCHEME}.json"
    assert json.loads(path.read_text(encoding="utf-8"))["passed"] is True
