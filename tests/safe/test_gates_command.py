"""`tinymed evaluate gates` from the outside, with an engine that stands in for a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from scoring_engine import ScoringEngine, truthful, write_set

from tinymed.cli.evaluate.gates import gates
from tinymed.quantize import first_use


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, object]]]:
    """What engines were opened; each tells the truth."""
    calls: list[tuple[str, dict[str, object]]] = []

    def open_engine(model: str, **options: object) -> ScoringEngine:
        calls.append((model, options))
        return ScoringEngine(truthful)

    monkeypatch.setattr(first_use, "open_compared", open_engine)
    return calls


def call(*arguments: object) -> Result:
    return CliRunner().invoke(gates, [str(one) for one in arguments])


def test_every_option_has_its_effect(
    tmp_path: Path, opened: list[tuple[str, dict[str, object]]]
) -> None:
    samples = write_set(tmp_path / "set", "validation", images=range(40))
    test = write_set(tmp_path / "set", "test", images=range(50, 60))
    result = call(
        *("nano", samples, "--test", test, "--out", tmp_path / "run", "--json"),
        *("--target-accuracy", 0.8, "--split-name", "Ours", "--limit", 9),
        *("--force-build", "nano:nf4", "--threads", 2),
    )
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert opened == [("nano", {"threads": 2, "force_build": "nano:nf4"})]
    policy = found["policy"]
    assert (policy["target_accuracy"], policy["split"], policy["num_samples"]) == (0.8, "Ours", 9)
    assert [one["split"] for one in found["measured"]] == ["Ours", "set test"]
    assert found == json.loads((tmp_path / "run" / "gates.json").read_text(encoding="utf-8"))


def test_without_json_it_prints_tables(
    tmp_path: Path, opened: list[tuple[str, dict[str, object]]]
) -> None:
    samples = write_set(tmp_path / "set", "validation", images=range(40))
    result = call("nano", samples, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("Warning: The gate 'text' could not look at images")
    assert "\nWarning: The gate 'scope' could not look at images" in result.stdout
    assert "\nchosen on set validation, for an accuracy of 90 %\n" in result.stdout
    assert "set validation, yes-no questions (n = 40)" in result.stdout
