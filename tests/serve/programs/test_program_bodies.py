"""What programs may send: bodies, images, conversations."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tinymed.serve.programs.chat import (
    Turn,
    decoding_of,
    last_question,
    others,
    sampling_not_used,
)
from tinymed.serve.programs.checked import RequestError, read_body
from tinymed.serve.programs.images import from_base64, image_bytes
from tinymed.serve.programs.schemas import CHAT_COMPLETION, OLLAMA_CHAT

GOOD = {"model": "nano", "messages": [{"role": "user", "content": "Is it normal?"}]}


def test_a_good_body_comes_back_as_it_is() -> None:
    assert read_body(json.dumps(GOOD).encode(), CHAT_COMPLETION) == GOOD


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b'{"model": NaN}', "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (json.dumps(GOOD | {"x": "\ud800"}).encode(), "lone surrogate"),
        (json.dumps({"model": "nano"}).encode(), "messages"),
        (json.dumps(GOOD | {"model": 3}).encode(), "'model'"),
        (json.dumps(GOOD | {"messages": []}).encode(), "'messages'"),
        (json.dumps(GOOD | {"temperature": -0.1}).encode(), "'temperature'"),
        (json.dumps(GOOD | {"top_p": 0}).encode(), "'top_p'"),
        (json.dumps(GOOD | {"max_tokens": 0}).encode(), "'max_tokens'"),
        (json.dumps(GOOD | {"max_tokens": 1e99}).encode(), "'max_tokens'"),
        (json.dumps(GOOD | {"seed": 2**63}).encode(), "'seed'"),
        (json.dumps(GOOD | {"stop": [""]}).encode(), "'stop[0]'"),
        (json.dumps(GOOD | {"n": 2}).encode(), "'n'"),
        (json.dumps(GOOD | {"stream": "yes"}).encode(), "'stream'"),
        (json.dumps(GOOD | {"top_logprobs": 21}).encode(), "'top_logprobs'"),
    ],
)
def test_a_bad_body_is_refused_in_one_sentence(body: bytes, says: str) -> None:
    with pytest.raises(RequestError) as refused:
        read_body(body, CHAT_COMPLETION)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_refusal_does_not_repeat_megabytes() -> None:
    body = json.dumps(GOOD | {"stream": "A" * 5_000_000}).encode()
    with pytest.raises(RequestError) as refused:
        read_body(body, CHAT_COMPLETION)
    assert len(str(refused.value)) < 500


def test_null_means_not_set_as_openai_clients_send_it() -> None:
    body = GOOD | dict.fromkeys(("stop", "seed", "temperature", "max_tokens", "n", "logprobs"))
    assert read_body(json.dumps(body).encode(), CHAT_COMPLETION) == body


def test_ollama_options_are_bounded() -> None:
    for options in ({"temperature": -1}, {"num_predict": -3}, {"seed": 0.5}, {"stop": "a" * 201}):
        with pytest.raises(RequestError):
            read_body(json.dumps(GOOD | {"options": options}).encode(), OLLAMA_CHAT)


def test_a_data_uri_holds_a_file() -> None:
    data = bytes(range(256))
    uri = "data:application/dicom;base64," + base64.b64encode(data).decode()
    assert image_bytes(uri, may_fetch=False, max_bytes=256) == data
    assert from_base64(base64.b64encode(data).decode(), max_bytes=256) == data


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("data:image/png,abc", "not in base64"),
        ("data:image/png;base64,", "empty"),
        ("data:image/png;base64,@@@@", "not valid base64"),
        ("data:image/png;base64," + "AAAA" * 100, "MB"),
        ("http://127.0.0.1/x.png", "fetches no images"),
        ("https://example.org/x.png", "fetches no images"),
        ("file:///etc/passwd", "no data URI"),
        ("ftp://127.0.0.1/x", "no data URI"),
        ("../../etc/passwd", "no data URI"),
    ],
)
def test_other_images_are_refused(url: str, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        image_bytes(url, may_fetch=False, max_bytes=256)


class _Pictures(BaseHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", "/image")
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"x" * (1000 if self.path == "/image" else 5000))


@pytest.fixture
def pictures() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Pictures)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_image_is_fetched_only_where_that_is_allowed(pictures: str) -> None:
    assert image_bytes(f"{pictures}/image", may_fetch=True, max_bytes=2000) == b"x" * 1000
    with pytest.raises(RequestError, match="fetches no images"):
        image_bytes(f"{pictures}/image", may_fetch=False, max_bytes=2000)


def test_neither_a_redirect_nor_a_flood_is_followed(pictures: str) -> None:
    with pytest.raises(RequestError, match="cannot be fetched"):
        image_bytes(f"{pictures}/elsewhere", may_fetch=True, max_bytes=2000)
    with pytest.raises(RequestError, match="MB"):
        image_bytes(f"{pictures}/flood", may_fetch=True, max_bytes=2000)


def _user(text: str, *images: str) -> Turn:
    return Turn(role="user", text=text, images=images)


def test_the_last_question_is_asked_of_the_latest_image() -> None:
    asked = last_question(
        [
            Turn(role="system", text="Be brief."),
            _user("Is it a CT?", "first"),
            Turn(role="assistant", text="yes"),
            _user("And this?", "second"),
            Turn(role="assistant", text="no"),
            _user(" Where is the lesion? "),
        ]
    )
    assert (asked.question, asked.image) == ("Where is the lesion?", "second")
    assert asked.not_used == ("1 system message", "4 earlier messages (but for the image)")


@pytest.mark.parametrize(
    ("turns", "says"),
    [
        ([], "last message"),
        ([_user("a", "i"), Turn(role="assistant", text="b")], "last message"),
        ([_user("  ", "i")], "no question"),
        ([_user("Where?")], "no image"),
        ([_user("Where?", "one", "two")], "2 images"),
        ([Turn(role="assistant", text="x", images=("i",)), _user("Where?")], "no image"),
    ],
)
def test_conversations_without_a_question_about_one_image_are_refused(
    turns: list[Turn], says: str
) -> None:
    with pytest.raises(RequestError, match=says):
        last_question(turns)


def test_safe_answers_are_greedy_and_say_what_they_left_out() -> None:
    values = {"temperature": 0.7, "top_p": 0.5, "seed": 3, "max_new_tokens": 900}
    safe = decoding_of(values, is_safe=True, most_tokens=100)
    assert (safe.temperature, safe.top_p, safe.seed, safe.max_new_tokens) == (0.0, 1.0, None, 100)
    assert sampling_not_used(values, is_safe=True) == ["temperature", "top_p", "seed"]
    raw = decoding_of(values, is_safe=False, most_tokens=100)
    assert (raw.temperature, raw.top_p, raw.seed) == (0.7, 0.5, 3)
    assert sampling_not_used(values, is_safe=False) == []


def test_what_asks_for_greedy_answers_is_no_loss() -> None:
    assert sampling_not_used({"temperature": 0, "top_p": 1}, is_safe=True) == []


def test_a_seed_of_zero_is_a_seed() -> None:
    assert sampling_not_used({"seed": 0}, is_safe=True) == ["seed"]


def test_unknown_fields_are_named() -> None:
    assert others({"model": "a", "user": "b", "store": None}, {"model"}.__contains__) == ["user"]
