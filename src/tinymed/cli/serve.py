"""`tinymed serve`: the local web page and API."""

from __future__ import annotations

import difflib
import os
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, get_args

import click

from tinymed.cli import model_options
from tinymed.cli.show_answer import show_json
from tinymed.errors import ConfigError

if TYPE_CHECKING:
    from tinymed.safe.gate import Gates
    from tinymed.serve.start import Listening

_STDERR = 2
_EXIT_INTERRUPTED = 130
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("model_argument", metavar="[MODEL]", required=False)
@click.option("--model", help="MODEL, as other commands take it [nano].")
@model_options.threads
@model_options.force_build
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8417, show_default=True, help="0: a free one."
)
@click.option("--users", type=_FILE, help="Who may sign in, as `tinymed users` wrote it.")
@click.option(
    "--token-file", type=_FILE, help="Programs' tokens, NAME TOKEN a line; TINYMED_TOKEN is one."
)
@click.option("--tls-certificate", type=_FILE, help="PEM, the whole chain.")
@click.option("--tls-key", type=_FILE, help="PEM, without a password.")
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="A name by which clients call this server; may be repeated.",
)
@click.option(
    "--insecure-lan",
    is_flag=True,
    help="Serve a network without TLS or sign-in: everybody on it may see everything.",
)
@click.option(
    "--audit", type=click.Path(dir_okay=False, path_type=Path), help="Where what is asked is kept."
)
@click.option(
    "--no-words", is_flag=True, help="Keep the sha256 of questions and answers, not their words."
)
@click.option(
    "--safety",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder that `tinymed evaluate gates` wrote.",
)
@click.option(
    "--gate",
    "gates",
    multiple=True,
    metavar="NAME=MODE",
    help="What a gate may do: off, warn or withhold; may be repeated.",
)
@click.option("--allow-raw", is_flag=True, help="Let programs ask past the gates (safe: false).")
@click.option(
    "--fetch-image-urls", is_flag=True, help="Fetch images that programs name by http(s) URLs."
)
@click.option("--max-waiting", type=click.IntRange(min=1), help="Questions in the queue [32].")
@click.option("--max-waiting-per-user", type=click.IntRange(min=1), help="Of one user [8].")
@click.option("--max-cases", type=click.IntRange(min=1), help="Images kept in memory [64].")
@click.option("--max-upload-mb", type=click.IntRange(min=1), help="Of an image file [512].")
@click.option("--drain", type=click.FloatRange(min=0), help="Seconds for what is under way [30].")
@click.option("--open", "opens_browser", is_flag=True, help="Open the page in the browser.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line when ready.")
def serve(  # noqa: PLR0913 - one parameter an option
    model_argument: str | None,
    *,
    model: str | None,
    threads: int | None,
    force_build: str | None,
    host: str,
    port: int,
    users: Path | None,
    token_file: Path | None,
    tls_certificate: Path | None,
    tls_key: Path | None,
    allowed_hosts: tuple[str, ...],
    insecure_lan: bool,
    audit: Path | None,
    no_words: bool,
    safety: Path | None,
    gates: tuple[str, ...],
    allow_raw: bool,
    fetch_image_urls: bool,
    max_waiting: int | None,
    max_waiting_per_user: int | None,
    max_cases: int | None,
    max_upload_mb: int | None,
    drain: float | None,
    opens_browser: bool,
    as_json: bool,
) -> None:
    """Serve a local web page and API that answer about medical images.

    Only this computer reaches it. For any other address it needs a sign-in and TLS, and says
    what to add. Ctrl-C or SIGTERM lets what is under way end; a second one ends at once.

    \b
    Gates: quality, film-photo, text, scope, polarity, blank, threshold.

    \b
    Example:
        tinymed serve
        tinymed serve nano --port 9000 --gate polarity=warn --open
        tinymed serve --host 0.0.0.0 --users users.json --tls-certificate c.pem --tls-key k.pem
    """
    _keep_standard_streams()
    from tinymed.serve.settings import (
        Limits,
        ServeSettings,
    )  # the server loads here, not for --help
    from tinymed.serve.start import run

    if model_argument and model:
        raise ConfigError("The model is named twice: once as MODEL and once as --model.")
    limits: dict[str, Any] = {
        "max_waiting": max_waiting,
        "max_waiting_per_user": max_waiting_per_user,
        "max_cases": max_cases,
        "max_upload_bytes": max_upload_mb and max_upload_mb * 1_000_000,
        "drain_s": drain,
    }
    settings = ServeSettings(
        model=model_argument or model or "nano",
        threads=threads,
        force_build=force_build,
        host=host,
        port=port,
        insecure_lan=insecure_lan,
        tls_certificate=tls_certificate,
        tls_key=tls_key,
        users=users,
        token_file=token_file,
        allowed_hosts=allowed_hosts,
        audit=audit,
        safety=safety,
        gates=_gates(gates),
        allow_raw=allow_raw,
        fetch_image_urls=fetch_image_urls,
        keep_words=not no_words,
        limits=Limits(**{name: value for name, value in limits.items() if value is not None}),
    )
    before = threading.enumerate()
    try:
        run(settings, _Teller(settings.model, as_json=as_json, opens_browser=opens_browser))
    except KeyboardInterrupt:  # a second Ctrl-C, while all is being closed
        _leave_behind(before, code=_EXIT_INTERRUPTED)
        raise
    _leave_behind(before, code=0)


def _leave_behind(before: Iterable[threading.Thread], *, code: int) -> None:
    """End the process where a thread still loads the model, which nothing can stop.

    Python's own end would take it away in the midst of C++, which aborts.

    Args:
        before: The threads that there were before the server.
        code: The exit code.
    """
    if any(thread.daemon for thread in set(threading.enumerate()).difference(before)):
        for stream in (sys.stdout, sys.stderr):
            _unless_gone(stream.flush, stream)
        os._exit(code)


def _gates(pairs: tuple[str, ...]) -> Gates:
    """The gates with the modes that `NAME=MODE` pairs give them."""
    from tinymed.safe.gate import Gates, Mode

    known = {field.name.replace("_", "-"): field.name for field in fields(Gates)}
    modes: dict[str, Any] = {}
    for pair in pairs:
        name, separator, mode = pair.partition("=")
        if not separator:
            raise ConfigError(f"--gate takes NAME=MODE, such as polarity=warn, and not '{pair}'.")
        if name not in known:
            raise ConfigError(f"No gate '{name}'.{_nearest(name, known)}")
        if mode not in get_args(Mode):
            raise ConfigError(f"No mode '{mode}' of a gate.{_nearest(mode, get_args(Mode))}")
        modes[known[name]] = mode
    return Gates(**modes)


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    guess = f" Did you mean '{near[0]}'?" if near else ""
    return f"{guess} Known: {', '.join(known)}."


class _Teller:
    """Tells whoever started the server; where nobody listens any more, it goes on."""

    def __init__(self, model: str, *, as_json: bool, opens_browser: bool) -> None:
        self._model = model
        self._as_json = as_json
        self._opens_browser = opens_browser
        self._url = ""

    def listening(self, server: Listening) -> None:
        from tinymed.records import NOTICE

        self._url = server.url
        for warning in server.warnings:
            _say(f"warning: {warning} (--insecure-lan).", err=True)
        if not self._as_json:
            _say(f"{self._model} at {server.url}")
            _say(f"  audit: {server.audit}")
            _say(f"  {NOTICE}")
            _say(f"Loading {self._model} …", err=True)

    def loading(self, seconds: float) -> None:
        if not self._as_json:
            _say(f"Loading {self._model}: {seconds:.0f} s so far", err=True)

    def ready(self, seconds: float) -> None:
        if self._as_json:
            row = {"url": self._url, "state": "ready"}
            _unless_gone(lambda: show_json(row), sys.stdout)
        else:
            _say(f"Ready after {seconds:.1f} s. Ctrl-C ends it.", err=True)
        if self._opens_browser:
            import webbrowser

            threading.Thread(target=webbrowser.open, args=(self._url,), daemon=True).start()


def _say(text: str, *, err: bool = False) -> None:
    _unless_gone(lambda: click.echo(text, err=err), sys.stderr if err else sys.stdout)


def _unless_gone(tell: Callable[[], None], stream: TextIO) -> None:
    """Tell; where the reader has left, tell nobody from now on: the server goes on."""
    try:
        tell()
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _keep_standard_streams() -> None:
    """Where a parent closed them, open them to nothing: a socket must not get their numbers."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        pass
    os.close(descriptor)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w")
    if sys.stderr is None:
        sys.stderr = os.fdopen(_STDERR, "w")
