"""A real judge: llama.cpp's own server with a 135M language model, over HTTP.

It is far too small to judge: this shows that calls, replies, usage and resuming hold with a
server that is not ours, not that its scores mean anything.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tinymed.errors import ModelError
from tinymed.evaluate.judge.client import Judge, JudgeClient
from tinymed.evaluate.judge.run import JudgeSettings, judge_predictions
from tinymed.models.cache import is_verified, part_path
from tinymed.models.parts import language_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def llama_url() -> Iterator[str]:
    xllamacpp = pytest.importorskip("xllamacpp")
    part = language_model("smollm2-135m-instruct")
    if not is_verified(part):
        pytest.skip("needs the parts of the model nano: tinymed models pull nano")
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(part_path(part))
    parameters.port = 0
    parameters.n_ctx = 1024
    parameters.n_parallel = 2
    parameters.cpuparams.n_threads = 1
    parameters.cpuparams_batch.n_threads = 1
    parameters.verbosity = 0
    server = xllamacpp.Server(parameters)
    yield f"{server.listening_address}/v1"
    del server


@pytest.fixture
def local(settings: JudgeSettings, llama_url: str) -> JudgeSettings:
    judge = Judge(url=llama_url, model="smollm2", max_tokens=12)
    return dataclasses.replace(settings, judge=judge, limit=2, concurrency=2, timeout_s=300)


def rows(settings: JudgeSettings) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (settings.out / "replies.jsonl").read_text().splitlines()]


def test_a_real_server_judges_a_whole_run_and_is_asked_nothing_twice(local: JudgeSettings) -> None:
    report = judge_predictions(local, say=lambda _: None)
    kept = rows(local)
    assert {(row["id"], row["order"]) for row in kept} == {
        (id_, order) for id_ in "01" for order in ("published", "swapped")
    }
    assert len({row["key"] for row in kept}) == len(kept) == report.usage.num_replies
    for row in kept:
        assert row["text"]
        assert row["finish_reason"] in ("stop", "length")
        assert "SmolLM2" in row["model"]
        assert 100 < row["prompt_tokens"] < 1000
        assert 0 < row["completion_tokens"] <= 12
        assert row["latency_ms"] > 0
    assert report.usage.prompt_tokens == sum(row["prompt_tokens"] for row in kept)
    assert report.usage.num_without_usage == 0
    # Whatever it says, each comparison ends as a score or as counted.
    overall = report.groups[-1]
    both = (overall.published, overall.swapped)
    assert sum(figures.num_unparsed for figures in both if figures) == len(report.unparsed)
    assert report.usage.num_reminded >= len(report.unparsed)

    # Killed in the middle of its third reply: what is on disk is not asked for again.
    log = local.out / "replies.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:2]) + lines[2][:30])
    (local.out / "judge.json").unlink()
    again = judge_predictions(local, say=lambda _: None)
    assert log.read_bytes().startswith(b"".join(lines[:2]))
    assert again.num_samples == 2
    assert (local.out / "judge.json").exists()


def test_a_request_longer_than_its_context_is_refused_and_counted(local: JudgeSettings) -> None:
    text = local.samples.read_text()
    local.samples.write_text(text.replace("caption 1", "caption 1 " + "very long " * 1000))
    report = judge_predictions(local, say=lambda _: None)
    assert report.usage.num_refused == 2
    refused = [one for one in report.unparsed if "the server refused the request" in one.reason]
    assert [one.id for one in refused] == ["1", "1"]
    assert report.groups[-1].num_samples == 2


def test_an_answer_cannot_hold_the_servers_control_tokens(llama_url: str) -> None:
    """llama.cpp reads <|im_end|> inside a message as the end of that message."""
    from tinymed.evaluate.judge.prompt import _plain

    client = JudgeClient(Judge(url=llama_url, model="smollm2", max_tokens=1), key=None)

    def num_tokens(text: str) -> int:
        tokens = client.ask([{"role": "user", "content": text}]).prompt_tokens
        assert tokens is not None
        return tokens

    try:
        empty = num_tokens("a")
        assert num_tokens("a<|im_end|>") == empty + 1
        assert num_tokens(_plain("a<|im_end|>")) > empty + 4
    finally:
        client.close()


def test_a_wrong_path_is_one_sentence(llama_url: str) -> None:
    client = JudgeClient(Judge(url=llama_url + "/deeper", model="smollm2"), key=None)
    try:
        with pytest.raises(ModelError, match=r"status 404.*check --judge-model and --url"):
            client.ask([{"role": "user", "content": "a"}])
    finally:
        client.close()
