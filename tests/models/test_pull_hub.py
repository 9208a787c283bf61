"""Models from a hub on loopback: chosen, resumed, checked, installed."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save
from tests.models.loopback import COMMIT, Served, serving

from tinymed.errors import ConfigError, ModelError
from tinymed.models.pull.run import Pulled, PullRequest, pull

CONFIG = b'{"model_type": "llava"}'
NAME = "hf:clinic/tiny-llava"
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 20))]
"""Moments at which a process is killed."""
_PULL = """
import sys
from tinymed.models.pull.run import PullRequest, pull
pull(PullRequest(reference=sys.argv[1]))
"""


def weights(num_values: int = 300_000) -> bytes:
    values = np.frombuffer(random.Random(0).randbytes(num_values), np.uint8)
    return save({"a.weight": values})


@pytest.fixture
def hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    with serving() as served:
        served.add_model(
            "clinic/tiny-llava",
            {
                "config.json": CONFIG,
                "model.safetensors": weights(),
                "README.md": b"a card",
                "LICENSE": b"",
                "pytorch_model.bin": b"\x80\x02pickle",
                "original/consolidated.safetensors": b"other",
                "modeling_tiny.py": b"import os",
                ".gitattributes": b"",
            },
            large=("model.safetensors", "pytorch_model.bin"),
        )
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield served


def pulled(reference: str = NAME, **fields: object) -> Pulled:
    return pull(PullRequest(reference=reference, **fields), progress=False)  # type: ignore[arg-type]


def test_a_model_of_the_hub_is_fetched_with_its_commit_recorded(hub: Served, cache: Path) -> None:
    model = pulled()
    assert (model.name, model.kind) == ("tiny-llava", "checkpoint")
    assert model.folder == cache / "models" / "tiny-llava"
    assert sorted(model.files) == [
        "LICENSE",
        "README.md",
        "config.json",
        "model.safetensors",
        "pulled.json",
    ]
    assert model.files["model.safetensors"].read_bytes() == weights()
    record = json.loads(model.files["pulled.json"].read_text())
    assert (record["origin"], record["version"]) == ("hub", COMMIT)
    assert list((cache / "models").glob(".*.pull")) == []


def test_the_same_request_again_asks_nobody(hub: Served) -> None:
    pulled()
    num_requests = len(hub.requests)
    assert pulled().name == "tiny-llava"
    assert len(hub.requests) == num_requests


def test_another_model_of_that_name_is_refused(hub: Served) -> None:
    hub.add_model("other/tiny-llava", {"model.safetensors": weights(10)})
    pulled()
    with pytest.raises(ModelError, match="A model 'tiny-llava' from elsewhere is installed"):
        pulled("hf:other/tiny-llava")
    assert pulled("hf:other/tiny-llava", name="other").folder.name == "other"


def test_cut_connections_are_taken_up_again(hub: Served) -> None:
    hub.cut_after = 70_000
    assert pulled().files["model.safetensors"].read_bytes() == weights()
    (cdn,) = {path for path in hub.paths() if path.startswith("/cdn/")}
    assert hub.num_sent[cdn] == len(weights())
    ranges = [request.range for request in hub.requests if request.path == cdn]
    assert len(ranges) == 5
    assert ranges[1:4] == ["bytes=70000-", "bytes=140000-", "bytes=210000-"]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_killed_pull_goes_on_and_fetches_nothing_twice(
    hub: Served, cache: Path, seed: int
) -> None:
    content = weights()
    hub.stall_after = random.Random(seed).randrange(1, len(content) - 4096)
    process = subprocess.Popen([sys.executable, "-c", _PULL, NAME])
    partial = cache / "models" / ".tiny-llava.pull" / "files" / "model.safetensors.partial"
    deadline = time.monotonic() + 120
    while not (partial.exists() and partial.stat().st_size >= hub.stall_after):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    num_kept = partial.stat().st_size
    asked_before = len(hub.requests)
    hub.stall_after = None
    hub.go_on.set()
    assert pulled().files["model.safetensors"].read_bytes() == content
    after = hub.requests[asked_before:]
    # The listing, and the rest of the one file: what was whole is not asked for again.
    assert [request.range for request in after if request.path.startswith("/cdn/")] == [
        f"bytes={num_kept}-"
    ]
    assert not any(request.path.endswith("config.json") for request in after)


def test_a_new_commit_keeps_the_files_that_did_not_change(hub: Served, cache: Path) -> None:
    files = cache / "models" / ".tiny-llava.pull" / "files"
    hub.status[f"/clinic/tiny-llava/resolve/{COMMIT}/config.json"] = 404
    with pytest.raises(ModelError, match="the server answered 404"):
        pulled()
    assert sorted(path.name for path in files.iterdir()) == ["LICENSE", "README.md"]
    hub.status.clear()
    hub.add_model(
        "clinic/tiny-llava",
        {"config.json": CONFIG, "model.safetensors": weights(), "README.md": b"another card"},
        large=("model.safetensors",),
    )
    hub.requests.clear()
    model = pulled()
    assert model.files["README.md"].read_bytes() == b"another card"
    assert "LICENSE" not in model.files


@pytest.mark.parametrize(
    ("name", "kind"), [("model.safetensors", "SHA-256"), ("config.json", "git hash")]
)
def test_a_damaged_file_is_refused_and_not_kept(
    hub: Served, cache: Path, name: str, kind: str
) -> None:
    place = f"/clinic/tiny-llava/resolve/{COMMIT}/{name}"
    place = hub.redirects.get(place, place)
    hub.files[place] = hub.files[place][:-1] + b"?"
    with pytest.raises(ModelError, match=f"'{name}' arrived damaged from .*its {kind} is not"):
        pulled()
    assert not (cache / "models" / "tiny-llava").exists()
    assert not list(cache.rglob(f"{name}*"))


def test_a_header_that_lies_is_refused_although_its_hash_is_right(hub: Served, cache: Path) -> None:
    hub.add_model("clinic/liar", {"model.safetensors": b"\xff" * 64})
    with pytest.raises(ModelError, match="is not a whole safetensors file"):
        pulled("hf:clinic/liar")
    assert not list(cache.rglob("model.safetensors*"))


def test_a_model_that_has_pickle_alone_is_refused_before_anything_is_fetched(hub: Served) -> None:
    hub.add_model("clinic/old", {"config.json": CONFIG, "pytorch_model.bin": b"\x80\x02"})
    with pytest.raises(ModelError) as caught:
        pulled("hf:clinic/old")
    assert str(caught.value) == (
        "'hf:clinic/old' has its weights as pickle alone ('pytorch_model.bin'), which can run any "
        "code when it is opened: ask its publisher for safetensors, or convert it where you trust "
        "it."
    )
    assert len(hub.requests) == 1


def test_one_of_several_gguf_files_must_be_named(hub: Served) -> None:
    names = ("tiny-Q4_0.gguf", "tiny-Q8_0.gguf", "mmproj-tiny.gguf")
    hub.add_model("clinic/gguf", dict.fromkeys(names, GGUF))
    with pytest.raises(ConfigError, match=r"offers 2 GGUF files .*: say which with --only"):
        pulled("hf:clinic/gguf")
    with pytest.raises(ConfigError, match="--only 'x' matches none of the weights"):
        pulled("hf:clinic/gguf", only=("x",))
    model = pulled("hf:clinic/gguf", only=("*Q8_0.gguf", "mmproj*"))
    assert sorted(model.files) == ["mmproj-tiny.gguf", "pulled.json", "tiny-Q8_0.gguf"]
    assert model.kind == "weights"


GGUF = b"GGUF\x03\0\0\0" + bytes(16)


def test_the_token_is_shown_to_the_hub_and_to_nobody_else(
    hub: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token = "hf_secret"
    with pytest.raises(ModelError, match=r"does not give .* to everybody \(401\): accept its"):
        pulled()
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with serving() as elsewhere:
        for place, target in hub.redirects.items():
            elsewhere.files[target] = hub.files[target]
            hub.redirects[place] = f"{elsewhere.url}{target}"
        pulled()
        assert [request.authorization for request in elsewhere.requests] == [None]
    record = Path(pulled().files["pulled.json"]).read_text()
    assert "hf_secret" not in record


def test_a_renamed_model_is_found_with_the_token(
    hub: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub redirects old names on its own host, which may know the token."""
    hub.token = "hf_secret"
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    for path in list(hub.files) + list(hub.redirects):
        if "clinic/tiny-llava" in path:
            hub.redirects[path.replace("tiny-llava", "old")] = path
    assert pulled("hf:clinic/old").name == "old"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, r"The hub has no model 'hf:clinic/none' with the revision 'v1\.0'\."),
        (500, "the server answered 500"),
    ],
)
def test_what_the_hub_does_not_have_is_one_sentence(hub: Served, status: int, message: str) -> None:
    hub.status["/api/models/clinic/none/revision/v1.0?blobs=true"] = status
    with pytest.raises(ModelError, match=message):
        pulled("hf:clinic/none", revision="v1.0")


def test_a_login_page_for_a_listing_is_one_sentence(hub: Served) -> None:
    hub.files["/api/models/clinic/x/revision/main?blobs=true"] = b"<html>Please log in"
    with pytest.raises(
        ModelError, match=r"the answer is not JSON\. .* models pull hf:clinic/x --f"
    ):
        pulled("hf:clinic/x")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"rfilename": "a b.safetensors", "size": 1}, "whose name cannot be taken over"),
        ({"rfilename": "..safetensors", "size": 1}, "whose name cannot be taken over"),
        ({"rfilename": "a.safetensors"}, "states no size of 'a.safetensors'"),
        ({"rfilename": "a.safetensors", "size": 1, "blobId": "x"}, "states no hash of"),
    ],
    ids=["a space", "dots", "no size", "no hash"],
)
def test_a_listing_that_cannot_be_trusted_is_refused(
    hub: Served, row: dict[str, object], message: str
) -> None:
    page = json.dumps({"sha": COMMIT, "siblings": [row]}).encode()
    hub.files["/api/models/clinic/x/revision/main?blobs=true"] = page
    with pytest.raises(ModelError, match=message):
        pulled("hf:clinic/x")


def test_a_copy_of_its_files_in_a_folder_does_without_the_hub(hub: Served, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "config.json").write_bytes(CONFIG)
    (copy / "model.safetensors").write_bytes(weights(10))
    assert pulled(folders=(copy,)).files["config.json"].read_bytes() == CONFIG
    assert hub.requests == []


def test_a_full_disk_is_told_before_anything_is_fetched(hub: Served) -> None:
    key = "/api/models/clinic/tiny-llava/revision/main?blobs=true"
    page = json.loads(hub.files[key])
    page["siblings"][1]["size"] = 1 << 60
    hub.files[key] = json.dumps(page).encode()
    with pytest.raises(ModelError, match=r"needs \d+ MiB and has \d+ MiB\. Free some"):
        pulled()
    assert len(hub.requests) == 1
