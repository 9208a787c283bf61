"""What a person reads when something does not fit: one sentence, exit code 2."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

if TYPE_CHECKING:
    from tests.conftest import RunCli, Wheel


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "chest.png"
    Image.new("L", (32, 32), 128).save(path)
    return str(path)


def test_a_missing_image_is_named(cli: RunCli) -> None:
    outcome = cli("ask", "no-such-file.png", "Is there a fracture?")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == (
        "error: Cannot read no-such-file.png: there is no such file; check the spelling.\n"
    )


def test_a_text_file_named_png_is_called_one(cli: RunCli, tmp_path: Path) -> None:
    path = tmp_path / "notes.png"
    path.write_text("not an image")
    outcome = cli("ask", str(path), "Is there a fracture?")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == (
        f"error: Cannot read {path}: it is a text file, not an image; "
        "choose a PNG, JPEG or DICOM file.\n"
    )


@pytest.mark.parametrize("question", ["", "  \n"], ids=["nothing", "blanks"])
def test_an_empty_question_is_refused_before_anything_is_read(cli: RunCli, question: str) -> None:
    outcome = cli("ask", "no-such-file.png", question)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == ("error: The question is empty. Write it in quotes after the image.\n")


def test_an_unknown_model_gets_the_nearest_known_name(cli: RunCli, picture: str) -> None:
    outcome = cli("ask", picture, "Is there a fracture?", "--model", "nanoo")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == "error: No model 'nanoo'. Did you mean 'nano'? Known: nano.\n"


def test_a_model_that_was_not_fetched_says_how_to_fetch_it(
    cli: RunCli, cache: Path, picture: str
) -> None:
    outcome = cli("ask", picture, "Is there a fracture?")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == (
        "error: The model 'nano' is not complete on this computer (missing: vision encoder, "
        "language model). Run: tinymed models pull nano\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [["ask"], ["ask", "x.png"], ["ask", "x.png", "q", "--threads", "0"], ["nothing"], ["-x"]],
    ids=" ".join,
)
def test_a_command_that_does_not_fit_is_explained(cli: RunCli, arguments: list[str]) -> None:
    outcome = cli(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("Usage: tinymed ")


def test_no_traceback_reaches_the_terminal() -> None:
    finished = subprocess.run(
        [sys.executable, "-c", "from tinymed.cli import main; main()", "models", "show", "x"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 2
    assert finished.stderr == "error: No model 'x'. Known: nano.\n"


def test_a_reader_that_leaves_early_is_no_error() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb") as closed_pipe:
        finished = subprocess.run(
            [sys.executable, "-c", "from tinymed.cli import main; main()", "models", "list"],
            stdout=closed_pipe,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert finished.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_is_said_so() -> None:
    with Path("/dev/full").open("wb") as full:
        finished = subprocess.run(
            [sys.executable, "-c", "from tinymed.cli import main; main()", "models", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    message = b"error: The disk is full. Free some space, then try again.\n"
    assert (finished.returncode, finished.stderr) == (2, message)


def test_an_interrupt_ends_quietly_with_130(wheel: Wheel, cache: Path) -> None:
    program = (
        "import signal, sys, time, click, tinymed.cli as cli\n"
        # A shell that starts the tests in the background has told them to ignore Ctrl-C.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "@click.command()\n"
        "def wait():\n    print('ready', flush=True); time.sleep(60)\n"
        "cli.tinymed.add_command(wait)\n"
        "cli.LazyGroup.get_command = lambda self, ctx, name: wait\n"
        "sys.argv = ['tinymed', 'wait']; cli.main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=30)
    assert (process.returncode, err.strip()) == (130, b"")
