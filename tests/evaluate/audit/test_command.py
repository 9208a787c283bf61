"""`tinymed evaluate audit` from the outside, with an engine that stands in for a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from speaking_engine import SpeakingEngine, truth_teller, write_set

from tinymed.cli.evaluate.audit import audit
from tinymed.errors import ConfigError
from tinymed.quantize import first_use


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, object]]]:
    """What engines were opened; each tells the truth."""
    calls: list[tuple[str, dict[str, object]]] = []

    def open_engine(model: str, **options: object) -> SpeakingEngine:
        calls.append((model, options))
        return SpeakingEngine(truth_teller)

    monkeypatch.setattr(first_use, "open_compared", open_engine)
    return calls


def call(*arguments: object) -> Result:
    return CliRunner().invoke(audit, [str(one) for one in arguments])


def test_every_option_has_its_effect(
    tmp_path: Path, opened: list[tuple[str, dict[str, object]]]
) -> None:
    samples = write_set(tmp_path / "set", "test", images=range(4))
    validation = write_set(tmp_path / "set", "validation", images=range(10, 14))
    result = call(
        *("nano", "--samples", samples, "--out", tmp_path / "run", "--calibrate", validation),
        *(
            "--target-accuracy",
            0.8,
            "--force-build",
            "nano:nf4",
            "--threads",
            2,
            "--limit",
            6,
            "--json",
        ),
    )
    found = json.loads(result.stdout)
    assert opened == [("nano", {"threads": 2, "force_build": "nano:nf4"})]
    assert (found["num_samples"], found["run"]["limit"]) == (6, 6)
    assert found["calibration"]["split"] == "validation.jsonl"
    assert {row["target"] for row in found["abstention"]} == {0.8}
    assert found == json.loads((tmp_path / "run" / "audit.json").read_text(encoding="utf-8"))


def test_without_json_it_prints_tables(
    tmp_path: Path, opened: list[tuple[str, dict[str, object]]]
) -> None:
    samples = write_set(tmp_path / "set", "test", images=range(4))
    result = call("nano", "--samples", samples, "--out", tmp_path / "run")
    assert result.exit_code == 0
    assert result.stdout.startswith("image use, percent")
    assert "pair_accuracy" in result.stdout


def test_a_target_without_a_split_is_refused(
    tmp_path: Path, opened: list[tuple[str, dict[str, object]]]
) -> None:
    samples = write_set(tmp_path / "set", "test", images=range(4))
    result = call("nano", "--samples", samples, "--out", tmp_path / "run", "--target-accuracy", 0.8)
    assert isinstance(result.exception, ConfigError)
    assert "name one with --calibrate" in str(result.exception)
