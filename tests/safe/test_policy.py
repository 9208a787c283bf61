"""What was measured for a model is used for exactly that model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from policies import NOT_FITTED, POLICY, WITHOUT_FIT
from scoring_engine import ScoringEngine, truthful

from tinymed.errors import DataError
from tinymed.safe import policy as policy_module
from tinymed.safe.policy import (
    POLICY_FILE,
    SafetyPolicy,
    read_policy,
    shipped_policy_folder,
    write_policy,
)


@pytest.fixture
def engine() -> ScoringEngine:
    return ScoringEngine(truthful)


@pytest.mark.parametrize("policy", [POLICY, WITHOUT_FIT])
def test_what_is_written_is_read_back(
    tmp_path: Path, engine: ScoringEngine, policy: SafetyPolicy
) -> None:
    write_policy(tmp_path, policy)
    assert read_policy(tmp_path, engine) == policy


def test_closed_kinds_share_what_was_fitted_and_open_questions_have_their_own() -> None:
    policy = replace(POLICY, calibration={**POLICY.calibration, "open": NOT_FITTED})
    assert policy.threshold("yes-no") == policy.threshold("choice") == 0.7
    assert policy.threshold("open") == 0.4
    assert policy.calibrated("choice", 0.9) == policy.calibrated("yes-no", 0.9)
    assert policy.calibrated("open", 0.9) is None


@pytest.mark.parametrize(
    ("name", "other"), [("weights_sha256", "2" * 64), ("prompt_template", "{question}")]
)
def test_a_named_policy_of_another_model_is_refused(
    tmp_path: Path, engine: ScoringEngine, name: str, other: str
) -> None:
    row = {name: other}
    write_policy(tmp_path, replace(POLICY, **row))  # type: ignore[arg-type]
    with pytest.raises(DataError, match=f"its {name} is .* Make one for this model"):
        read_policy(tmp_path, engine)


@pytest.mark.parametrize("content", ["", "[]", '{"model": "tiny"}'])
def test_what_is_no_policy_is_refused(tmp_path: Path, engine: ScoringEngine, content: str) -> None:
    (tmp_path / POLICY_FILE).write_text(content)
    with pytest.raises(DataError, match=r"is not a safety policy\. Make one"):
        read_policy(tmp_path, engine)


@pytest.mark.parametrize("value", ["0.7", 70, float("nan")])
def test_a_threshold_that_is_no_probability_is_refused_before_anybody_asks(
    tmp_path: Path, engine: ScoringEngine, value: object
) -> None:
    write_policy(tmp_path, POLICY)
    row = json.loads((tmp_path / POLICY_FILE).read_text())
    row["thresholds"]["closed"]["threshold"]["value"] = value
    (tmp_path / POLICY_FILE).write_text(json.dumps(row))
    with pytest.raises(DataError, match="is not a safety policy"):
        read_policy(tmp_path, engine)


@pytest.mark.parametrize("value", ["1.0", float("inf")])
def test_a_calibration_that_cannot_be_computed_is_refused_too(
    tmp_path: Path, engine: ScoringEngine, value: object
) -> None:
    write_policy(tmp_path, POLICY)
    row = json.loads((tmp_path / POLICY_FILE).read_text())
    row["calibration"]["open"]["b"] = value
    (tmp_path / POLICY_FILE).write_text(json.dumps(row))
    with pytest.raises(DataError, match="is not a safety policy"):
        read_policy(tmp_path, engine)


def test_a_policy_for_one_kind_alone_is_refused(tmp_path: Path, engine: ScoringEngine) -> None:
    write_policy(tmp_path, POLICY)
    row = json.loads((tmp_path / POLICY_FILE).read_text())
    del row["thresholds"]["open"], row["calibration"]["open"]
    (tmp_path / POLICY_FILE).write_text(json.dumps(row))
    with pytest.raises(DataError, match="is not a safety policy"):
        read_policy(tmp_path, engine)


def test_a_named_folder_without_one_is_refused(tmp_path: Path, engine: ScoringEngine) -> None:
    with pytest.raises(DataError, match="is not a safety policy"):
        read_policy(tmp_path, engine)


def test_what_ships_serves_exactly_its_own_weights_and_prompt(
    tmp_path: Path, engine: ScoringEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy_module, "_SHIPPED", tmp_path)
    assert read_policy(None, engine) is None
    folder = shipped_policy_folder("tiny", "scoring-f32")
    folder.mkdir(parents=True)
    write_policy(folder, POLICY)
    assert read_policy(None, engine) == POLICY
    assert read_policy(None, ScoringEngine(truthful, weights_digest="3" * 64)) is None
