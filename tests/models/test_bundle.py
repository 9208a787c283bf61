"""Bundles: one file, the same bytes everywhere, installed block by block without a network."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import save_file

from tinymed.errors import ConfigError, ModelError
from tinymed.models import fetch as fetch_module
from tinymed.models.bundle import install as install_module
from tinymed.models.bundle import write as write_module
from tinymed.models.bundle.install import install_bundle
from tinymed.models.bundle.layout import BLOCK_BYTES, index_bytes, lay_out, parse_index
from tinymed.models.bundle.read import OpenBundle, find_bundle, is_bundle, open_bundle
from tinymed.models.bundle.write import write_bundle
from tinymed.models.cache import is_verified, mark_verified, part_path
from tinymed.models.fetch import fetch_parts
from tinymed.models.manifest import read_manifest

if TYPE_CHECKING:
    from tests.conftest import Wheel

_WRITE = """
import sys
from pathlib import Path
from tinymed.models.bundle.write import write_bundle
write_bundle(sys.argv[1], Path(sys.argv[2]), piece_bytes=int(sys.argv[3]) or None)
"""
_INSTALL = """
import sys
from pathlib import Path
from tinymed.models.bundle.install import install_bundle
install_bundle(Path(sys.argv[1]))
"""


SEEDS = [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 20))]
"""Moments at which a process is killed."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as transformers has it, of 10 MiB, so three blocks of weights; and its bundle."""
    place = tmp_path_factory.mktemp("made")
    folder = place / "clinic-llava"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llava"}')
    (folder / "LICENSE").write_text("free")
    values = np.frombuffer(random.Random(0).randbytes(10 << 20), np.uint8)
    save_file({"a.weight": values}, folder / "model.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYMED_CACHE", str(place / "cache"))
        write_bundle(f"{folder}/", place / "bundle", progress=False)
    return place


@pytest.fixture
def checkpoint(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "clinic-llava", tmp_path / "clinic-llava"))


@pytest.fixture
def bundle(made: Path, tmp_path: Path, cache: Path) -> Path:
    out = tmp_path / "stick" / "any-name"
    out.parent.mkdir()
    return Path(shutil.copy(made / "bundle", out))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def damage(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 1]))


def start_of(bundle: Path, name: str) -> int:
    opened = open_bundle(bundle)
    paths = [file.path for file in opened.bundle.files]
    return opened.layout.starts[paths.index(f"model/{name}")]


def test_a_bundle_installs_what_went_in(bundle: Path, checkpoint: Path, cache: Path) -> None:
    installed = install_bundle(bundle, progress=False)
    assert (installed.name, installed.kind) == ("clinic-llava", "checkpoint")
    assert installed.folder == cache / "models" / "clinic-llava"
    assert contents(installed.folder) == contents(checkpoint)
    assert [path.name for path in (cache / "models").iterdir() if path.is_dir()] == ["clinic-llava"]


def test_a_second_import_finds_it_there(bundle: Path, checkpoint: Path) -> None:
    install_bundle(bundle, progress=False)
    assert install_bundle(bundle, progress=False).name == "clinic-llava"
    (checkpoint / "LICENSE").write_text("other")
    other = bundle.with_name("other")
    write_bundle(f"{checkpoint}/", other, progress=False)
    with pytest.raises(ModelError, match="Another model 'clinic-llava' is installed already"):
        install_bundle(other, progress=False)
    assert install_bundle(other, name="second", progress=False).folder.name == "second"


def test_the_same_model_gives_the_same_bytes(
    bundle: Path, checkpoint: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "elsewhere" / "clinic-llava"
    shutil.copytree(checkpoint, copy)
    (copy / "config.json").touch()
    again = bundle.with_name("again")
    write_bundle(f"{copy}/", again, progress=False)
    assert again.read_bytes() == bundle.read_bytes()


def test_tar_unpacks_a_bundle_and_its_index_can_be_checked_by_hand(
    bundle: Path, checkpoint: Path, tmp_path: Path
) -> None:
    with tarfile.open(bundle) as archive:
        archive.extractall(tmp_path / "out", filter="data")
    assert contents(tmp_path / "out" / "model") == contents(checkpoint)
    stated, name = (tmp_path / "out" / "bundle.sha256").read_text().split()
    assert hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == stated


def test_pieces_are_the_same_bundle_cut(bundle: Path, checkpoint: Path, cache: Path) -> None:
    out = bundle.with_name("cut")
    written = write_bundle(f"{checkpoint}/", out, piece_bytes=3 << 20, progress=False)
    assert [path.name for path in written.paths] == [f"cut.00{number}" for number in (1, 2, 3, 4)]
    assert [path.stat().st_size for path in written.paths[:3]] == [3 << 20] * 3
    assert b"".join(path.read_bytes() for path in written.paths) == bundle.read_bytes()
    bundle.unlink()
    found = find_bundle(out.parent)
    assert found == written.paths[0]
    assert contents(install_bundle(found, progress=False).folder) == contents(checkpoint)


def test_a_missing_piece_is_named_and_the_rest_is_kept(
    checkpoint: Path, tmp_path: Path, cache: Path
) -> None:
    out = tmp_path / "cut"
    written = write_bundle(f"{checkpoint}/", out, piece_bytes=1 << 20, progress=False)
    missing = written.paths[5]
    missing.rename(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match=r"1 of 5 blocks .* block 1 of 'model/model.safetensors'"):
        install_bundle(written.paths[0], progress=False)
    (tmp_path / "elsewhere").rename(missing)
    assert install_bundle(written.paths[0], progress=False).name == "clinic-llava"


def test_a_broken_block_is_named_and_the_import_goes_on_with_a_good_copy(
    bundle: Path, checkpoint: Path, cache: Path
) -> None:
    good = bundle.with_name("good")
    shutil.copy(bundle, good)
    at = start_of(bundle, "model.safetensors") + BLOCK_BYTES + 7
    damage(bundle, at)
    with pytest.raises(ModelError) as caught:
        install_bundle(bundle, progress=False)
    assert str(caught.value) == (
        "1 of 5 blocks of the bundle are missing or damaged: block 1 of 'model/model.safetensors' "
        f"(byte {at - 7} of '{bundle}'). The others are kept: copy the bundle again, or name a "
        "good copy with --repair-from, and run the same command."
    )
    assert not (cache / "models" / "clinic-llava").exists()
    damage(bundle, start_of(bundle, "config.json"))  # was read well before: not read again
    installed = install_bundle(bundle, repair_from=[good], progress=False)
    assert contents(installed.folder) == contents(checkpoint)


def test_two_damaged_copies_make_one_whole(bundle: Path, checkpoint: Path, cache: Path) -> None:
    other = bundle.with_name("other")
    shutil.copy(bundle, other)
    start = start_of(bundle, "model.safetensors")
    damage(bundle, start)
    damage(other, start + BLOCK_BYTES)
    installed = install_bundle(bundle, repair_from=[other], progress=False)
    assert contents(installed.folder) == contents(checkpoint)


def test_a_repair_from_another_bundle_is_refused(bundle: Path, checkpoint: Path) -> None:
    (checkpoint / "LICENSE").write_text("other")
    other = bundle.with_name("other")
    write_bundle(f"{checkpoint}/", other, progress=False)
    with pytest.raises(ConfigError, match="is a bundle of something else"):
        install_bundle(bundle, repair_from=[other], progress=False)


def test_a_damaged_index_is_noticed_at_any_byte(bundle: Path) -> None:
    content = bundle.read_bytes()
    end = start_of(bundle, "LICENSE") - 512
    rng = random.Random(0)
    for position in [*range(0, 600, 7), *(rng.randrange(end) for _ in range(60))]:
        bundle.write_bytes(
            content[:position] + bytes([content[position] ^ 4]) + content[position + 1 : end + 9000]
        )
        with pytest.raises(ModelError, match=r"damaged|is not a bundle|format|cannot be followed"):
            open_bundle(bundle)


def index_of(bundle: Path, **changes: object) -> bytes:
    row = json.loads(open_bundle(bundle).index)
    row["files"][0] |= changes
    return (json.dumps(row, indent=1) + "\n").encode()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": "model/../../x"}, "is not one of a bundle"),
        ({"path": "/etc/passwd"}, "is not one of a bundle"),
        ({"path": "model/a/b"}, "is not one of a bundle"),
        ({"path": "model/.hidden"}, "is not one of a bundle"),
        ({"path": "model/CONFIG.json"}, "names a file twice"),
        ({"path": ["model/a"]}, "is not one of a bundle"),
        ({"num_bytes": -1}, "has the size -1"),
        ({"num_bytes": True}, "has the size True"),
        ({"num_bytes": 1 << 70}, "has 1 block hashes for its size"),
        ({"sha256": "x"}, "has a hash that is none"),
        ({"blocks": [1]}, "has a hash that is none"),
        ({"more": 1}, "is not as tinymed writes it"),
    ],
)
def test_an_index_that_leads_astray_is_refused(
    bundle: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        parse_index(index_of(bundle, **changes), "the bundle")


def test_a_newer_format_says_what_to_do(bundle: Path) -> None:
    index = open_bundle(bundle).index.replace(b"tinymed-bundle-1", b"tinymed-bundle-2")
    with pytest.raises(ModelError, match=r"has the format 'tinymed-bundle-2'.* a newer tinymed"):
        parse_index(index, "the bundle")


def forged(bundle: Path, files: dict[str, bytes], out: Path) -> Path:
    """A bundle that is whole by its own account."""
    template = open_bundle(bundle).bundle
    rows = tuple(
        replace(
            template.files[0],
            path=path,
            num_bytes=len(content),
            sha256=(digest := hashlib.sha256(content).hexdigest()),
            blocks=(digest,),
        )
        for path, content in files.items()
    )
    forgery = replace(template, name="forged", files=rows)
    layout = lay_out(forgery, index_bytes(forgery))
    whole = bytearray(layout.num_bytes)
    for offset, content in (*layout.fixed, *zip(layout.starts, files.values(), strict=True)):
        whole[offset : offset + len(content)] = content
    out.write_bytes(whole)
    return out


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"model/pytorch_model.bin": b"\x80\x02"}, "'pytorch_model.bin', which is pickle"),
        ({"model/run.py": b"import os"}, "'run.py', which is pickle or no file of a model"),
        ({"model/config.json": b"\x80\x04x"}, "'.*config.json' is, or may be, pickle"),
        ({"model/config.json": b"PK\x03\x04data.pkl"}, "'.*config.json' is, or may be, pickle"),
        ({"model/a.npy": b"\x93NUMPY"}, "is not a whole array file"),
        ({"model/a.safetensors": b"\xff" * 16}, "is not a whole safetensors file"),
        ({"model/a.gguf": b"GGUF" + b"\xff" * 60}, "is not a whole GGUF file"),
    ],
)
def test_a_whole_bundle_with_a_file_that_may_not_be_is_refused(
    bundle: Path, cache: Path, tmp_path: Path, files: dict[str, bytes], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        install_bundle(forged(bundle, files, tmp_path / "forged"), progress=False)
    assert not [path for path in cache.rglob("*") if path.name in {p[6:] for p in files}]


def test_an_array_of_python_objects_is_refused(bundle: Path, cache: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    files = {"model/a.npy": (tmp_path / "a.npy").read_bytes()}
    with pytest.raises(ModelError, match=r"'.*a.npy' is, or may be, pickle"):
        install_bundle(forged(bundle, files, tmp_path / "forged"), progress=False)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "optimizer.pt", "a.ckpt"])
def test_a_folder_with_pickle_is_not_bundled(checkpoint: Path, tmp_path: Path, name: str) -> None:
    (checkpoint / name).write_bytes(b"\x80\x02")
    with pytest.raises(ModelError, match=f"'.*{name}' is, or may be, pickle"):
        write_bundle(f"{checkpoint}/", tmp_path / "out", progress=False)
    assert not list(tmp_path.glob("out*"))


def test_a_file_that_is_there_is_not_overwritten(bundle: Path, checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match="is there already"):
        write_bundle(f"{checkpoint}/", bundle, progress=False)


def test_what_another_bundle_left_half_written_does_not_show(
    bundle: Path, checkpoint: Path
) -> None:
    out = bundle.with_name("out")
    out.with_name("out.partial").write_bytes(b"x" * (12 << 20))
    write_bundle(f"{checkpoint}/", out, progress=False)
    assert out.read_bytes() == bundle.read_bytes()


def test_what_is_no_bundle_is_told_apart_by_content(tmp_path: Path, bundle: Path) -> None:
    impostor = tmp_path / "nano.tinymed"
    impostor.write_bytes(b"hello" * 1000)
    assert not is_bundle(impostor)
    assert is_bundle(bundle)
    assert find_bundle(tmp_path) is None
    with pytest.raises(ModelError, match="is not a bundle, nor the first piece"):
        open_bundle(impostor)


def wait_for(path: Path, num_bytes: int) -> None:
    deadline = time.monotonic() + 120
    while not (path.exists() and path.stat().st_size >= num_bytes):
        assert time.monotonic() < deadline
        time.sleep(0.0005)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_killed_bundle_goes_on(
    bundle: Path, checkpoint: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(seed)
    out, piece_bytes = bundle.with_name("killed"), (seed % 2) * (4 << 20)
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITE, f"{checkpoint}/", out, str(piece_bytes)]
    )
    first = bundle.with_name("killed.001.partial" if piece_bytes else "killed.partial")
    wait_for(first, rng.randrange(1, 4 << 20))
    time.sleep(rng.random() * 0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    try:
        written = write_bundle(
            f"{checkpoint}/", out, piece_bytes=piece_bytes or None, progress=False
        )
        paths = list(written.paths)
    except ConfigError:  # it had ended before the signal came
        paths = sorted(bundle.parent.glob("killed*"))
    assert b"".join(path.read_bytes() for path in paths) == bundle.read_bytes()
    assert not list(bundle.parent.glob("*.partial"))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_killed_import_goes_on_and_reads_no_good_block_twice(
    bundle: Path, checkpoint: Path, cache: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    process = subprocess.Popen([sys.executable, "-c", _INSTALL, bundle])
    work = cache / "models" / ".clinic-llava.import" / "model"
    partial = work / "model.safetensors.partial"
    deadline = time.monotonic() + 120
    wanted = rng.choice((0, BLOCK_BYTES, 2 * BLOCK_BYTES))
    while process.poll() is None and not (partial.exists() and partial.stat().st_size >= wanted):
        assert time.monotonic() < deadline
        time.sleep(0.0005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    good = partial.stat().st_size // BLOCK_BYTES if partial.exists() else None
    num_read = []

    def counting(path: Path) -> OpenBundle:
        opened = open_bundle(path)
        inner = opened.reader.read

        def count(offset: int, count_: int) -> bytes:
            num_read.append(count_)
            return inner(offset, count_)

        opened.reader.read = count  # type: ignore[method-assign]
        return opened

    monkeypatch.setattr(install_module, "open_bundle", counting)
    installed = install_bundle(bundle, progress=False)
    assert contents(installed.folder) == contents(checkpoint)
    if good is not None:
        assert sum(num_read) <= (10 << 20) + 300 - good * BLOCK_BYTES


def test_a_model_of_tinymed_takes_its_parts_along(
    cache: Path, wheel: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "trained" / "model"
    folder.mkdir(parents=True)
    save_file({"x": np.zeros(3, np.float32)}, folder / "trained.safetensors")
    row = json.loads((wheel.manifest.folder / "manifest.json").read_text())
    digest = hashlib.sha256((folder / "trained.safetensors").read_bytes()).hexdigest()
    row["trained"]["sha256"] = digest
    row["parts"][0]["member"] = "tiny_part/weights.gguf"
    (folder / "manifest.json").write_text(json.dumps(row))
    part = read_manifest(folder / "manifest.json").parts[0]
    stick = tmp_path / "stick"
    stick.mkdir()
    (stick / "weights.gguf").write_bytes(wheel.part)
    with pytest.raises(ModelError, match="is not complete on this computer"):
        write_bundle(f"{folder}/", tmp_path / "out", progress=False)
    fetch_parts(read_manifest(folder / "manifest.json"), progress=False, folders=[stick])
    write_bundle(f"{folder}/", tmp_path / "out", progress=False)
    monkeypatch.setenv("TINYMED_CACHE", str(tmp_path / "other-computer"))
    with pytest.raises(ModelError, match="is not a whole GGUF file"):
        install_bundle(tmp_path / "out", progress=False)
    # A file that tinymed itself lists by its hash is taken as it is: it has a reader of its own.
    monkeypatch.setattr(install_module, "_table_parts", lambda: {part.sha256})
    installed = install_bundle(tmp_path / "out", progress=False)
    assert (installed.name, installed.kind) == ("tiny", "tinymed")
    assert is_verified(part)
    assert sorted(contents(installed.folder)) == ["manifest.json", "trained.safetensors"]


def test_the_detector_of_writing_travels_with_a_model(
    cache: Path, wheel: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "trained" / "model"
    folder.mkdir(parents=True)
    save_file({"x": np.zeros(3, np.float32)}, folder / "trained.safetensors")
    row = json.loads((wheel.manifest.folder / "manifest.json").read_text())
    digest = hashlib.sha256((folder / "trained.safetensors").read_bytes()).hexdigest()
    row["trained"]["sha256"] = digest
    (folder / "manifest.json").write_text(json.dumps(row))
    part = read_manifest(folder / "manifest.json").parts[0]
    content = b"a network that finds writing"
    detector = replace(
        part,
        role="text_detector",
        member="found/detector.onnx",
        sha256=hashlib.sha256(content).hexdigest(),
        num_bytes=len(content),
    )
    for module in (fetch_module, write_module, install_module):
        monkeypatch.setattr(module, "TEXT_DETECTOR", detector)
    tables = {part.sha256, detector.sha256}
    monkeypatch.setattr(install_module, "_table_parts", lambda: tables)
    for one, data in ((part, wheel.part), (detector, content)):
        part_path(one).parent.mkdir(parents=True)
        part_path(one).write_bytes(data)
        mark_verified(one)
    write_bundle(f"{folder}/", tmp_path / "out", progress=False)
    monkeypatch.setenv("TINYMED_CACHE", str(tmp_path / "other-computer"))
    assert not is_verified(detector)
    install_bundle(tmp_path / "out", progress=False)
    assert is_verified(detector)
    assert part_path(detector).read_bytes() == content
