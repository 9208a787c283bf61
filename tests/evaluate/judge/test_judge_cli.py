"""`tinymed evaluate judge` from the outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from judge_server import JudgeServer

from tinymed.cli.evaluate.judge import judge
from tinymed.errors import ConfigError, ModelError
from tinymed.evaluate.judge.run import JudgeSettings
from tinymed.records import NOTICE


def call(settings: JudgeSettings, *arguments: str, url: str | None = None) -> Result:
    result = CliRunner().invoke(
        judge,
        [
            *("--samples", str(settings.samples), "--predictions", str(settings.predictions)),
            *("--url", url or settings.judge.url, "--judge-model", "judge"),
            *("--out", str(settings.out), *arguments),
        ],
    )
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_the_table_is_printed_and_the_estimate_goes_to_stderr(settings: JudgeSettings) -> None:
    result = call(settings)
    assert result.stdout.splitlines()[0].split() == [
        "Conversation", "Description", "MRI", "CT", "Overall",
    ]  # fmt: skip
    assert "answer second (as published):" in result.stdout
    assert "mean of both orders:" in result.stdout
    assert NOTICE in result.stdout
    assert "8 calls to" in result.stderr
    assert "calls" not in result.stdout


def test_json_is_what_the_folder_keeps(settings: JudgeSettings) -> None:
    result = call(settings, "--json")
    assert json.loads(result.stdout) == json.loads((settings.out / "judge.json").read_text())


def test_every_option_reaches_the_judge(
    settings: JudgeSettings, judge_server: JudgeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUDGE_KEY", "sk-mine")
    judge_server.delay_s = 0.05
    words = (
        "--limit 3 --no-swap --concurrency 1 --temperature 0.5 --seed 7 --max-tokens 99 "
        "--price-in 1000 --price-out 2000 --api-key-env JUDGE_KEY --json"
    )
    found = json.loads(call(settings, *words.split()).stdout)
    assert len(judge_server.requests) == 3
    assert judge_server.most_at_once == 1
    request: dict[str, Any] = judge_server.requests[0]
    assert (request["temperature"], request["seed"], request["max_tokens"]) == (0.5, 7, 99)
    assert judge_server.headers[0]["authorization"] == "Bearer sk-mine"
    assert found["usage"]["price"] == pytest.approx((300 * 1000 + 30 * 2000) / 1e6)
    assert found["run"]["limit"] == 3
    assert found["groups"][-1]["swapped"] is None


def test_data_is_sent_away_only_with_yes(
    settings: JudgeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = "https://judge.example.org/v1"
    with pytest.raises(ConfigError, match="add --yes"):
        call(settings, url=away)
    # Allowed to send, it next wants a key: proof enough that --yes acts, and nobody is asked.
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="OPENAI_API_KEY holds no key"):
        call(settings, "--yes", url=away)


@pytest.mark.slow
def test_a_short_timeout_is_heeded(settings: JudgeSettings, judge_server: JudgeServer) -> None:
    judge_server.delay_s = 30
    with pytest.raises(ModelError, match=r"no reply within 0\.01 s"):
        call(settings, "--timeout", "0.01")


def test_a_bad_address_or_a_lone_price_is_refused_before_anything(
    settings: JudgeSettings, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="no http or https address"):
        call(settings, url="judge")
    with pytest.raises(ConfigError, match="both --price-in and --price-out"):
        call(settings, "--price-in", "1")
    assert not settings.out.exists()
