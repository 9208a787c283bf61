"""`tinymed quantize`, from a checkpoint to a build that may be used or not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="needs torch to write a checkpoint")
pytest.importorskip("transformers", reason="needs transformers to write a checkpoint")

from tiny_llava import SIZE_PX, write_llava

from tinymed.engines.choose import open_engine
from tinymed.errors import ConfigError, ModelError
from tinymed.models.build import Build, is_build, read_build
from tinymed.models.parity_mark import read_parity
from tinymed.models.schemes import SCHEMES, find_scheme
from tinymed.quantize import check, compare_build, gate
from tinymed.quantize.check import check_model, checked_row, checked_text
from tinymed.quantize.compare_build import GateSettings
from tinymed.quantize.fixed_set import Case
from tinymed.quantize.quantize import QuantizeSettings, quantize

WHOLE = ("--vision", "f32", "--connector", "f32", "--language", "f32")
"""Precisions with which a build of random weights is sure to answer as its model does."""
COMPARED = ("--reference", "openvino-f32", "--threads", "1")
RunCli = Callable[..., Any]
GATE = GateSettings(reference="openvino-f32", threads=(1,))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llava(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def kept_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests here, so that the reference is built once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _quick(kept_cache: Path, cases: list[Case], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYMED_CACHE", str(kept_cache))
    monkeypatch.setattr(gate, "MIN_CLOSED_QUESTIONS", 18)
    for module in (compare_build, check):
        monkeypatch.setattr(module, "fixed_cases", lambda: cases[:2])


def _run(cli: RunCli, *arguments: object) -> tuple[int, str, str]:
    done = cli("quantize", *map(str, arguments), *COMPARED)
    return done.code, done.out, done.err


def test_a_build_that_answers_as_its_model_may_be_used(
    cli: RunCli, checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / "build"
    code, text, progress = _run(cli, checkpoint, "--scheme", "openvino-int8", *WHOLE, "--out", out)
    assert (code, "passed the rules for full precision" in text) == (0, True)
    assert "language model" in text
    assert "Building tiny as openvino-int8 …" in progress
    assert "20 of 20 questions" in progress
    assert {part.precision for part in read_build(out).parts} == {"f32"}
    assert open_engine(str(out), threads=1).model == "tiny"


def test_a_build_that_answers_otherwise_is_kept_marked_and_refused(
    cli: RunCli, checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / "build"
    code, text, err = _run(cli, checkpoint, "--scheme", "openvino-int4", "--out", out, "--json")
    assert code == 2
    assert err.splitlines()[-1].startswith(
        "error: The build 'tiny:openvino-int4' did not pass the parity gate: "
    )
    row = json.loads(text)
    assert row["parity"]["passed"] is False
    assert {part["name"]: part["precision"] for part in row["parts"]} == row["parity"]["precisions"]
    kept = read_parity(read_build(out))
    assert kept is not None
    assert kept["reasons"] == row["parity"]["reasons"] != []
    with pytest.raises(ModelError, match="answers differently from the model"):
        open_engine(str(out))


def test_the_same_build_twice_has_the_same_bytes_and_one_in_the_cache_is_made_once(
    checkpoint: Path, tmp_path: Path
) -> None:
    def made(out: Path | None) -> Build:
        settings = QuantizeSettings(scheme=find_scheme("openvino-int8"), out=out, gate=GATE)
        return quantize(str(checkpoint), settings).build

    kept = made(None)
    path = kept.folder / "language.bin"
    written = path.stat().st_mtime_ns
    assert made(None).folder == kept.folder
    assert path.stat().st_mtime_ns == written
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    assert made(None).digest == kept.digest == made(tmp_path / "build").digest
    assert path.read_bytes() != bytes(content)


def test_samples_give_an_accuracy_and_what_was_lost(
    cli: RunCli, checkpoint: Path, tmp_path: Path
) -> None:
    rows = []
    for place in range(4):
        pixels = np.random.default_rng(place).integers(0, 255, (SIZE_PX, SIZE_PX, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"{place}.png")
        rows += [
            {"id": f"{place}-{number}", "question": f"Is it {number}?", "reference": "yes",
             "answer_type": "closed", "image": f"{place}.png"}
            for number in range(3)
        ]  # fmt: skip
    samples = tmp_path / "samples.jsonl"
    samples.write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, text, _ = _run(
        cli, checkpoint, "--scheme", "openvino-int8", *WHOLE, "--out", tmp_path / "build",
        "--samples", samples, "--limit", "10", "--json",
    )  # fmt: skip
    assert code == 0
    found = json.loads(text)["parity"]["samples"]
    assert (found["num_samples"], found["file"]) == (10, "samples.jsonl")
    assert found["closed"]["num_same"] == 10
    assert (found["change"]["value"], found["change"]["interval"]) == (0, [0, 0])


def test_each_number_of_threads_is_compared(checkpoint: Path, tmp_path: Path) -> None:
    settings = QuantizeSettings(
        scheme=find_scheme("openvino-int8"),
        out=tmp_path / "build",
        gate=GateSettings(reference="openvino-f32", threads=(1, 2)),
    )
    report = quantize(str(checkpoint), settings).report
    assert [found["threads"] for found in report["comparisons"]] == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scheme", "torch-f32"], "'torch-f32' is the model as it is: there is nothing to"),
        (["--scheme", "openvino-int8", "--vision", "f32"], "needs a folder of its own: name it"),
        (["--scheme", "openvino-f32"], "'tiny:openvino-f32' compared with itself shows nothing"),
        (["--scheme", "openvino-int8", "--vision", "int3", "--out", "{tmp}/b"], "'int3'"),
        (["--scheme", "openvino-int8", "--out", "{tmp}"], "is there and holds no build"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(
    cli: RunCli, checkpoint: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    code, out, err = _run(cli, checkpoint, *(one.format(tmp=tmp_path) for one in arguments))
    assert (code, out) == (2, "")
    assert message in err.splitlines()[-1]
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_a_scheme_in_the_address_and_a_quantized_reference_are_refused(
    checkpoint: Path, tmp_path: Path
) -> None:
    settings = QuantizeSettings(scheme=find_scheme("openvino-int8"), out=tmp_path / "build")
    with pytest.raises(ConfigError, match="Name the model without a scheme"):
        quantize(f"{checkpoint}:openvino-int4", settings)
    quantized = QuantizeSettings(
        scheme=find_scheme("openvino-int8"),
        out=tmp_path / "build",
        gate=GateSettings(reference="openvino-int4"),
    )
    with pytest.raises(ConfigError, match="is no reference: it is quantized itself"):
        quantize(str(checkpoint), quantized)


def test_the_schemes_are_listed_with_what_each_quantizes(cli: RunCli) -> None:
    done = cli("quantize", "--list")
    assert done.code == 0
    lines = done.out.splitlines()
    assert [line.split()[0] for line in lines] == list(SCHEMES)
    assert all(
        line.endswith(scheme.description)
        for line, scheme in zip(lines, SCHEMES.values(), strict=True)
    )


def test_threads_must_be_numbers(cli: RunCli) -> None:
    done = cli("quantize", "nano", "--scheme", "openvino-int8", "--threads", "2,many")
    assert (done.code, "no list of numbers" in done.err) == (2, True)


def test_a_kill_leaves_no_build_that_may_be_used(checkpoint: Path, tmp_path: Path) -> None:
    """Killed while it builds, and while it compares: no build, or one without a verdict."""
    out = tmp_path / "build"
    program = "from tinymed.cli.quantize import quantize; quantize()"
    command = [sys.executable, "-c", program, str(checkpoint), "--scheme", "openvino-int8"]
    command += ["--out", str(out), *COMPARED]
    for moment in ("begun", "built"):
        with subprocess.Popen(
            command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
        ) as process:
            reached = _begun if moment == "begun" else is_build
            deadline = time.monotonic() + 120
            while not reached(out) and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.002)
            assert process.poll() is None, "it ended before it could be killed"
            os.killpg(process.pid, signal.SIGKILL)
        assert not (out / "parity.json").exists()
        if moment == "begun" and not is_build(out):
            with pytest.raises(ModelError):
                open_engine(f"{out}/")
        else:
            with pytest.raises(ModelError, match="has not been compared"):
                open_engine(str(out))
    settings = QuantizeSettings(scheme=find_scheme("openvino-int8"), out=out, gate=GATE)
    assert quantize(str(checkpoint), settings).report["build_digest"] == read_build(out).digest
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[0] != ".") == ["build"]


def _begun(out: Path) -> bool:
    return any(out.parent.glob(f".{out.name}.*.part")) or is_build(out)


def test_a_check_tells_of_bytes_loads_parity_and_the_image(
    checkpoint: Path, tmp_path: Path
) -> None:
    found = check_model(f"{checkpoint}:openvino-int8", GATE)
    assert found.loads_alike
    assert found.build is not None
    assert found.parity is not None
    assert found.problems == tuple(found.parity["reasons"])
    assert read_parity(found.build) == found.parity
    assert found.blanked.image_matters
    row = json.loads(json.dumps(checked_row(found)))
    assert row["blanked"]["num_questions"] == 10
    text = checked_text(found)
    assert "two loads give the same answers, to the bit" in text
    assert f"{10 - found.blanked.num_same} of 10 answers change when the image is black" in text


def test_a_damaged_build_does_not_pass_a_check(checkpoint: Path, tmp_path: Path) -> None:
    settings = QuantizeSettings(
        scheme=find_scheme("openvino-int8"), out=tmp_path / "build", gate=GATE
    )
    build = quantize(str(checkpoint), settings).build
    path = build.folder / "language.bin"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ModelError, match=r"'language.bin' of the build .* is damaged"):
        check_model(str(build.folder), GATE)


def test_a_build_whose_model_is_elsewhere_keeps_the_verdict_it_has(
    checkpoint: Path, tmp_path: Path
) -> None:
    whole = dict.fromkeys(("vision_encoder", "connector", "language_model"), "f32")
    settings = QuantizeSettings(
        scheme=find_scheme("openvino-int8"), precisions=whole, out=tmp_path / "build", gate=GATE
    )
    build = quantize(str(checkpoint), settings).build
    found = check_model(str(build.folder), GATE)
    assert found.parity == read_parity(build)
    assert found.problems == ()
    assert found.parity_note == "the model 'tiny' itself is not here"
    (build.folder / "parity.json").unlink()
    never = check_model(str(build.folder), GATE)
    assert never.problems == (
        "it was never compared with its original (the model 'tiny' itself is not here)",
    )
