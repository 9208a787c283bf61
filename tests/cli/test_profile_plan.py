"""`tinymed profile plan` as a user calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import RunCli

HEAVY = ("torch", "openvino", "transformers", "pydicom", "xllamacpp")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that was never measured."""
    monkeypatch.setenv("TINYMED_CACHE", str(tmp_path / "cache"))


def test_a_table_lists_what_runs_there_best_first(cli: RunCli) -> None:
    shown = cli("profile", "plan", "tinyllava-1.5b", "--device", "rtx-3050-4gb")
    assert shown.code == 0
    title, headings, *rows = shown.out.splitlines()
    assert title.startswith("tinyllava-1.5b on rtx-3050-4gb: 3.5 GiB usable, 761 tokens asked")
    assert headings.split()[:3] == ["scheme", "vision", "conn."]
    assert [row.split()[0] for row in rows[:3]] == ["torch-bf16", "int8", "nf4"]
    assert rows[0].endswith("tight")
    assert "Where it does not fit, take: tinyllava-1.5b:int8." in shown.out
    assert "Nothing on a GPU was measured by us." in shown.out
    assert all(len(line) <= 100 for line in shown.out.splitlines())


def test_one_scheme_is_shown_in_full(cli: RunCli) -> None:
    shown = cli("profile", "plan", "nano:openvino-int8")
    assert shown.code == 0
    assert shown.out.startswith("nano:openvino-int8 on this-machine (openvino engine): fits")
    for line in ("language model   int8", "keys and values", "static, as published", "on disk"):
        assert line in shown.out
    assert "run `tinymed doctor` once" in shown.out
    assert all(len(line) <= 100 for line in shown.out.splitlines())


def test_json_holds_every_field_and_the_sums(cli: RunCli) -> None:
    shown = cli(
        "profile", "plan", "nano", "--scheme", "native-int8", "--scheme", "nf4",
        "--device", "laptop-4-core", "--question-tokens", "50", "--answer-tokens", "9", "--json",
    )  # fmt: skip
    plans = json.loads(shown.out)["plans"]
    assert [plan["scheme"] for plan in plans] == ["native-int8", "nf4"]
    first = plans[0]
    assert (first["prompt_tokens"], first["answer_tokens"]) == (81 + 50, 9)
    speed = first["speed"]
    steps = sum(speed[f"{name}_s"] for name in ("image", "vision", "image_prefill"))
    steps += speed["question_prefill_s"]
    assert speed["first_token_s"] == pytest.approx(steps)
    names = [part["name"] for part in first["memory"]["parts"]]
    assert names == ["vision_encoder", "connector", "language_model"]


def test_all_devices_are_shown_one_after_another(cli: RunCli) -> None:
    shown = cli("profile", "plan", "llava-med-7b", "--scheme", "nf4", "--device", "all")
    titles = [line for line in shown.out.splitlines() if line.startswith("llava-med-7b on ")]
    assert titles[0].startswith("llava-med-7b on this-machine")
    assert len(titles) == 9
    assert shown.out.count("GiB (2**30 bytes)") == 1


def test_a_configuration_is_enough(cli: RunCli, tmp_path: Path) -> None:
    sys.path.insert(0, str(Path(__file__).parents[1] / "profile" / "plan"))
    from plan_shapes import config

    path = tmp_path / "config.json"
    path.write_text(json.dumps(config()))
    shown = cli("profile", "plan", str(path), "--device", "raspberry-pi-5")
    assert shown.code == 0
    assert "openvino-int8" in shown.out


def test_a_longer_context_is_heeded(cli: RunCli) -> None:
    def peak(*options: str) -> int:
        asked = ("profile", "plan", "tinyllava-1.5b:gguf-q8_0", "--json", *options)
        (plan,) = json.loads(cli(*asked).out)["plans"]
        return int(plan["memory"]["peak_bytes"])

    assert peak("--context", "8192") > peak()


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["nonsense"], "No model 'nonsense' is known."),
        (["nano:gguf"], "No scheme 'gguf'."),
        (["nano", "--device", "rtx-3050"], "Did you mean 'rtx-3050-4gb' or 'rtx-3050-6gb'?"),
        (["nano", "--context", "64"], "do not fit into a context of 64"),
        (["nano:native-int8", "--device", "rtx-3060"], "runs on processors only"),
    ],
)
def test_what_cannot_be_planned_is_one_sentence(cli: RunCli, asked: list[str], told: str) -> None:
    shown = cli("profile", "plan", *asked)
    assert shown.code == 2
    assert shown.err.startswith("error: ")
    assert told in shown.err


def test_nothing_heavy_is_imported() -> None:
    program = (
        "import sys\n"
        "from tinymed.cli.profile.plan import plan\n"
        "plan(['llava-1.5-13b', '--device', 'all'], standalone_mode=False)\n"
        f"print(sorted(set({HEAVY}) & set(sys.modules)), file=sys.stderr)"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert finished.stderr == "[]\n"
