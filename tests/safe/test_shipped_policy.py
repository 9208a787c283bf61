"""The policy that ships with nano is of the build that ships with nano."""

from __future__ import annotations

import json

from scoring_engine import ScoringEngine, truthful

from tinymed.models.prompt import CHATML
from tinymed.safe.costs import SHIPPED, settings_to_measure
from tinymed.safe.gate import Gates
from tinymed.safe.policy import read_policy, shipped_policy_folder


def nano(scheme: str = "openvino-int8", prompt: str | None = None) -> ScoringEngine:
    """An engine that says that it runs the shipped build."""
    folder = shipped_policy_folder("nano", "openvino-int8").parents[1]
    parity = json.loads((folder / "parity-openvino-int8.json").read_text(encoding="utf-8"))
    engine = ScoringEngine(truthful, weights_digest=parity["build_digest"])
    engine.model, engine.scheme = "nano", scheme
    engine.prompt_template = prompt or CHATML.in_words()
    return engine


def test_the_shipped_build_finds_its_policy() -> None:
    policy = read_policy(None, nano())
    assert policy is not None
    assert (policy.split, policy.num_samples) == ("SLAKE validation", 1053)
    for kind in ("yes-no", "choice", "open"):
        threshold = policy.threshold(kind)
        assert threshold is not None
        assert policy.calibrated(kind, threshold) is not None


def test_another_scheme_or_prompt_has_none() -> None:
    assert read_policy(None, nano("gguf-q8_0")) is None
    assert read_policy(None, nano(prompt="{question}")) is None


def test_its_thresholds_reach_their_target_where_they_were_chosen() -> None:
    policy = read_policy(None, nano())
    assert policy is not None
    for chosen in policy.thresholds.values():
        assert chosen.threshold is not None
        assert chosen.threshold.accuracy >= policy.target_accuracy


def test_every_cost_that_it_carries_is_of_a_setting_there_is() -> None:
    policy = read_policy(None, nano())
    assert policy is not None
    assert {cost.gates for cost in policy.costs} == set(settings_to_measure())
    assert settings_to_measure()[SHIPPED] == Gates()


def test_the_defaults_keep_what_they_were_chosen_for() -> None:
    """To withhold contradictions costs most yes-no answers and gains nothing measurable."""
    policy = read_policy(None, nano())
    assert policy is not None
    costs = {(one.gates, one.kind): one for one in policy.costs if one.split == policy.split}
    none, polarity = costs["none", "yes-no"], costs["polarity", "yes-no"]
    assert polarity.coverage is not None
    assert none.accuracy is not None
    assert polarity.accuracy is not None
    assert polarity.coverage < 0.5
    assert polarity.accuracy - none.accuracy < 0.02
    assert Gates().polarity == "withhold"
