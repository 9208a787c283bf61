"""Fetching published files over connections that break, from publishers that err."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tinymed.data.fetch import fetch_set
from tinymed.data.publishers import HubFiles, OsfFiles, Publisher, WebFile
from tinymed.data.sources import SOURCES, Source
from tinymed.errors import ConfigError, DataError, ModelError
from tinymed.models.transfer import urls

if TYPE_CHECKING:
    from tests.conftest import RunCli
    from tests.data.conftest import Site

NAMES = ("data/train-0-of-1.parquet", "data/validation-0-of-1.parquet", "data/test-0-of-1.parquet")
PROGRAM = "import sys; sys.argv[0] = 'tinymed'; from tinymed.cli import main; main()"


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urls, "FIRST_PAUSE_S", 0.0)


@pytest.fixture
def hub(site: Site) -> Site:
    """The hub with three files of 256 KiB that do not compress."""
    for seed, name in enumerate(NAMES):
        site.files[name] = random.Random(seed).randbytes(1 << 18)
    return site


def web_file(site: Site, path: str, content: bytes) -> WebFile:
    site.files[path] = content
    return WebFile(
        path=path,
        url=f"{site.url}/store/{path}",
        num_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def source(*published: Publisher) -> Source:
    return Source(
        name="mine", importer=SOURCES["slake"].importer, needs="", published=tuple(published)
    )


def test_a_set_is_fetched_accounted_for_and_not_fetched_twice(
    hub: Site, cli: RunCli, tmp_path: Path
) -> None:
    out = tmp_path / "path vqa"
    outcome = cli("data", "fetch", "pathvqa", "--out", str(out))
    assert outcome.code == 0
    assert outcome.err.startswith("pathvqa: He et al. 2020")
    assert "\nlicence: MIT as the authors' repository states" in outcome.err
    assert outcome.out == (
        f"3 files, 0.8 MiB, are in {out}\n"
        f"Next: tinymed data import pathvqa '{out}' --out data/pathvqa\n"
    )
    for name in NAMES:
        assert (out / name).read_bytes() == hub.files[name]
    account = json.loads((out / "fetched.json").read_text())["files"]
    assert {name: said["sha256"] for name, said in account.items()} == {
        name: hashlib.sha256(content).hexdigest() for name, content in hub.files.items()
    }
    hub.requests.clear()
    hub.files.clear()  # the network is not used: everything is here
    assert cli("data", "fetch", "pathvqa", "--out", str(out)).code == 0
    assert hub.requests == []


def test_cut_connections_are_taken_up_where_they_ended(hub: Site, tmp_path: Path) -> None:
    hub.cut_after = 100_000
    fetch_set(SOURCES["pathvqa"], tmp_path, progress=False)
    assert hub.requests[:3] == [
        (NAMES[0], None),
        (NAMES[0], "bytes=100000-"),
        (NAMES[0], "bytes=200000-"),
    ]
    assert [(tmp_path / name).read_bytes() for name in NAMES] == list(hub.files.values())


def test_a_killed_fetch_goes_on_where_it_ended(hub: Site, tmp_path: Path) -> None:
    hub.go_on.clear()
    command = [sys.executable, "-c", PROGRAM, "data", "fetch", "pathvqa", "--out", str(tmp_path)]
    process = subprocess.Popen(command, env=os.environ | {"HF_ENDPOINT": hub.url})
    partial = tmp_path / f"{NAMES[0]}.partial"
    deadline = time.monotonic() + 60
    while not (partial.exists() and partial.stat().st_size >= 1 << 16):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    num_kept = partial.stat().st_size
    assert not (tmp_path / "fetched.json").exists()
    hub.go_on.set()
    finished = subprocess.run(
        command,
        env=os.environ | {"HF_ENDPOINT": hub.url},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "0 of 3 files, 0.0 of 0.8 MiB are here" in finished.stderr
    assert hub.requests[:2] == [(NAMES[0], None), (NAMES[0], f"bytes={num_kept}-")]
    assert [(tmp_path / name).read_bytes() for name in NAMES] == list(hub.files.values())


def test_what_came_whole_before_a_failure_is_not_fetched_again(hub: Site, tmp_path: Path) -> None:
    lost = hub.files.pop(NAMES[2])
    listing = hub.listing()
    hub.files[NAMES[2]] = lost
    hub.listing = lambda: [*listing, {**listing[0], "rfilename": NAMES[2]}]  # type: ignore[method-assign]
    with pytest.raises(ModelError, match="arrived damaged"):
        fetch_set(SOURCES["pathvqa"], tmp_path, progress=False)
    assert not (tmp_path / NAMES[2]).exists()
    del hub.listing  # type: ignore[method-assign]
    hub.requests.clear()
    fetch_set(SOURCES["pathvqa"], tmp_path, progress=False)
    assert [path for path, _ in hub.requests] == [NAMES[2]]


def test_a_file_that_was_changed_since_is_fetched_again(hub: Site, tmp_path: Path) -> None:
    fetch_set(SOURCES["pathvqa"], tmp_path, progress=False)
    (tmp_path / NAMES[1]).write_bytes(b"edited")
    hub.requests.clear()
    fetch_set(SOURCES["pathvqa"], tmp_path, progress=False)
    assert [path for path, _ in hub.requests] == [NAMES[1]]


def test_an_archive_is_unpacked_once(site: Site, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("imgs/x/source.jpg", b"pixels")
        archive.writestr("__MACOSX/imgs/x/._source.jpg", b"")
    fetched = source(web_file(site, "imgs.zip", buffer.getvalue()))
    fetch_set(fetched, tmp_path, progress=False)
    image = tmp_path / "imgs" / "x" / "source.jpg"
    assert image.read_bytes() == b"pixels"
    before = image.stat().st_mtime_ns
    fetch_set(fetched, tmp_path, progress=False)
    assert image.stat().st_mtime_ns == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".lock",
        "fetched.json",
        "imgs",
        "imgs.zip",
    ]


def test_files_of_an_osf_project_and_of_its_folder_are_fetched(site: Site, tmp_path: Path) -> None:
    def entry(name: str, content: bytes) -> dict[str, object]:
        file = web_file(site, name, content)
        said = {"kind": "file", "name": name, "size": file.num_bytes}
        return {
            "attributes": said | {"extra": {"hashes": {"sha256": file.sha256}}},
            "links": {"download": file.url},
        }

    size = "?page%5Bsize%5D=100"
    inner = f"{site.url}/v2/folder/"
    folder = {
        "attributes": {"kind": "folder", "name": "VQA_RAD Image Folder"},
        "relationships": {"files": {"links": {"related": {"href": inner}}}},
    }
    unwanted = entry("Readme.docx", b"words")
    root = [folder, entry("Public.json", b"[]"), unwanted]
    following = f"{site.url}/v2/folder/?page=2"
    site.answers |= {
        f"/v2/nodes/89kps/files/osfstorage/{size}": {"data": root, "links": {"next": None}},
        f"/v2/folder/{size}": {"data": [entry("a.jpg", b"A")], "links": {"next": following}},
        "/v2/folder/?page=2": {"data": [entry("b.jpg", b"B")], "links": {"next": None}},
    }
    project = OsfFiles(
        project="89kps", patterns=("Public.json", "VQA_RAD*"), endpoint=f"{site.url}/v2"
    )
    fetched = fetch_set(source(project), tmp_path, progress=False)
    assert list(fetched["files"]) == [
        "Public.json",
        "VQA_RAD Image Folder/a.jpg",
        "VQA_RAD Image Folder/b.jpg",
    ]
    assert (tmp_path / "VQA_RAD Image Folder" / "b.jpg").read_bytes() == b"B"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"rfilename": "train/../../x.parquet"}, "lists a file outside its folder: 'train/../../x"),
        ({"lfs": None}, "states no SHA-256: fetch it by hand from http"),
        ({"size": "big"}, "states no size: fetch it by hand from http"),
        ({"rfilename": "test.parquet"}, r"lists no file 'train\*'"),
    ],
    ids=["outside", "no hash", "no size", "missing"],
)
def test_a_list_that_cannot_be_trusted_is_refused(
    site: Site, tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    site.files["train.parquet"] = b"rows"
    listing = [{**site.listing()[0], **change}]
    site.listing = lambda: listing  # type: ignore[method-assign]
    [hub] = SOURCES["pathvqa"].published
    assert isinstance(hub, HubFiles)
    with pytest.raises(DataError, match=sentence):
        fetch_set(source(replace(hub, patterns=("train*",))), tmp_path, progress=False)
    assert site.requests == []


def test_hashes_given_beforehand_stand_in_for_those_a_list_lacks(
    site: Site, tmp_path: Path
) -> None:
    site.files["train.json"] = b"[]"
    listing = [{**site.listing()[0], "lfs": None}]
    site.listing = lambda: listing  # type: ignore[method-assign]
    [hub] = SOURCES["pathvqa"].published
    assert isinstance(hub, HubFiles)
    known = {"train.json": hashlib.sha256(b"[]").hexdigest()}
    fetch_set(source(replace(hub, patterns=("train*",), sha256=known)), tmp_path, progress=False)
    assert (tmp_path / "train.json").read_bytes() == b"[]"


def test_a_list_of_another_shape_is_refused(site: Site, tmp_path: Path) -> None:
    site.listing = lambda: [{"size": 1}]  # type: ignore[method-assign]
    with pytest.raises(DataError, match=r"not as expected: KeyError\('rfilename'\)"):
        fetch_set(SOURCES["pathvqa"], tmp_path, progress=False)


def test_no_connection_is_one_sentence(
    cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://me:secret@127.0.0.1:9")
    outcome = cli("data", "fetch", "pathvqa", "--out", str(tmp_path))
    assert outcome.code == 2
    assert "error: Cannot list the files at http://127.0.0.1:9/api/datasets/" in outcome.err
    assert "Run the same command again where there is internet." in outcome.err
    assert "secret" not in outcome.err


def test_own_files_cannot_be_fetched(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'jsonl' stands for files of your own"):
        fetch_set(SOURCES["jsonl"], tmp_path)


def test_two_fetches_into_one_folder_do_not_mix(hub: Site, tmp_path: Path) -> None:
    import fcntl

    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="Another tinymed is fetching into"):
            fetch_set(SOURCES["pathvqa"], tmp_path, progress=False)
    assert hub.requests == []


def test_a_small_disk_is_refused_before_the_first_byte(hub: Site, tmp_path: Path) -> None:
    listing = [{**entry, "size": 1 << 60} for entry in hub.listing()]
    hub.listing = lambda: listing  # type: ignore[method-assign]
    with pytest.raises(DataError, match="Free some, or name a folder with room"):
        fetch_set(SOURCES["pathvqa"], tmp_path, progress=False)
    assert hub.requests == []
