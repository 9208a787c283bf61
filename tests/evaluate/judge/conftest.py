"""A judge on loopback, and four samples for it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from judge_server import JudgeServer, serving

from tinymed.evaluate.judge.client import Judge
from tinymed.evaluate.judge.run import JudgeSettings
from tinymed.jsonl import write_samples
from tinymed.records import Sample


@pytest.fixture
def judge_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[JudgeServer]:
    """A judge that says "8 6" unless told otherwise; no key in the environment."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving() as served:
        yield served


TYPES = ("conversation", "conversation", "detailed_description", "conversation")
DOMAINS = ("mri", "ct_scan", "mri", None)


@pytest.fixture
def settings(tmp_path: Path, judge_server: JudgeServer) -> JudgeSettings:
    """Four samples about three figures, their predictions, and a judge on loopback."""
    samples = tmp_path / "chat.jsonl"
    write_samples(
        samples,
        [
            Sample(
                id=str(number),
                question=f"Question {number}?",
                reference=f"reference {number}",
                answer_type="open",
                group=f"figure-{min(number, 2)}",
                modality=DOMAINS[number],
                question_type=TYPES[number],
                context=f"caption {number}",
            )
            for number in range(4)
        ],
    )
    predictions = tmp_path / "answers.jsonl"
    # In another order than the samples: only ids join them.
    predictions.write_text(
        "".join(
            json.dumps({"id": str(number), "text": f"prediction {number}"}) + "\n"
            for number in (3, 1, 0, 2)
        )
    )
    return JudgeSettings(
        samples=samples,
        predictions=predictions,
        out=tmp_path / "run",
        judge=Judge(url=judge_server.url, model="judge", max_tokens=64),
        max_retries=2,
        timeout_s=20,
    )
