"""Where the server may listen, and with which certificate."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import errno
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.serve.shell.stand_in import QUICK, Running, is_closed, serving

from tinymed.errors import ConfigError
from tinymed.serve.guard.addresses import check_address, is_loopback, listen, url_of
from tinymed.serve.guard.connections import GuardedConnection
from tinymed.serve.guard.tls import tls_context
from tinymed.serve.settings import ServeSettings

CERTIFICATE, KEY = Path("c.pem"), Path("k.pem")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", "::ffff:127.0.0.1"])
def test_loopback_needs_nothing(host: str) -> None:
    assert is_loopback(host)
    assert check_address(ServeSettings(host=host), needs_sign_in=False) == ()


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.5", "clinic-pc", "", "128.0.0.1", "::ffff:10.0.0.1"]
)
def test_any_other_address_is_refused_with_what_to_add(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(ConfigError) as caught:
        check_address(ServeSettings(host=host), needs_sign_in=False)
    message = str(caught.value)
    for part in ("--users", "--token-file", "--tls-certificate", "--tls-key", "--insecure-lan"):
        assert part in message


def test_only_what_is_missing_is_named() -> None:
    with_tls = ServeSettings(host="0.0.0.0", tls_certificate=CERTIFICATE, tls_key=KEY)
    with pytest.raises(ConfigError, match="needs a sign-in") as caught:
        check_address(with_tls, needs_sign_in=False)
    assert "TLS" not in str(caught.value)
    with pytest.raises(ConfigError, match="needs TLS") as caught:
        check_address(ServeSettings(host="0.0.0.0"), needs_sign_in=True)
    assert "--users" not in str(caught.value)
    assert check_address(with_tls, needs_sign_in=True) == ()


def test_insecure_lan_warns_of_each_thing_it_leaves_open() -> None:
    settings = ServeSettings(host="0.0.0.0", insecure_lan=True)
    assert len(check_address(settings, needs_sign_in=False)) == 2
    (warning,) = check_address(settings, needs_sign_in=True)
    assert "unencrypted" in warning
    tls = ServeSettings(host="0.0.0.0", insecure_lan=True, tls_certificate=CERTIFICATE, tls_key=KEY)
    (warning,) = check_address(tls, needs_sign_in=False)
    assert "no sign-in" in warning


@pytest.mark.parametrize("only", [{"tls_certificate": CERTIFICATE}, {"tls_key": KEY}])
def test_half_of_tls_is_refused(only: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match="TLS needs both"):
        check_address(ServeSettings(**only), needs_sign_in=False)  # type: ignore[arg-type]


def test_a_port_that_is_taken_is_said_to_be() -> None:
    (taken,) = listen("127.0.0.1", 0)
    with taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"Port {port} is taken"):
            listen("127.0.0.1", port)


def test_all_addresses_of_localhost_have_one_port() -> None:
    sockets = listen("localhost", 0)
    assert {listening.getsockname()[1] for listening in sockets} == {sockets[0].getsockname()[1]}
    for listening in sockets:
        listening.close()


@pytest.mark.parametrize(
    ("number", "message"),
    [(errno.EACCES, "above 1023"), (errno.EADDRNOTAVAIL, "no address of this computer")],
)
def test_an_address_we_may_not_have_is_told(
    monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    def bind(self: socket.socket, address: object) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(socket.socket, "bind", bind)
    with pytest.raises(ConfigError, match=message):
        listen("127.0.0.1", 80)


@pytest.mark.parametrize("host", ["a" * 64, "a..b", "nosuch.invalid"])
def test_a_host_that_cannot_be_one_is_not_known(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """For a name that no host can have, Python has another error: it showed as a traceback."""

    def look_up(name: str, *_: object, **__: object) -> None:
        name.encode("idna")  # as Python itself does first
        raise socket.gaierror(socket.EAI_NONAME, "no")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(ConfigError, match="does not know the host"):
        listen(host, 0)


def test_a_small_answer_waits_for_nothing() -> None:
    async def main() -> int:
        (listening,) = listen("127.0.0.1", 0)
        accepted: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
        async with await asyncio.start_server(
            lambda _, writer: accepted.put_nowait(writer), sock=listening
        ):
            _, client = await asyncio.open_connection(*listening.getsockname())
            ours = await accepted.get()
            option: int = ours.get_extra_info("socket").getsockopt(
                socket.IPPROTO_TCP, socket.TCP_NODELAY
            )
            for writer in (client, ours):
                writer.close()
                await writer.wait_closed()
            return option

    assert asyncio.run(main()) != 0


def test_a_url_is_what_a_person_types() -> None:
    (listening,) = listen("127.0.0.1", 0)
    with listening:
        port = listening.getsockname()[1]
        assert url_of(ServeSettings(), listening) == f"http://127.0.0.1:{port}/"
        tls = ServeSettings(host="::1", tls_certificate=CERTIFICATE, tls_key=KEY)
        assert url_of(tls, listening) == f"https://[::1]:{port}/"
        everywhere = url_of(ServeSettings(host="0.0.0.0"), listening)
        assert everywhere == f"http://{socket.gethostname()}:{port}/"


def test_the_url_of_everywhere_is_answered() -> None:
    settings = ServeSettings(host="0.0.0.0", limits=QUICK)
    with serving(settings) as running:
        own = {"Host": f"{socket.gethostname()}:{running.port}"}
        assert running.ask("GET", "/health", own).status == 200
        assert running.ask("GET", "/health", {"Host": "other"}).status == 421
    with serving(ServeSettings(limits=QUICK)) as running:
        assert running.ask("GET", "/health", own).status == 421


Pair = tuple[Path, Path]


@pytest.fixture
def make_pair(tmp_path: Path) -> Callable[..., Pair]:
    """Throw-away certificates, made by the openssl program."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl program to make a certificate with")

    def make(name: str = "own", *options: str, days: tuple[int, int] = (-1, 1)) -> Pair:
        certificate, key = tmp_path / f"{name}.pem", tmp_path / f"{name}.key"
        now = dt.datetime.now(dt.UTC)
        begin, end = ((now + dt.timedelta(days=day)).strftime("%Y%m%d%H%M%SZ") for day in days)
        new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
        subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
        request = tmp_path / f"{name}.csr"
        subprocess.run(
            [openssl, "req", *new_key, "-nodes", "-keyout", key, *subject, "-out", request],
            check=True, capture_output=True,
        )  # fmt: skip
        (tmp_path / "index").write_text("")
        (tmp_path / "serial").write_text("01\n")
        config = tmp_path / "ca.conf"
        config.write_text(
            f"[ca]\ndefault_ca=c\n[c]\ndir={tmp_path}\ndatabase={tmp_path}/index\n"
            f"serial={tmp_path}/serial\nnew_certs_dir={tmp_path}\ndefault_md=sha256\n"
            "policy=p\ncopy_extensions=copy\nunique_subject=no\n[p]\ncommonName=supplied\n"
        )
        subprocess.run(
            [openssl, "ca", "-batch", "-selfsign", "-config", config, "-keyfile", key,
             "-in", request, "-out", certificate, "-startdate", begin, "-enddate", end],
            check=True, capture_output=True,
        )  # fmt: skip
        return certificate, key

    return make


def test_the_server_speaks_tls_and_nothing_else(make_pair: Callable[..., Pair]) -> None:
    certificate, key = make_pair()
    client = ssl.create_default_context(cafile=str(certificate))
    with serving(
        ServeSettings(limits=QUICK), tls=(tls_context(certificate, key), client)
    ) as running:
        assert running.ask("GET", "/health").status == 200
        origin = {"Origin": f"https://127.0.0.1:{running.port}"}
        assert running.ask("POST", "/api/sign-out", origin).status == 204
        origin = {"Origin": f"http://127.0.0.1:{running.port}"}
        assert running.ask("POST", "/api/sign-out", origin).status == 403
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as plain:
            plain.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert not plain.recv(1000).startswith(b"HTTP")


def test_a_handshake_that_is_not_gone_on_with_is_ended(make_pair: Callable[..., Pair]) -> None:
    certificate, key = make_pair()
    client = ssl.create_default_context(cafile=str(certificate))
    with (
        serving(
            ServeSettings(limits=QUICK), tls=(tls_context(certificate, key), client)
        ) as running,
        socket.create_connection(("127.0.0.1", running.port), timeout=5) as silent,
    ):
        assert silent.recv(1000) == b""


def until_connected(running: Running) -> list[GuardedConnection]:
    """The connections, once there is one."""
    while not running.server.server_state.connections:
        time.sleep(0.005)
    return [
        connection
        for connection in running.server.server_state.connections
        if isinstance(connection, GuardedConnection)
    ]


def test_handshakes_are_counted_as_connections_are(make_pair: Callable[..., Pair]) -> None:
    """One address could have 900 open, of a third of a megabyte each, where 32 are allowed."""
    certificate, key = make_pair()
    client = ssl.create_default_context(cafile=str(certificate))
    limits = replace(QUICK, header_timeout_s=30, max_connections_per_address=4)
    with serving(
        ServeSettings(limits=limits), tls=(tls_context(certificate, key), client)
    ) as running:
        there = ("127.0.0.1", running.port)
        silent = [socket.create_connection(there, timeout=10) for _ in range(4)]
        with socket.create_connection(there, timeout=10) as one_more:
            assert is_closed(one_more, within_s=5)
        assert not any(is_closed(connection, within_s=0.01) for connection in silent)
        for connection in silent:
            connection.close()
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with contextlib.suppress(OSError):  # until the server sees that they left
                assert running.ask("GET", "/health").status == 200
                return
        pytest.fail("their places were not given back")


def test_a_client_that_does_not_say_goodbye_under_tls_is_no_defect(
    make_pair: Callable[..., Pair], caplog: pytest.LogCaptureFixture
) -> None:
    """Its connection was closed twice, by a timer and with the server: a traceback was logged."""
    certificate, key = make_pair()
    client = ssl.create_default_context(cafile=str(certificate))
    limits = replace(QUICK, header_timeout_s=0.1, body_timeout_s=0.5)
    with serving(
        ServeSettings(limits=limits), tls=(tls_context(certificate, key), client)
    ) as running:
        running.connect()
        (connection,) = until_connected(running)
        while not connection.transport.is_closing():
            time.sleep(0.005)
        running.server.end()
        while running.server.server_state.connections:
            time.sleep(0.005)
    assert "Exception" not in caplog.text


def test_a_request_that_comes_with_the_end_of_the_handshake_is_answered(
    make_pair: Callable[..., Pair],
) -> None:
    certificate, key = make_pair()
    context = ssl.create_default_context(cafile=str(certificate))
    with (
        serving(
            ServeSettings(limits=QUICK), tls=(tls_context(certificate, key), context)
        ) as running,
        socket.create_connection(("127.0.0.1", running.port), timeout=10) as connection,
    ):
        coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(coming, going, server_hostname="localhost")
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                client.do_handshake()
                break
            connection.sendall(going.read())
            coming.write(connection.recv(65536))
        client.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.sendall(going.read())
        answer = b""
        while not answer:
            coming.write(connection.recv(65536))
            with contextlib.suppress(ssl.SSLWantReadError):
                answer = client.read(65536)
        assert answer.startswith(b"HTTP/1.1 200")


def test_a_certificate_that_has_expired_is_told(make_pair: Callable[..., Pair]) -> None:
    certificate, key = make_pair("old", days=(-30, -1))
    with pytest.raises(ConfigError, match=r"old\.pem' has expired"):
        tls_context(certificate, key)


def test_a_certificate_of_tomorrow_is_told(make_pair: Callable[..., Pair]) -> None:
    certificate, key = make_pair("new", days=(1, 30))
    with pytest.raises(ConfigError, match="is not valid yet"):
        tls_context(certificate, key)


def test_the_key_of_another_certificate_is_told(make_pair: Callable[..., Pair]) -> None:
    certificate, _ = make_pair("one")
    _, key = make_pair("two")
    with pytest.raises(ConfigError, match=r"two\.key' is not that of the certificate '.*one\.pem'"):
        tls_context(certificate, key)


def test_a_key_with_a_password_is_told_and_asks_for_none(
    make_pair: Callable[..., Pair], tmp_path: Path
) -> None:
    certificate, key = make_pair()
    locked = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "ec", "-in", key, "-out", locked, "-aes256", "-passout", "pass:secret"],
        check=True, capture_output=True,
    )  # fmt: skip
    with pytest.raises(ConfigError, match="needs a password"):
        tls_context(certificate, locked)


def test_files_that_are_none_are_told(make_pair: Callable[..., Pair], tmp_path: Path) -> None:
    certificate, key = make_pair()
    with pytest.raises(ConfigError, match="Cannot read the TLS certificate"):
        tls_context(tmp_path / "none", key)
    with pytest.raises(ConfigError, match="Cannot read the TLS key"):
        tls_context(certificate, tmp_path)
    with pytest.raises(ConfigError, match="in PEM"):
        tls_context(key, certificate)
    empty = tmp_path / "empty"
    empty.write_bytes(b"\x80")
    with pytest.raises(ConfigError, match="in PEM"):
        tls_context(empty, key)
