"""`tinymed serve`: what it is told, what it says, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest
from tests.serve.shell.stand_in import read_reply

from tinymed.records import NOTICE
from tinymed.safe.gate import Gates
from tinymed.serve import start
from tinymed.serve.settings import Limits, ServeSettings

if TYPE_CHECKING:
    from tests.conftest import RunCli

ROOT = Path(__file__).parent.parent.parent

# The real command with a service that has no model; a question is a request to /api/slow,
# which waits for one to /api/answer.
PROGRAM = """
import asyncio, atexit, sys, threading, time
atexit.register(lambda: print("Python ends", file=sys.stderr, flush=True))
sys.path.insert(0, {root!r})
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from tests.serve.shell.stand_in import FACTS, StandInService
import tinymed.serve.start as start

class Service(StandInService):
    def __init__(self, settings):
        super().__init__(settings, state={state!r})
    async def start(self):
        threading.Thread(target=time.sleep, args=({load_s} / 2,), daemon=True).start()
        asyncio.get_running_loop().call_later({load_s}, self.loaded)
    def loaded(self):
        if self.state == "loading":
            self.state, self.facts = {after!r}, FACTS
            self.problem = "No model of that name." if self.state == "failed" else None
    async def close(self):
        print("audit closed", file=sys.stderr, flush=True)

build = start.build_app
def with_slow(service, settings, access):
    app = build(service, settings, access)
    may_answer = asyncio.Event()
    async def slow(request):
        if service.state == "draining":
            return PlainTextResponse("draining", status_code=503)
        service.running += 1
        await may_answer.wait()
        service.running -= 1
        return PlainTextResponse("answered")
    async def running(request):
        return PlainTextResponse(str(service.running))
    async def let_answer(request):
        may_answer.set()
        return PlainTextResponse("")
    app.router.routes[:0] = [
        Route("/api/slow", slow), Route("/api/running", running), Route("/api/answer", let_answer)
    ]
    return app
start.build_app = with_slow
start.run.__kwdefaults__["make"] = Service
from tinymed.cli import main
sys.argv = ["tinymed", "serve", "--port", "0", "--audit", "audit.sqlite", *{arguments!r}]
main()
"""


ENDED = b"audit closed\nPython ends\n"
"""What stderr says of an orderly end."""


@contextmanager
def serving(
    *arguments: str,
    state: str = "loading",
    after: str = "ready",
    load_s: float = 0.2,
    **popen: object,
) -> Iterator[subprocess.Popen[bytes]]:
    program = PROGRAM.format(
        root=str(ROOT), arguments=arguments, state=state, after=after, load_s=load_s
    )
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **popen}
    process = subprocess.Popen([sys.executable, "-c", program], **options)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ready_url(process: subprocess.Popen[bytes]) -> str:
    """Wait for the JSON line; the URL in it."""
    assert process.stdout is not None
    row = json.loads(process.stdout.readline())
    assert row["state"] == "ready"
    assert list(row) == ["url", "state"]
    return str(row["url"])


def ask(url: str, path: str) -> socket.socket:
    port = int(url.rstrip("/").rpartition(":")[2])
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return connection


def until(url: str, path: str, told: bytes) -> None:
    """Ask until the answer holds these words."""
    end = time.monotonic() + 20
    while True:
        with ask(url, path) as connection:
            if told in read_reply(connection).body:
                return
        assert time.monotonic() < end


def test_the_start_tells_url_model_audit_and_notice() -> None:
    with serving() as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [process.stdout.readline().decode() for _ in range(3)]
        assert lines[0].startswith("nano at http://127.0.0.1:")
        assert lines[1] == "  audit: audit.sqlite\n"
        assert lines[2] == f"  {NOTICE}\n"
        assert process.stderr.readline().startswith(b"Loading nano")
        assert process.stderr.readline().startswith(b"Ready after 0.")
        process.send_signal(signal.SIGINT)
        _out, err = process.communicate(timeout=20)
        assert (process.returncode, err) == (0, ENDED)


def test_health_answers_while_the_model_loads() -> None:
    with serving(load_s=60) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1].decode()
        with ask(url, "/health") as connection:
            reply = read_reply(connection)
        assert (reply.status, reply.json()["status"]) == (503, "loading")
        process.send_signal(signal.SIGTERM)
        _out, err = process.communicate(timeout=20)
        assert process.returncode == 0
        # Python's own end would abort: a thread is still in the midst of the engine's C++.
        assert err.endswith(b"\naudit closed\n")


def test_a_model_that_cannot_be_loaded_ends_the_server_with_its_sentence() -> None:
    with serving("--json", after="failed") as process:
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (2, b"")
    assert err == b"audit closed\nerror: No model of that name.\nPython ends\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_what_is_under_way_end_and_refuses_what_is_new(
    number: signal.Signals,
) -> None:
    with serving("--json") as process:
        url = ready_url(process)
        with ask(url, "/api/slow") as running:
            until(url, "/api/running", b"1")
            process.send_signal(number)
            until(url, "/health", b'"draining"')
            with ask(url, "/api/slow") as late:
                assert read_reply(late).status == 503
            ask(url, "/api/answer").close()
            assert read_reply(running).body == b"answered"
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (0, b"", ENDED)


@pytest.mark.slow
def test_what_takes_too_long_is_cut_off() -> None:
    """An upload's last two seconds, in which its client may read why, ended with a traceback."""
    with serving("--json", "--drain", "0.3") as process:
        url = ready_url(process)
        with ask(url, "/api/slow") as running, ask(url, "/health") as upload:
            assert read_reply(upload).status == 200
            lines = (
                b"POST /api/cases HTTP/1.1",
                b"Host: localhost",
                b"Content-Length: 9",
                b"",
                b"",
            )
            upload.sendall(b"\r\n".join(lines))
            until(url, "/api/running", b"1")
            process.send_signal(signal.SIGTERM)
            for cut_off in (running, upload):
                assert read_reply(cut_off).status == 503
        _out, err = process.communicate(timeout=20)
        assert (process.returncode, b"Traceback" in err) == (0, False)


def test_a_second_signal_ends_at_once() -> None:
    with serving("--json") as process:
        url = ready_url(process)
        with ask(url, "/api/slow"):
            until(url, "/api/running", b"1")
            process.send_signal(signal.SIGTERM)
            until(url, "/health", b'"draining"')
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == -signal.SIGTERM


@pytest.mark.skipif(os.name != "posix", reason="a shell closes standard output so")
def test_a_closed_standard_output_is_no_reason_to_end(tmp_path: Path) -> None:
    (free,) = start.listen("127.0.0.1", 0)
    port = free.getsockname()[1]
    free.close()

    def close_streams() -> None:
        os.close(0)
        os.close(1)

    with serving(f"--port={port}", stdout=None, preexec_fn=close_streams) as process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith(b"Ready"):
            assert process.poll() is None
        with urlopen(f"http://127.0.0.1:{port}/health") as reply:
            assert json.load(reply)["status"] == "ready"
        process.send_signal(signal.SIGTERM)
        _out, err = process.communicate(timeout=20)
        assert (process.returncode, err) == (0, ENDED)


def test_a_reader_that_left_is_no_reason_to_end() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb") as nobody, serving(stdout=nobody) as process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith(b"Ready"):
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        _out, err = process.communicate(timeout=20)
        assert (process.returncode, err) == (0, ENDED)


def test_a_port_that_is_taken_is_one_sentence(cli: RunCli) -> None:
    (taken,) = start.listen("127.0.0.1", 0)
    with taken:
        port = taken.getsockname()[1]
        outcome = cli("serve", "--port", str(port))
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == (
        f"error: Port {port} is taken: stop what listens there, or choose --port.\n"
    )


def test_a_network_is_not_served_without_sign_in_and_tls(cli: RunCli) -> None:
    outcome = cli("serve", "--host", "0.0.0.0")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == (
        "error: Serving '0.0.0.0', which other computers reach, needs a sign-in (--users FILE, "
        "made by 'tinymed users add', or --token-file FILE) and TLS (--tls-certificate FILE and "
        "--tls-key FILE): add what is named, or type --insecure-lan where everybody on the "
        "network may see everything.\n"
    )


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[ServeSettings]:
    """What the command would have run with."""
    settings: list[ServeSettings] = []
    monkeypatch.setattr(start, "run", lambda given, tells: settings.append(given))
    return settings


def test_without_options_the_defaults_hold(cli: RunCli, told: list[ServeSettings]) -> None:
    assert cli("serve").code == 0
    assert told == [ServeSettings()]


def test_every_option_has_its_effect(
    cli: RunCli, told: list[ServeSettings], tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    text = (
        f"serve other:gguf --threads 2 --force-build other:gguf --host ::1 --port 9 --users {file} "
        f"--token-file {file} --tls-certificate {file} --tls-key {file} --allowed-host a "
        f"--allowed-host b --insecure-lan --audit {file} --no-words --safety {tmp_path} "
        "--gate polarity=warn --gate film-photo=off --allow-raw --fetch-image-urls "
        "--max-waiting 3 --max-waiting-per-user 2 --max-cases 5 --max-upload-mb 7 --drain 1.5"
    )
    assert cli(*text.split()).code == 0
    assert told == [
        ServeSettings(
            model="other:gguf",
            threads=2,
            force_build="other:gguf",
            host="::1",
            port=9,
            users=file,
            token_file=file,
            tls_certificate=file,
            tls_key=file,
            allowed_hosts=("a", "b"),
            insecure_lan=True,
            audit=file,
            keep_words=False,
            safety=tmp_path,
            gates=Gates(polarity="warn", film_photo="off"),
            allow_raw=True,
            fetch_image_urls=True,
            limits=Limits(
                max_waiting=3,
                max_waiting_per_user=2,
                max_cases=5,
                max_upload_bytes=7_000_000,
                drain_s=1.5,
            ),
        )
    ]


def test_the_model_may_be_an_option_as_elsewhere(cli: RunCli, told: list[ServeSettings]) -> None:
    assert cli("serve", "--model", "other").code == 0
    assert told[0].model == "other"
    outcome = cli("serve", "nano", "--model", "nano")
    assert outcome.code == 2
    assert outcome.err.startswith("error: The model is named twice")


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (
            "polarty=warn",
            "No gate 'polarty'. Did you mean 'polarity'? Known: quality, film-photo, ",
        ),
        ("film_photo=warn", "No gate 'film_photo'. Did you mean 'film-photo'?"),
        ("text=of", "No mode 'of' of a gate. Did you mean 'off'? Known: off, warn, withhold."),
        ("text", "--gate takes NAME=MODE, such as polarity=warn, and not 'text'."),
    ],
)
def test_a_gate_that_there_is_not_gets_the_nearest_name(
    cli: RunCli, told: list[ServeSettings], gate: str, message: str
) -> None:
    outcome = cli("serve", "--gate", gate)
    assert (outcome.code, outcome.out, told) == (2, "", [])
    assert outcome.err.startswith(f"error: {message}")


def test_the_page_is_opened_once_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading
    import webbrowser

    from tinymed.cli.serve import _Teller

    opened: list[str] = []
    is_open = threading.Event()

    def open_page(url: str) -> None:
        opened.append(url)
        is_open.set()

    monkeypatch.setattr(webbrowser, "open", open_page)
    teller = _Teller("nano", as_json=True, opens_browser=True)
    teller.listening(start.Listening(url="http://127.0.0.1:1/", audit=Path("a"), warnings=()))
    assert opened == []
    teller.ready(1.0)
    assert is_open.wait(10)
    assert opened == ["http://127.0.0.1:1/"]


def test_what_is_left_open_is_said_at_each_start(capsys: pytest.CaptureFixture[str]) -> None:
    from tinymed.cli.serve import _Teller

    teller = _Teller("nano", as_json=True, opens_browser=False)
    teller.listening(
        start.Listening(url="http://x/", audit=Path("a"), warnings=("there is no sign-in",))
    )
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "warning: there is no sign-in (--insecure-lan).\n"
