"""What programs may send: bodies, images, conversations."""

from __future__ import annotations

import base64
import contextlib
import json
import random
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tinymed.serve.programs import images
from tinymed.serve.programs.chat import (
    Turn,
    decoding_of,
    last_question,
    others,
    sampling_not_used,
)
from tinymed.serve.programs.checked import RequestError, Sent
from tinymed.serve.programs.checked import read_body as read_body_of
from tinymed.serve.programs.images import from_base64, image_bytes
from tinymed.serve.programs.long_texts import LONG_BYTES
from tinymed.serve.programs.schemas import CHAT_COMPLETION, OLLAMA_CHAT, Schema

GOOD = {"model": "nano", "messages": [{"role": "user", "content": "Is it normal?"}]}
MOST_BYTES = 1_000_000
FEW_BYTES = 20_000
LONG = "A" * (LONG_BYTES + 4)


def read_body(body: bytes, schema: Schema) -> Sent:
    return read_body_of(body, schema, max_bytes=MOST_BYTES)


def with_image(url: str, text: str = "Is it normal?") -> dict[str, Any]:
    content = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": url}}]
    return {"model": "nano", "messages": [{"role": "user", "content": content}]}


def url_in(sent: Sent) -> bytes:
    return bytes(sent.file(sent.fields["messages"][0]["content"][1]["image_url"]["url"]))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_good_body_comes_back_as_it_is(encoding: str) -> None:
    good = GOOD | {"user": "ወርቁ, née 😀"}
    body = json.dumps(good, ensure_ascii=False).encode(encoding)
    assert read_body(body, CHAT_COMPLETION).fields == good


@pytest.mark.parametrize("url", [LONG, LONG + "/+ \n\t=", LONG[:40], "\u00e9" * LONG_BYTES])
@pytest.mark.parametrize("is_ascii", [False, True])
def test_a_file_of_any_length_comes_back_as_it_was_sent(url: str, *, is_ascii: bool) -> None:
    body = json.dumps(with_image(url), ensure_ascii=is_ascii).encode()
    assert url_in(read_body(body, CHAT_COMPLETION)) == url.encode()
    # As PHP writes it.
    assert url_in(read_body(body.replace(b"/", rb"\/"), CHAT_COMPLETION)) == url.encode()


def test_files_in_ollamas_shape_come_back_as_they_were_sent() -> None:
    message = {"role": "user", "content": "?", "images": [LONG, "BBBB", LONG + "CCCC"]}
    sent = read_body(json.dumps({"model": "nano", "messages": [message]}).encode(), OLLAMA_CHAT)
    files = [bytes(sent.file(image)) for image in sent.fields["messages"][0]["images"]]
    assert files == [LONG.encode(), b"BBBB", LONG.encode() + b"CCCC"]


@pytest.mark.parametrize("text", [LONG, LONG + '"\\', "\u12c8" * LONG_BYTES, '\\"' * LONG_BYTES])
@pytest.mark.parametrize("is_ascii", [False, True])
def test_long_texts_that_are_no_files_stay_where_they_are(text: str, *, is_ascii: bool) -> None:
    body = with_image(LONG, text) | {"user": [text], "x": {text: 1}}
    sent = read_body(json.dumps(body, ensure_ascii=is_ascii).encode(), CHAT_COMPLETION)
    assert sent.fields["messages"][0]["content"][0]["text"] == text
    assert sent.fields["user"] == [text]
    assert url_in(sent) == LONG.encode()


@pytest.mark.parametrize(
    "beside",
    [
        b"[" + b"[]," * FEW_BYTES + b"1]",
        b'["' + b"A" * FEW_BYTES + b'"]',
        b"[" + b'"",' * FEW_BYTES + b"1]",
        b"[" + b'"\\"",' * FEW_BYTES + b"1]",
        b"1" + b" " * FEW_BYTES,
    ],
    ids=["lists", "text", "texts", "escapes", "blanks"],
)
def test_a_request_is_small_beside_its_images(beside: bytes) -> None:
    """Three bytes of empty lists became a hundred in memory, and a body may have 680 MB."""
    body = json.dumps(with_image("A" * FEW_BYTES)).encode()
    assert len(url_in(read_body_of(body, CHAT_COMPLETION, max_bytes=FEW_BYTES))) == FEW_BYTES
    body = body[:-1] + b', "x": ' + beside + b"}"
    tracemalloc.start()
    try:
        with pytest.raises(RequestError, match="20,000 bytes beside its images"):
            read_body_of(body, CHAT_COMPLETION, max_bytes=FEW_BYTES)
        assert tracemalloc.get_traced_memory()[1] < len(body)
    finally:
        tracemalloc.stop()


def test_no_depth_of_nesting_is_a_defect() -> None:
    """Just below the depth that JSON's reader refuses, the look for surrogates went too deep."""
    head = json.dumps(GOOD)[:-1].encode() + rb', "y": "\u0041", "x": '
    most = sys.getrecursionlimit()
    refused = []
    for depth in range(most - 200, most):
        try:
            read_body(head + b"[" * depth + b"]" * depth + b"}", CHAT_COMPLETION)
        except RequestError as error:
            refused.append(str(error))
    assert set(refused) == {"The body is nested too deeply. Send plain JSON."}


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
        (json.dumps(GOOD | {"x": "\ud800" + LONG}).encode(), "lone surrogate"),
        (json.dumps(GOOD).encode("utf-16"), "not JSON"),
        (json.dumps(GOOD | {"x": LONG}).encode()[:-2], "not JSON"),
        (json.dumps(GOOD | {"x": LONG + "\\"}).encode()[:-2], "not JSON"),
        (json.dumps(GOOD | {"x": LONG}).encode().replace(b"AA", b"\xff", 1), "not JSON"),
        (json.dumps(GOOD | {"x": LONG}).encode().replace(b"AA", rb"\x", 1), "not JSON"),
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
    assert read_body(json.dumps(body).encode(), CHAT_COMPLETION).fields == body


def test_null_means_not_set_as_ollamas_clients_send_it() -> None:
    """Its Python client leaves out what is not set, but not of options in a dict."""
    options = dict.fromkeys(("stop", "seed", "temperature", "top_p", "num_predict"))
    body = GOOD | {"options": options}
    assert read_body(json.dumps(body).encode(), OLLAMA_CHAT).fields == body


def test_ollama_options_are_bounded() -> None:
    for options in ({"temperature": -1}, {"num_predict": -3}, {"seed": 0.5}, {"stop": "a" * 201}):
        with pytest.raises(RequestError):
            read_body(json.dumps(GOOD | {"options": options}).encode(), OLLAMA_CHAT)


def test_a_data_uri_holds_a_file() -> None:
    data = bytes(range(256))
    uri = b"data:application/dicom;base64," + base64.b64encode(data)
    assert image_bytes(uri, may_fetch=False, max_bytes=256) == data
    assert image_bytes(memoryview(uri), may_fetch=False, max_bytes=256) == data
    assert from_base64(base64.b64encode(data), max_bytes=256) == data
    assert from_base64(base64.encodebytes(data), max_bytes=256) == data


def test_a_file_that_is_decoded_in_pieces_is_whole() -> None:
    data = random.Random(1).randbytes(images._PIECE_BYTES)
    assert from_base64(base64.b64encode(data), max_bytes=len(data)) == data
    assert from_base64(base64.encodebytes(data), max_bytes=len(data)) == data


def test_base64_ends_once() -> None:
    """At the end of a piece too."""
    text = b"A" * (images._PIECE_BYTES - 1) + b"="
    assert from_base64(text, max_bytes=len(text)) == bytes(images._PIECE_BYTES // 4 * 3 - 1)
    with pytest.raises(RequestError, match="not valid base64"):
        from_base64(text + b"AAAA", max_bytes=len(text))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("data:image/png,abc", "not in base64"),
        ("data:image/png;base64,", "empty"),
        ("data:image/png;base64,@@@@", "not valid base64"),
        ("data:image/png;base64,AAA", "not valid base64"),
        ("data:image/png;base64,\u00e9AAA", "not valid base64"),
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
        image_bytes(url.encode(), may_fetch=False, max_bytes=256)


class _Pictures(BaseHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", "/image")
            self.end_headers()
            return
        if self.path == "/mute":
            self.close_connection = True
            return
        if self.path == "/no-http":
            self.wfile.write(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
            self.close_connection = True
            return
        self.send_response(200)
        self.end_headers()
        if self.path == "/drips":
            with contextlib.suppress(OSError):
                while True:
                    self.wfile.write(b"x")
                    time.sleep(0.01)
            return
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
    url = f"{pictures}/image".encode()
    assert image_bytes(url, may_fetch=True, max_bytes=2000) == b"x" * 1000
    with pytest.raises(RequestError, match="fetches no images"):
        image_bytes(url, may_fetch=False, max_bytes=2000)


def test_neither_a_redirect_nor_a_flood_is_followed(pictures: str) -> None:
    with pytest.raises(RequestError, match="cannot be fetched"):
        image_bytes(f"{pictures}/elsewhere".encode(), may_fetch=True, max_bytes=2000)
    with pytest.raises(RequestError, match="MB"):
        image_bytes(f"{pictures}/flood".encode(), may_fetch=True, max_bytes=2000)


@pytest.mark.parametrize("path", ["/no-http", "/mute", "/a b", "/\x01", "/\u00e9"])
def test_whatever_a_url_leads_to_is_no_defect(pictures: str, path: str) -> None:
    with pytest.raises(RequestError, match="cannot be fetched"):
        image_bytes(f"{pictures}{path}".encode(), may_fetch=True, max_bytes=2000)


def test_an_image_that_drips_is_not_waited_for(
    pictures: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte came in time, and there was no end to them."""
    monkeypatch.setattr(images, "_FETCH_TIMEOUT_S", 0.1)
    with pytest.raises(RequestError, match="cannot be fetched"):
        image_bytes(f"{pictures}/drips".encode(), may_fetch=True, max_bytes=10_000)


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
