"""Signing in over HTTP: cookies, tokens, what is open without, and what the audit keeps of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests.serve.shell.conftest import ECHO
from tests.serve.shell.stand_in import QUICK, Reply, Running, StandInService, serving

from tinymed.records import NOTICE
from tinymed.serve.access import access as access_module
from tinymed.serve.access import users as users_module
from tinymed.serve.access.access import Access
from tinymed.serve.access.passwords import dummy_hash
from tinymed.serve.access.tokens import Tokens
from tinymed.serve.access.users import UsersFile, add_user, remove_user
from tinymed.serve.app import build_app
from tinymed.serve.audit.errors import AuditError
from tinymed.serve.routes.page import read_page
from tinymed.serve.settings import ServeSettings

PASSWORD, TOKEN = "long enough for anybody", "t0ken-of-some-length"


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    """Compare passwords without scrypt, whose time is not what is tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(users_module, "hash_password", lambda password: dummy_hash())
        patch.setattr(
            access_module,
            "is_password",
            lambda password, kept: password.encode() == PASSWORD.encode(),
        )
        yield


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "users.json"
    add_user(path, "amina", PASSWORD)
    return path


@contextlib.contextmanager
def guarding(users: Path) -> Iterator[Running]:
    access = Access(users=UsersFile(users), tokens=Tokens({"lab": TOKEN}))
    with serving(access=access, routes=ECHO) as running:
        yield running


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server for amina and the program lab; for tests that try nothing wrong."""
    path = tmp_path_factory.mktemp("users") / "users.json"
    add_user(path, "amina", PASSWORD)
    with guarding(path) as running:
        yield running


@pytest.fixture
def fresh(users: Path) -> Iterator[Running]:
    """The same, at which nobody has tried anything yet."""
    with guarding(users) as running:
        yield running


def sign_in(running: Running, name: str = "amina", password: str = PASSWORD) -> Reply:
    return running.ask("POST", "/api/sign-in", body={"name": name, "password": password})


def cookie_of(reply: Reply) -> str:
    return reply.headers["set-cookie"].partition(";")[0]


def test_a_cookie_says_who_asks(guarded: Running) -> None:
    reply = sign_in(guarded)
    assert reply.status == 204
    value, *attributes = reply.headers["set-cookie"].split("; ")
    assert value.startswith("tinymed=")
    assert len(value) > 50
    assert sorted(attributes) == ["HttpOnly", "Path=/", "SameSite=Strict"]
    assert guarded.ask("GET", "/api/echo", {"Cookie": value}).json()["user"] == "amina"
    assert guarded.ask("GET", "/api/echo", {"Cookie": f"a=b; {value}; c=d"}).status == 200
    assert guarded.ask("GET", "/api/echo", {"Cookie": value[:-1]}).status == 401
    out = guarded.ask("POST", "/api/sign-out", {"Cookie": value})
    assert out.status == 204
    assert "Max-Age=0" in out.headers["set-cookie"]
    assert guarded.ask("GET", "/api/echo", {"Cookie": value}).status == 401


def test_under_tls_the_cookie_stays_under_tls(users: Path) -> None:
    settings = ServeSettings(limits=QUICK, allowed_hosts=("testserver",))
    app = build_app(StandInService(settings), settings, Access(users=UsersFile(users)))  # type: ignore[arg-type]
    row = {"name": "amina", "password": PASSWORD}
    with TestClient(app, base_url="https://testserver") as client:
        assert "; Secure" in client.post("/api/sign-in", json=row).headers["set-cookie"]


def test_a_token_says_which_program_asks(fresh: Running) -> None:
    for scheme in ("Bearer", "bearer"):
        reply = fresh.ask("GET", "/api/echo", {"Authorization": f"{scheme} {TOKEN}"})
        assert reply.json()["user"] == "lab"
    for wrong in (f"Bearer {TOKEN}x", "Bearer", "Bearer ", f"Basic {TOKEN}", TOKEN):
        reply = fresh.ask("GET", "/api/echo", {"Authorization": wrong})
        assert reply.status == 401
        assert reply.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("target", ["/", "/page/dom.js", "/health", "/api/page"])
def test_the_page_and_the_health_are_open(guarded: Running, target: str) -> None:
    assert guarded.ask("GET", target).status == 200


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/metrics"),
        ("POST", "/api/cases"),
        ("GET", "/api/echo"),
        ("POST", "/v1/chat/completions"),
        ("GET", "/v1/models"),
        ("GET", "/api/nothing"),
        ("GET", "/health/x"),
        ("GET", "/pages"),
    ],
)
def test_all_else_needs_a_sign_in(guarded: Running, method: str, target: str) -> None:
    reply = guarded.ask(method, target)
    assert reply.status == 401
    if target.startswith("/v1"):
        assert reply.json()["error"]["type"] == "authentication_error"


def test_metrics_are_for_who_signed_in(guarded: Running) -> None:
    reply = guarded.ask("GET", "/metrics", {"Authorization": f"Bearer {TOKEN}"})
    assert reply.status == 200
    assert b"tinymed_requests_total" in reply.body


def test_metrics_without_a_sign_in_are_for_this_computer() -> None:
    settings = ServeSettings(limits=QUICK, allowed_hosts=("testserver",))
    app = build_app(StandInService(settings), settings, Access())  # type: ignore[arg-type]
    with TestClient(app, client=("192.168.1.9", 5)) as client:
        assert client.get("/metrics").status_code == 403
    with TestClient(app, client=("127.0.0.1", 5)) as client:
        assert client.get("/metrics").status_code == 200


def test_the_page_learns_what_the_server_is_only_after_a_sign_in(guarded: Running) -> None:
    before = guarded.ask("GET", "/api/page").json()
    assert before == {
        "needs_sign_in": True,
        "user": "",
        "notice": NOTICE,
        "version": before["version"],
    }
    after = guarded.ask("GET", "/api/page", {"Cookie": cookie_of(sign_in(guarded))}).json()
    assert (after["needs_sign_in"], after["user"], after["model"]) == (False, "amina", "nano")


def test_without_users_nobody_signs_in() -> None:
    with serving(routes=ECHO) as running:
        assert running.ask("GET", "/api/page").json()["needs_sign_in"] is False
        assert running.ask("GET", "/api/echo").json()["user"] == ""
        assert sign_in(running).status == 400
        assert running.ask("GET", "/api/echo", {"Authorization": "Bearer x"}).status == 200


def test_wrong_sign_ins_are_told_alike_and_counted(fresh: Running) -> None:
    replies = [sign_in(fresh, name, "wrong") for name in ("amina", "nobody")]
    assert {reply.status for reply in replies} == {401}
    assert replies[0].body == replies[1].body
    for _ in range(4):
        assert sign_in(fresh, "amina", "wrong").status == 401
    reply = sign_in(fresh)
    assert reply.status == 429
    assert 1 <= int(reply.headers["retry-after"]) <= 60
    assert reply.json()["error"]["code"] == "too-many-tries"


def test_wrong_tokens_are_counted_by_address(fresh: Running) -> None:
    for _ in range(20):
        assert fresh.ask("GET", "/metrics", {"Authorization": "Bearer wrong"}).status == 401
    reply = fresh.ask("GET", "/metrics", {"Authorization": f"Bearer {TOKEN}"})
    assert reply.status == 429
    assert "retry-after" in reply.headers


def test_the_audit_keeps_who_came_and_who_was_refused(fresh: Running) -> None:
    sign_in(fresh)
    sign_in(fresh, "amina", "wrong")
    sign_in(fresh, "a password in the wrong field", "amina")
    fresh.ask("GET", "/metrics", {"Authorization": "Bearer wrong"})
    rows = [(entry.kind, entry.user, entry.body) for entry in fresh.service.entries]
    here = {"address": "127.0.0.1"}
    assert rows == [
        ("signed-in", "amina", here),
        ("refused", "amina", here | {"by": "password"}),
        ("refused", "", here | {"by": "password"}),
        ("refused", "", here | {"by": "token"}),
    ]


def test_nobody_comes_in_while_the_audit_cannot_be_written(fresh: Running) -> None:
    fresh.service.audit_error = AuditError("The audit cannot be written: the disk is full.")
    reply = sign_in(fresh)
    assert reply.status == 503
    assert "set-cookie" not in reply.headers


NO_SIGN_INS = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"x"',
    b'{"name": "amina"}',
    b'{"name": 1, "password": 2}',
    b'{"name": null, "password": null}',
    b'{"name": ["a"], "password": "b"}',
    b"[" * 100_000,
    b"\xff\xfe",
]


@pytest.mark.parametrize("body", NO_SIGN_INS, ids=lambda body: repr(body[:20]))
def test_a_body_that_is_no_sign_in_is_told_so(guarded: Running, body: bytes) -> None:
    assert guarded.ask("POST", "/api/sign-in", body=body).status == 400


@pytest.mark.parametrize("text", ["\ud800", "\x00", "a" * 2000, "𝓪" * 10])
def test_odd_names_and_passwords_are_wrong_ones(fresh: Running, text: str) -> None:
    body = json.dumps({"name": text, "password": text}).encode()
    assert fresh.ask("POST", "/api/sign-in", body=body).status in (400, 401)


def test_a_removed_user_is_out_at_once(fresh: Running, users: Path) -> None:
    cookie = cookie_of(sign_in(fresh))
    assert fresh.ask("GET", "/api/echo", {"Cookie": cookie}).status == 200
    remove_user(users, "amina")
    assert fresh.ask("GET", "/api/echo", {"Cookie": cookie}).status == 401


def test_another_site_cannot_sign_anybody_in(guarded: Running) -> None:
    body = {"name": "amina", "password": PASSWORD}
    headers = {"Origin": "http://evil.example"}
    assert guarded.ask("POST", "/api/sign-in", headers, body).status == 403


def test_the_page_is_what_its_folder_holds_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "notes.py").write_text("")
    (tmp_path / "secret").write_text("")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "x.js").write_text("")
    files = read_page(tmp_path)
    assert list(files) == ["index.html"]
    assert files["index.html"].media_type == "text/html; charset=utf-8"
    assert read_page(tmp_path / "none") == {}


@pytest.mark.parametrize("state", ["loading", "failed", "draining"])
def test_health_is_503_until_the_model_answers(state: str) -> None:
    with serving(state=state) as running:  # type: ignore[arg-type]
        reply = running.ask("GET", "/health")
    assert reply.status == 503
    assert reply.headers["retry-after"] == "2"
    row = reply.json()
    assert row["status"] == state
    assert row["seconds"] >= 0
    assert row.get("message") == ("no such model" if state == "failed" else None)


def test_health_names_model_and_scheme(guarded: Running) -> None:
    expected = {"status": "ready", "model": "nano", "scheme": "openvino-int8"}
    assert guarded.ask("GET", "/health").json() == expected


def test_the_user_is_there_without_a_server_too() -> None:
    """Whoever tests routes without uvicorn finds `request.state.user` as well."""
    settings = ServeSettings(limits=QUICK, allowed_hosts=("testserver",))
    app = build_app(StandInService(settings), settings, Access())  # type: ignore[arg-type]
    app.router.routes[:0] = ECHO
    with TestClient(app) as client:
        assert client.get("/api/echo").json()["user"] == ""
