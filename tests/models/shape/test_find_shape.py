"""What an address means: a name, a folder, a file, a build, the hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from loopback import Served, serving
from tiny_configs import WHOLES, llava

from tinymed.errors import ConfigError, ModelError
from tinymed.models.build import Build, write_build
from tinymed.models.catalog import find_source, source_digest
from tinymed.models.manifest import read_manifest
from tinymed.models.prompt import CHATML
from tinymed.models.shape.known import find_config, find_shape
from tinymed.models.shape.read import read_shape

CONFIG = llava()
TINY = read_shape(CONFIG, name="tiny")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TINYMED_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _write(folder: Path, content: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(content)
    return folder


@pytest.mark.parametrize("tail", ["", "/", "/config.json"])
def test_a_checkpoint_is_found_by_its_folder_or_its_configuration(
    tmp_path: Path, tail: str
) -> None:
    folder = _write(tmp_path / "a b", json.dumps(CONFIG))
    found = find_shape(f"{folder}{tail}")
    assert found.name == f"{folder}{tail}"
    assert replace(found, name="tiny") == TINY


def test_a_configuration_is_found_in_the_folder_one_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(_write(tmp_path / "here", json.dumps(CONFIG)))
    assert replace(find_shape("config.json"), name="tiny") == TINY


def test_an_installed_model_is_found_by_its_name(cache: Path) -> None:
    _write(cache / "models" / "mine", json.dumps(CONFIG))
    assert replace(find_shape("mine"), name="tiny") == TINY
    with pytest.raises(ModelError, match=r"No model 'mina' is known\. Did you mean 'mine'\?"):
        find_shape("mina")


def test_an_installed_model_comes_before_a_known_name(cache: Path) -> None:
    _write(cache / "models" / "llava-med-7b", json.dumps(CONFIG))
    assert find_shape("llava-med-7b").text.width == 32


def test_a_shipped_name_means_the_shipped_model(cache: Path) -> None:
    assert find_shape("nano").name == "nano"
    with pytest.raises(ModelError, match="'nano' is made of tinymed's own parts"):
        find_config("nano")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "holds no JSON object"),
        ("\xff\xfe", "cannot be read as JSON"),
    ],
)
def test_a_damaged_configuration_is_refused(tmp_path: Path, content: str, said: str) -> None:
    _write(tmp_path, "")
    (tmp_path / "config.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(ModelError, match=said):
        find_shape(str(tmp_path))


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds neither a config\.json nor a manifest\.json"):
        find_shape(str(tmp_path))


def _build(folder: Path, *, model: str, digest: str) -> Path:
    def make(work: Path) -> Build:
        (work / "weights.bin").write_bytes(b"0")
        return Build(
            model=model,
            description="",
            scheme="native-int8",
            parts=(),
            source_digest=digest,
            template=CHATML,
            preprocessing=read_manifest(_SHIPPED / "nano" / "manifest.json").preprocessing,
            num_image_tokens=81,
            context_tokens=2048,
            made_with={},
        )

    return write_build(folder, make).folder


_SHIPPED = Path(read_shape.__code__.co_filename).parents[1] / "shipped"


def test_a_builds_shape_is_its_models(tmp_path: Path) -> None:
    folder = _build(tmp_path / "b", model="nano", digest=source_digest(find_source("nano")))
    assert find_shape(str(folder)) == find_shape("nano")


@pytest.mark.parametrize(("model", "digest"), [("nano", "0" * 64), ("gone", "0" * 64)])
def test_a_build_of_a_model_that_is_not_here_is_refused(
    tmp_path: Path, model: str, digest: str
) -> None:
    folder = _build(tmp_path / "b", model=model, digest=digest)
    with pytest.raises(ModelError, match=f"the model '{model}' that it was made from is not known"):
        find_shape(str(folder))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    with serving() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield served


PLACE = "/owner/name/resolve/main/config.json"


def test_of_a_model_on_the_hub_the_configuration_alone_is_fetched(hub: Served) -> None:
    hub.files[PLACE] = json.dumps(WHOLES["gemma3"]).encode()
    found = find_shape("hf:owner/name")
    assert found.name == "hf:owner/name"
    assert found.tensors == read_shape(WHOLES["gemma3"], name="x").tensors
    assert [request.path for request in hub.requests] == [PLACE]


def test_a_token_is_shown_where_one_is_asked_for(
    hub: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.files[PLACE] = json.dumps(CONFIG).encode()
    hub.token = "hf_secret"
    with pytest.raises(ModelError, match="does not give 'hf:owner/name' to everybody"):
        find_shape("hf:owner/name")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert find_shape("hf:owner/name").tensors == TINY.tensors


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "The hub has no model 'hf:owner/name' with a config.json"),
        (b"<html>", "is no JSON object of at most 1 MiB"),
        (b'"text"', "is no JSON object of at most 1 MiB"),
        (b'{"a": "' + b"x" * 2**20 + b'"}', "is no JSON object of at most 1 MiB"),
    ],
)
def test_what_the_hub_gives_instead_is_said(hub: Served, content: bytes | None, said: str) -> None:
    if content is not None:
        hub.files[PLACE] = content
    with pytest.raises(ModelError, match=said):
        find_shape("hf:owner/name")


def test_a_hub_that_does_not_answer_is_said(hub: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinymed.models.transfer.urls.FIRST_PAUSE_S", 0.0)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match="Check the network, or name a copy of that file"):
        find_shape("hf:owner/name")


def test_a_reference_of_another_form_is_refused() -> None:
    with pytest.raises(ConfigError, match="not of the form hf:OWNER/NAME"):
        find_shape("hf:name")
