"""Opening a model by its address: which scheme, which build, and whether it may be used."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_model import tiny_weights

from tinymed.engines import building, choose
from tinymed.engines.choose import open_engine
from tinymed.engines.openvino import build_openvino
from tinymed.errors import ConfigError, ModelError
from tinymed.models import parity_mark
from tinymed.models.build import Build, read_build
from tinymed.models.catalog import split_address
from tinymed.models.describe import describe_model
from tinymed.models.parity_mark import read_parity, require_parity, write_parity
from tinymed.models.schemes import SCHEMES, find_scheme


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("choose")
    build_openvino(tiny_weights(folder), folder / "build", scheme=find_scheme("openvino-int8"))
    return folder / "build"


@pytest.fixture
def build(pristine: Path, tmp_path: Path) -> Build:
    return read_build(Path(shutil.copytree(pristine, tmp_path / "build")))


@pytest.mark.parametrize(
    ("address", "base", "scheme"),
    [
        ("nano", "nano", None),
        ("nano:gguf-q8_0", "nano", "gguf-q8_0"),
        ("runs/a/model:nf4", "runs/a/model", "nf4"),
        ("runs/a:b/model", "runs/a:b/model", None),
        ("./a:b", "./a:b", None),
    ],
)
def test_an_address_is_a_name_and_a_scheme(address: str, base: str, scheme: str | None) -> None:
    found, chosen = split_address(address)
    assert (found, chosen and chosen.name) == (base, scheme)


def test_an_unknown_scheme_of_a_name_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"No scheme 'q4'"):
        open_engine("nano:q4")


def test_a_build_that_was_never_compared_is_refused_but_by_name(build: Build) -> None:
    remedy = re.escape(f"Run: tinymed models check {build.folder}")
    with pytest.raises(
        ModelError, match=rf"'tiny:openvino-int8' has not been compared .* {remedy}"
    ):
        open_engine(str(build.folder))
    with pytest.raises(ModelError, match="has not been compared"):
        open_engine(str(build.folder), force_build="tiny")
    engine = open_engine(str(build.folder), threads=1, force_build="tiny:openvino-int8")
    assert (engine.name, engine.scheme, engine.model) == ("openvino", "openvino-int8", "tiny")
    assert engine.weights_digest == build.digest


def test_a_build_that_passed_is_opened(build: Build) -> None:
    write_parity(build, {"passed": True})
    assert open_engine(str(build.folder), threads=1).model == "tiny"


def test_a_build_that_failed_is_refused_with_the_reasons(build: Build) -> None:
    write_parity(build, {"passed": False, "reasons": ["the image tokens differ by 93 %"]})
    with pytest.raises(ModelError, match=r"differ by 93 %\). Choose .* --force-build tiny:openv"):
        open_engine(str(build.folder))


def test_a_report_holds_for_the_bytes_it_was_made_from(build: Build) -> None:
    write_parity(build, {"passed": True})
    assert read_parity(build) is not None
    other = replace(build.files[0], sha256="0" * 64)
    assert read_parity(replace(build, files=(other, *build.files[1:]))) is None
    seen_otherwise = replace(build.preprocessing, mean=(0.5, 0.5, 0.5))
    assert read_parity(replace(build, preprocessing=seen_otherwise)) is None
    asked_otherwise = replace(build.template, before_question=" ")
    assert read_parity(replace(build, template=asked_otherwise)) is None


@pytest.mark.parametrize("passed", ["true", 1, None])
def test_only_a_plain_true_is_a_pass(build: Build, passed: object) -> None:
    write_parity(build, {"passed": passed})
    with pytest.raises(ModelError):
        require_parity(build, address="tiny")


def test_a_damaged_report_is_no_report(build: Build) -> None:
    (build.folder / parity_mark.PARITY).write_text("{")
    assert read_parity(build) is None


def test_a_shipped_report_holds_for_the_same_bytes(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "shipped.json"
    path.write_text(json.dumps({"build_digest": build.digest, "passed": True}))
    monkeypatch.setattr(parity_mark, "_shipped", lambda _build: path)
    require_parity(build, address="tiny")
    path.write_text(json.dumps({"build_digest": "another", "passed": True}))
    with pytest.raises(ModelError):
        require_parity(build, address="tiny")


def test_a_builds_folder_with_another_scheme_is_refused(build: Build) -> None:
    with pytest.raises(ModelError, match="is 'openvino-int8', not 'nf4'"):
        open_engine(f"{build.folder}:nf4", force_build="tiny:openvino-int8")


def test_a_build_is_made_once_for_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tiny_weights(tmp_path)
    monkeypatch.setenv("TINYMED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(building, "source_digest", lambda _source: "d" * 64)
    made = []

    def make(_source: object, scheme: object, folder: Path) -> None:
        made.append(folder)
        build_openvino(weights, folder, scheme=find_scheme("openvino-int8"))

    monkeypatch.setattr(building, "make_build", make)
    source = choose.find("nano")
    scheme = find_scheme("openvino-int8")
    first = building.ensure_build(source, scheme)
    assert building.ensure_build(source, scheme) == first
    assert len(made) == 1


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=list(SCHEMES))
def test_every_scheme_says_what_it_does(scheme: object) -> None:
    text = scheme.description  # type: ignore[attr-defined]
    assert len(text) > 40
    assert text.endswith(".")


def test_a_checkpoint_that_only_transformers_reads_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "idefics3"}')
    with pytest.raises(ModelError, match=r"runs in transformers only: name it .*:torch-bf16'"):
        open_engine(f"{folder}:openvino-int8")
    with pytest.raises(ModelError, match=r"'other:nf4' would be quantized as it is loaded"):
        open_engine(f"{folder}:nf4", force_build="other:int8")


def test_a_builds_description_tells_its_verdict_and_its_bits(build: Build) -> None:
    assert describe_model(str(build.folder))["parity"] == "never compared"
    for passed, verdict in ((True, "passed"), (False, "failed")):
        write_parity(build, {"passed": passed})
        row = describe_model(str(build.folder))
        assert (row["name"], row["parity"]) == ("tiny:openvino-int8", verdict)
    bits = {part["role"]: part["bits"] for part in row["parts"]}
    assert bits == {part.name: part.bits for part in build.parts}
