"""`tinymed profile run` as a user calls it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "profile" / "run"))

from slow_model import Script
from slow_points import child_command, grey_image, tiny_target

from tinymed import demo
from tinymed.errors import MissingExtraError
from tinymed.models.catalog import DEFAULT_MODEL
from tinymed.profile.run import process, run
from tinymed.profile.run.predicted import Predicted

if TYPE_CHECKING:
    from tests.conftest import RunCli


@pytest.fixture
def slow_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever model is named, the slow one is measured, on a machine that is quiet."""
    monkeypatch.setattr(process, "CHILD", child_command(tmp_path / "journal", Script()))
    monkeypatch.setattr(run, "look_up", lambda address, **_: address)
    monkeypatch.setattr(run, "make_ready", lambda *_args, **_: tiny_target())
    monkeypatch.setattr(run, "_predictions", lambda: lambda *_: Predicted(scale_bytes=0))
    monkeypatch.setattr(run, "used_by_others", lambda: 0.0)


def test_tables_are_printed_and_json_is_what_the_folder_holds(
    cli: RunCli, slow_model: None, tmp_path: Path
) -> None:
    asked = ["profile", "run", "tiny", "--out", str(tmp_path / "run"), "--runs", "2"]
    asked += ["--image", str(grey_image(tmp_path)), "--max-spread", "1000"]
    shown = cli(*asked)
    assert shown.code == 0
    assert "tiny:openvino-int8: openvino, cpu, 1 threads; the parity gate passed it" in shown.out
    assert "first token, ms" in shown.out
    assert "Measured on: " in shown.out
    again = cli(*asked, "--json")
    written = json.loads((tmp_path / "run/profile.json").read_text())
    assert json.loads(again.out) == written
    assert written["runs"] == 2
    assert (tmp_path / "journal").read_text().count("pid") == 1


def test_without_an_image_one_is_drawn_and_the_point_says_which(
    cli: RunCli, slow_model: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_radiograph() -> Path:
        raise MissingExtraError("pydicom-data is not installed")

    monkeypatch.setattr(demo, "demo_radiograph", no_radiograph)
    asked = ["profile", "run", "tiny", "--out", str(tmp_path / "run"), "--runs", "2", "--json"]
    shown = cli(*asked, "--max-spread", "1000")
    (point,) = json.loads(shown.out)["points"]
    assert point["image"].startswith("drawn-test-picture.png (png, 1600 x 1250 px, ")


def test_other_settings_do_not_mix_with_what_the_folder_holds(
    cli: RunCli, slow_model: None, tmp_path: Path
) -> None:
    asked = ["profile", "run", "tiny", "--out", str(tmp_path / "run")]
    asked += ["--image", str(grey_image(tmp_path)), "--max-spread", "1000"]
    assert cli(*asked, "--runs", "2").code == 0
    refused = cli(*asked, "--runs", "3", "--question", "Why?")
    assert refused.code == 2
    assert "question is 'Is there an abnormality?' there and 'Why?' now" in refused.err
    assert "runs is 2 there and 3 now" in refused.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nanoo"], 2, "No model 'nanoo'"),
        ([f"{DEFAULT_MODEL}:nf5"], 2, "No scheme 'nf5'"),
        (["llava-med-7b"], 2, "measure its shape with --random-weights FOLDER, which writes 15"),
        ([f"{DEFAULT_MODEL}:openvino-int8", "--device", "cuda"], 2, "on the processor only"),
        (["tiny", "--runs", "1"], 2, "1 is not in the range"),
        ([], 2, "Missing argument"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_sentence(
    cli: RunCli, cache: Path, tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    image = str(grey_image(tmp_path))
    refused = cli("profile", "run", *arguments, "--out", str(tmp_path / "run"), "--image", image)
    assert refused.code == code
    assert words in refused.err
    assert "Traceback" not in refused.err
    assert not (tmp_path / "run").exists()
