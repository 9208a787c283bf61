"""Asking over HTTP: what is sent, what is tried again, and what every failure says."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
from judge_server import Failure, JudgeServer, completion

from tinymed.errors import MissingExtraError, ModelError
from tinymed.evaluate.judge.client import Judge, JudgeClient, request_body

MESSAGES = [{"role": "user", "content": "Which?"}]
Open = Callable[..., JudgeClient]


@pytest.fixture
def open_client(judge_server: JudgeServer) -> Iterator[Open]:
    with ExitStack() as stack:

        def open_one(
            *, key: str | None = None, timeout_s: float = 20, **changes: Any
        ) -> JudgeClient:
            judge = Judge(**{"url": judge_server.url, "model": "judge", **changes})
            client = JudgeClient(judge, key=key, timeout_s=timeout_s, max_retries=2)
            return stack.enter_context(closing(client))

        yield open_one


def test_a_reply_brings_its_text_and_what_it_took(
    judge_server: JudgeServer, open_client: Open
) -> None:
    reply = open_client(seed=7, temperature=0.5, max_tokens=64).ask(MESSAGES)
    assert reply.text == "8 6\nThe first is better."
    assert (reply.model, reply.finish_reason) == ("stub-judge-7", "stop")
    assert (reply.prompt_tokens, reply.completion_tokens) == (100, 10)
    assert 0 < reply.latency_ms < 20_000
    assert reply.refused is None
    assert judge_server.requests == [
        {
            "model": "judge",
            "messages": MESSAGES,
            "temperature": 0.5,
            "seed": 7,
            "max_tokens": 64,
        }
    ]


def test_openais_own_server_is_told_the_limit_under_its_newer_name() -> None:
    body = request_body(Judge(url="https://api.openai.com/v1", model="m", max_tokens=9), MESSAGES)
    assert body["max_completion_tokens"] == 9
    assert "max_tokens" not in body


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (completion(None), ""),
        (completion("8 6", usage=None, model=None), "8 6"),
        (completion("8 6", usage={"prompt_tokens": "many"}), "8 6"),
    ],
)
def test_what_a_server_leaves_out_is_none(
    judge_server: JudgeServer, open_client: Open, body: dict[str, Any], text: str
) -> None:
    judge_server.answer = lambda _: body
    reply = open_client().ask(MESSAGES)
    assert reply.text == text
    assert text == "" or (reply.prompt_tokens, reply.completion_tokens) == (None, None)


def test_the_environment_neither_redirects_nor_adds_to_what_is_sent(
    judge_server: JudgeServer, open_client: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "OPENAI_BASE_URL": "http://127.0.0.1:9/elsewhere",
        "OPENAI_API_KEY": "sk-secret",
        "OPENAI_ADMIN_KEY": "sk-admin",
        "OPENAI_ORG_ID": "org",
        "OPENAI_PROJECT_ID": "project",
        "OPENAI_CUSTOM_HEADERS": "X-Spy: 1\nAuthorization: Bearer sk-spy",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "ALL_PROXY": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    open_client().ask(MESSAGES)
    open_client(key="sk-mine").ask(MESSAGES)
    without_key, with_key = judge_server.headers
    assert with_key.pop("authorization") == "Bearer sk-mine"
    assert without_key == with_key
    assert set(with_key) == {
        "host", "accept", "accept-encoding", "connection", "content-length", "content-type",
        "user-agent",
    }  # fmt: skip
    assert with_key["user-agent"].startswith("tinymed/")


@pytest.mark.parametrize(
    "failure",
    [
        Failure(status=429, headers={"Retry-After": "0.2"}),
        Failure(status=500, headers={"Retry-After": "0.2"}),
        Failure(status=503, headers={"Retry-After": "0.2"}),
        Failure(status=200, body=b'{"choices": [{"message": {"content": "8 6"}}]}', cut=True),
        Failure(status=200, body=b"<html>Bad gateway</html>"),
        Failure(status=200, body=b'{"choices": ['),
    ],
    ids=["429", "500", "503", "cut", "html", "half"],
)
def test_a_failure_that_may_pass_is_tried_again_after_a_pause(
    judge_server: JudgeServer, open_client: Open, failure: Failure
) -> None:
    judge_server.failures = [failure]
    assert open_client().ask(MESSAGES).text.startswith("8 6")
    first, second = judge_server.arrived_s
    assert second - first >= 0.19


def sentence(client: JudgeClient) -> str:
    with pytest.raises(ModelError) as caught:
        client.ask(MESSAGES)
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith(".")
    assert "sk-mine" not in text
    assert caught.value.__cause__ is None
    return text


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (Failure(status=401, body=b'{"error": {"message": "Bad key sk-mine"}}'), "refused the key"),
        (Failure(status=403), "refused the key (status 403)"),
        (
            Failure(status=404, body=b'{"error": {"message": "No model judge. sk-mine"}}'),
            "knows no model 'judge'",
        ),
        (Failure(status=402, body=b'{"error": "pay, sk-mine"}'), "status 402 (pay, …)"),
        (Failure(status=418, body=b"[]"), "failed with status 418; what"),
        (Failure(status=307, headers={"Location": "http://127.0.0.1:9/"}), "is not followed"),
        (
            Failure(status=200, body=b'{"error": "sk-mine"}'),
            'no chat completion but {"error": "…"}',
        ),
        (Failure(status=200, body=b'{"choices": []}'), "no chat completion"),
        (Failure(status=200, body=b'{"choices": [{"message": null}]}'), "no chat completion"),
        (Failure(status=200, body=b"[1]"), "no chat completion but [1]"),
    ],
)
def test_a_failure_for_good_is_one_sentence_that_names_the_address(
    judge_server: JudgeServer, open_client: Open, failure: Failure, expected: str
) -> None:
    judge_server.failures = [failure]
    text = sentence(open_client(key="sk-mine"))
    assert f"The judge at {judge_server.url}" in text
    assert expected in text
    assert len(judge_server.requests) == 1


def test_a_failure_that_does_not_pass_is_given_up(
    judge_server: JudgeServer, open_client: Open
) -> None:
    judge_server.answer = lambda _: Failure(status=500, headers={"Retry-After": "0.01"})
    assert "failed with status 500 (out of order)" in sentence(open_client())
    assert len(judge_server.requests) == 3
    judge_server.answer = lambda _: Failure(status=200, body=b"<html>")
    assert "cannot be reached (the reply is not JSON)" in sentence(open_client())


def test_a_server_that_is_not_there_is_said_so(open_client: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = sentence(open_client(url=f"http://127.0.0.1:{port}/v1"))
    assert f"http://127.0.0.1:{port}/v1 cannot be reached" in text
    assert "refused" in text


def test_a_server_that_is_silent_is_said_so(judge_server: JudgeServer, open_client: Open) -> None:
    judge_server.delay_s = 0.5
    assert "gave no reply within 0.05 s" in sentence(open_client(timeout_s=0.05))


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_request_the_server_will_not_take_is_a_reply_that_says_why(
    judge_server: JudgeServer, open_client: Open, status: int
) -> None:
    judge_server.failures = [
        Failure(status=status, body=b'{"error": {"message": "too\\nlong for sk-mine."}}'),
        Failure(status=status, body=b""),
    ]
    client = open_client(key="sk-mine")
    reply = client.ask(MESSAGES)
    assert (reply.text, reply.refused) == ("", "too long for …")
    assert client.ask(MESSAGES).refused == f"status {status}"


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingExtraError, match=r"tinymed\[judge\]"):
        JudgeClient(Judge(url="http://127.0.0.1/v1", model="judge"), key=None)
