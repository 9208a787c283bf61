"""What Ollama's front ends send, and must get back."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from real_server import RealServer

from tinymed.records import NOTICE

WHERE = "Where is the abnormality?"


def body(question: str, data: bytes, **more: Any) -> dict[str, Any]:
    message = {
        "role": "user",
        "content": question,
        "images": [base64.b64encode(data).decode()],
    }
    return {"model": "nano:latest", "messages": [message], **more}


def test_the_model_is_listed(server: RealServer) -> None:
    with server.client() as client:
        (row,) = client.get("/api/tags").json()["models"]
        assert row["name"] == row["model"] == "nano:latest"
        assert client.get("/api/version").json()["version"]
        assert client.get("/api/ps").json()["models"][0]["name"] == "nano:latest"
        shown = client.post("/api/show", json={"model": "nano"}).json()
        unnamed = client.post("/api/show", json={})
    assert "vision" in shown["capabilities"]
    assert unnamed.status_code == 404
    assert "Ask for 'nano'." in unnamed.json()["error"]


def test_a_chat_streams_lines(server: RealServer, small_chest: bytes) -> None:
    with server.client() as client:
        response = client.post("/api/chat", json=body(WHERE, small_chest))
        whole = client.post("/api/chat", json=body(WHERE, small_chest, stream=False)).json()
    assert response.headers["content-type"].startswith("application/x-ndjson")
    lines = [json.loads(line) for line in response.text.splitlines()]
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    text = "".join(line["message"]["content"] for line in lines)
    assert text == whole["message"]["content"]
    last = lines[-1]
    assert last["done_reason"] == "stop"
    assert last["tinymed"]["notice"] == NOTICE
    assert last["total_duration"] > 0
    assert last["eval_count"] >= 2
    assert last["prompt_eval_count"] > 81


def test_options_are_heeded_or_named(server: RealServer, small_chest: bytes) -> None:
    options = {"temperature": 0.8, "num_ctx": 4096, "num_predict": 1}
    with server.client() as client:
        safe = client.post(
            "/api/chat", json=body(WHERE, small_chest, stream=False, options=options)
        )
        raw = client.post(
            "/api/chat", json=body(WHERE, small_chest, stream=False, options=options, safe=False)
        )
    assert set(safe.json()["tinymed"]["not_used"]) == {"temperature", "num_ctx"}
    assert raw.json()["tinymed"]["not_used"] == ["num_ctx"]
    assert raw.json()["done_reason"] == "length"
    assert raw.json()["eval_count"] == 1


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"model": "llama3"}, 404),
        ({"tools": [{}]}, 400),
        ({"format": "json"}, 400),
        ({"messages": [{"role": "user", "content": "no image"}]}, 400),
        ({"messages": [{"role": "user", "content": "?", "images": ["@@@"]}]}, 400),
        ({"messages": [{"role": "user", "content": "?", "images": ["aGVsbG8="]}]}, 422),
    ],
)
def test_refusals_have_ollamas_shape(
    server: RealServer, small_chest: bytes, wrong: dict[str, Any], status: int
) -> None:
    with server.client() as client:
        response = client.post("/api/chat", json=body("Is it normal?", small_chest) | wrong)
    assert response.status_code == status
    assert isinstance(response.json()["error"], str)


def test_a_model_can_be_loaded_ahead(server: RealServer) -> None:
    with server.client() as client:
        response = client.post("/api/chat", json={"model": "nano", "keep_alive": "5m"})
    assert response.json()["done_reason"] == "load"


def test_curl_needs_no_content_type(server: RealServer, small_chest: bytes) -> None:
    content = json.dumps(body(WHERE, small_chest, stream=False))
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    with server.client() as client:
        response = client.post("/api/chat", content=content, headers=form)
    assert response.status_code == 200
