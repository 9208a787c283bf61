"""`tinymed models pull`, `bundle`, `import` and `rm`: what they print, and when they refuse."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import save_file

if TYPE_CHECKING:
    from tests.conftest import RunCli


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "clinic"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    save_file({"a": np.zeros(1 << 19, np.float32)}, folder / "model.safetensors")
    return folder


def test_a_model_goes_by_stick_to_another_computer(
    cli: RunCli, cache: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("models", "pull", f"{checkpoint}/").code == 0
    out = tmp_path / "stick" / "clinic.tinymed"
    out.parent.mkdir()
    written = cli("models", "bundle", "clinic", "--out", str(out), "--split", "1M")
    assert written.out.split() == [f"{out}.001", f"{out}.002", f"{out}.003"]
    monkeypatch.setenv("TINYMED_CACHE", str(tmp_path / "there"))
    outcome = cli("models", "import", str(out.parent))
    assert outcome.out == f"clinic: checkpoint in {tmp_path / 'there' / 'models' / 'clinic'}\n"
    assert "clinic  checkpoint, 2.0 MiB, installed  (complete)" in cli("models", "list").out


def test_json_is_one_object_and_nothing_else(
    cli: RunCli, cache: Path, checkpoint: Path, tmp_path: Path
) -> None:
    pulled = cli("models", "pull", f"{checkpoint}/", "--json")
    row = json.loads(pulled.out)
    assert (row["name"], row["kind"], pulled.err) == ("clinic", "checkpoint", "")
    assert row["files"]["config.json"] == str(cache / "models" / "clinic" / "config.json")
    out = str(tmp_path / "b")
    bundled = cli("models", "bundle", "clinic", "--out", out, "--json")
    row = json.loads(bundled.out)
    assert (row["files"], row["num_bytes"], bundled.err) == ([out], Path(out).stat().st_size, "")
    imported = cli("models", "import", out, "--name", "again", "--json")
    assert (json.loads(imported.out)["name"], imported.err) == ("again", "")
    removed = cli("models", "rm", "again", "--yes", "--json")
    assert json.loads(removed.out)["removed"] == [str(cache / "models" / "again")]
    assert json.loads(cli("models", "list", "--json").out)[-1]["name"] == "clinic"


def test_rm_shows_what_goes_and_asks(
    cli: RunCli, cache: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("models", "pull", f"{checkpoint}/")
    folder = cache / "models" / "clinic"
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    declined = cli("models", "rm", "clinic")
    assert declined.code == 130
    assert "Remove these and free 2.0 MiB?" in declined.err
    assert f"{folder}  2.0 MiB" in declined.out
    assert folder.exists()
    assert cli("models", "rm", "clinic", "--yes").out.endswith("2.0 MiB freed\n")
    assert not folder.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rm",), "Name one model, or write --unused alone."),
        (("rm", "nano", "--unused"), "Name one model, or write --unused alone."),
        (("rm", "nano", "--json"), "--json cannot ask: add --yes."),
        (("rm", "none", "--yes"), "No model 'none' is here. Known: nano."),
        (("bundle", "none", "--out", "x"), "No model 'none'. Known: nano."),
        (("pull", "hf:x"), "'hf:x' is not of the form hf:OWNER/NAME."),
        (("pull", "nano", "--only", "*"), "--only means nothing for 'nano': leave it out."),
    ],
)
def test_a_mistake_is_one_sentence(
    cli: RunCli, cache: Path, arguments: tuple[str, ...], message: str
) -> None:
    outcome = cli("models", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == f"error: {message}\n"


def test_an_import_of_something_else_is_one_sentence(
    cli: RunCli, cache: Path, tmp_path: Path, checkpoint: Path
) -> None:
    (tmp_path / "x.tinymed").write_text("hello")
    outcome = cli("models", "import", str(tmp_path / "x.tinymed"))
    assert outcome.err.startswith(f"error: '{tmp_path}/x.tinymed' is neither a bundle, nor")
    outcome = cli("models", "import", str(checkpoint), "--repair-from", str(checkpoint))
    assert outcome.err == "error: --repair-from means nothing for a folder: leave it out.\n"


def test_a_size_that_is_none_is_refused(cli: RunCli, cache: Path) -> None:
    outcome = cli("models", "bundle", "nano", "--out", "x", "--split", "some")
    assert outcome.code == 2
    assert "write a number and K, M or G" in outcome.err
    assert "1M is the least" in cli("models", "bundle", "nano", "--out", "x", "--split", "9K").err


def test_a_published_checkpoint_without_torch_says_how_to_get_it(
    cache: Path, checkpoint: Path
) -> None:
    program = (
        "import sys; sys.modules['torch'] = None; "
        f"sys.argv = ['tinymed', 'models', 'import', {str(checkpoint)!r}]\n"
        "from tinymed.cli import main\nmain()"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 2
    assert finished.stderr == (
        "error: Importing a published checkpoint needs the package 'torch'. Install it with: pip "
        "install 'tinymed[torch]'\n"
    )
