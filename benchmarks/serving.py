"""Put a running `tinymed serve` to the test: how soon it answers, what load and kills do to it.

Each starts servers of its own, with an audit of their own, on loopback.

Example:
    python benchmarks/serving.py latency chest.dcm --json latency.json
    python benchmarks/serving.py load chest.dcm other.png --requests 2000 --clients 8
    python benchmarks/serving.py kill chest.dcm --times 100
"""

# ruff: noqa: T201  # a script that prints its table

from __future__ import annotations

import argparse
import base64
import json
import os
import queue
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from tqdm import tqdm

CLOSED = ("Is the heart enlarged?", "Is there a pleural effusion?", "Is this a CT?")
OPEN = ("What organ is shown?", "Where is the abnormality?", "What modality is used?")
_TINYMED = (sys.executable, "-c", "from tinymed.cli import main; main()")
_READY_S = 120.0
_CLIENT_TIMEOUT_S = 120.0
_MIB = 2**20


@dataclass(kw_only=True)
class Server:
    """A server process on loopback."""

    process: subprocess.Popen[str]
    url: str
    loading_s: float
    """From its start to its word that it is ready."""

    def rss_mib(self) -> float:
        """Resident memory of the server and its decoding process."""
        whole = psutil.Process(self.process.pid)
        return sum(one.memory_info().rss for one in (whole, *whole.children(recursive=True))) / _MIB

    def client(self) -> httpx.Client:
        """Somebody who asks."""
        return httpx.Client(base_url=self.url, timeout=_CLIENT_TIMEOUT_S)


@contextmanager
def served(options: argparse.Namespace, audit: Path) -> Iterator[Server]:
    """Start a server, wait until it is ready, stop it at the end."""
    command = [*_TINYMED, "serve", "--model", options.model]
    command += ["--port", "0", "--json", "--audit", str(audit), *options.serve]
    begun = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"The server did not start: {' '.join(command)}")
        url = json.loads(line)["url"].rstrip("/")
        while time.perf_counter() < begun + _READY_S:
            try:
                if httpx.get(f"{url}/health", timeout=5).status_code == httpx.codes.OK:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.02)
        else:
            raise SystemExit("The server did not become ready.")
        yield Server(process=process, url=url, loading_s=time.perf_counter() - begun)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def events(response: httpx.Response) -> Iterator[tuple[str, dict[str, Any], float]]:
    """The server-sent events of a question: name, data, when it came."""
    name = ""
    for line in response.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: ")), time.perf_counter()


def ask(client: httpx.Client, case: str, question: str) -> tuple[dict[str, Any], float]:
    """Ask about a case: the answer's row, and the seconds to its first text."""
    begun = time.perf_counter()
    first: float | None = None
    body = {"question": question}
    with client.stream("POST", f"/api/cases/{case}/questions", json=body) as response:
        if response.status_code != httpx.codes.OK:
            response.read()
            response.raise_for_status()
        for name, row, came in events(response):
            if name == "text" and first is None:
                first = came - begun
            if name == "error":
                raise RuntimeError(row["message"])
            if name == "answer":
                return row, first if first is not None else came - begun
    raise RuntimeError("The stream ended without an answer.")


def patiently(send: Any) -> tuple[Any, int]:
    """Send again when the server asks to wait; how often it did."""
    waited = 0
    while True:
        try:
            return send(), waited
        except httpx.HTTPStatusError as error:
            if error.response.status_code not in (429, 503):
                raise
            waited += 1
            time.sleep(min(2.0, float(error.response.headers.get("Retry-After", 1))))


def measure_latency(options: argparse.Namespace) -> dict[str, Any]:
    """How soon the first text of a first and of a second question on an image comes."""
    rows: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder, served(options, Path(folder) / "a") as server:
        client = server.client()
        for run in range(options.runs + 1):
            for path in options.images:
                # Another trailing byte makes another image for the server's cache.
                data = path.read_bytes() + bytes([run % 256, run // 256, 0, 0])
                begun = time.perf_counter()
                response = client.post("/api/cases", content=data)
                response.raise_for_status()
                uploaded = time.perf_counter()
                case = response.json()["case"]
                first, first_s = ask(client, case, CLOSED[0])
                _, second_s = ask(client, case, CLOSED[1])
                _, open_s = ask(client, case, OPEN[0])
                row = {
                    "upload_ms": 1000 * (uploaded - begun),
                    "first_question_ms": 1000 * first_s,
                    "upload_to_first_text_ms": 1000 * (uploaded - begun + first_s),
                    "second_question_ms": 1000 * second_s,
                    "open_question_ms": 1000 * open_s,
                    "encode_ms": first["timings"]["encode_ms"],
                }
                if run:  # the first warms up
                    rows.append(row)
                client.delete(f"/api/cases/{case}")
        loading_s = server.loading_s
    return {
        "loading_s": loading_s,
        **{name: _spread([row[name] for row in rows]) for name in rows[0]},
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    at = lambda share: ordered[min(len(ordered) - 1, int(share * len(ordered)))]  # noqa: E731
    return {
        "median": statistics.median(ordered),
        "p95": at(0.95),
        "lowest": ordered[0],
        "highest": ordered[-1],
        "n": len(ordered),
    }


@dataclass(kw_only=True)
class Load:
    """Clients that ask until nothing is left to ask, or the server is gone."""

    server: Server
    images: list[bytes]
    done: list[dict[str, Any]] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    retries: int = 0
    todo: queue.SimpleQueue[int] = field(default_factory=queue.SimpleQueue)

    def run(self, num_clients: int, on_done: Any = lambda: None) -> None:
        """Ask with several clients at once, until `todo` is empty."""
        threads = [
            threading.Thread(target=self._client, args=(seed, on_done), daemon=True)
            for seed in range(num_clients)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _client(self, seed: int, on_done: Any) -> None:
        draw = random.Random(seed)  # noqa: S311 - which question is next
        client = self.server.client()
        case = ""
        while True:
            try:
                number = self.todo.get_nowait()
            except queue.Empty:
                return
            try:
                if not case or number % 25 == 0:
                    case = self._new_case(client, draw, case)
                row, waited = self._ask(client, case, draw)
                self.retries += waited
                self.done.append(row)
            except (httpx.HTTPError, RuntimeError) as error:
                self.lost.append(f"{type(error).__name__}: {error}")
                case = ""
            on_done()

    def _new_case(self, client: httpx.Client, draw: random.Random, old: str) -> str:
        if old:
            client.delete(f"/api/cases/{old}")

        def send() -> httpx.Response:
            return client.post("/api/cases", content=draw.choice(self.images)).raise_for_status()

        response, _ = patiently(send)
        case: str = response.json()["case"]
        return case

    def _ask(
        self, client: httpx.Client, case: str, draw: random.Random
    ) -> tuple[dict[str, Any], int]:
        if draw.random() < 0.25:  # noqa: PLR2004 - a quarter are programs
            return self._ask_as_program(client, draw)
        question = draw.choice(CLOSED + OPEN)
        (row, _), waited = patiently(lambda: ask(client, case, question))
        return {
            "id": row["id"],
            "wait_ms": row["timings"]["wait_ms"],
            "total_ms": row["timings"]["total_ms"],
        }, waited

    def _ask_as_program(
        self, client: httpx.Client, draw: random.Random
    ) -> tuple[dict[str, Any], int]:
        uri = "data:;base64," + base64.b64encode(draw.choice(self.images)).decode()
        content = [
            {"type": "text", "text": draw.choice(CLOSED + OPEN)},
            {"type": "image_url", "image_url": {"url": uri}},
        ]
        body = {"model": "nano", "messages": [{"role": "user", "content": content}]}

        def send() -> httpx.Response:
            return client.post("/v1/chat/completions", json=body).raise_for_status()

        response, waited = patiently(send)
        return {"id": response.json()["tinymed"]["id"]}, waited


def measure_load(options: argparse.Namespace) -> dict[str, Any]:
    """Whether any of many requests is lost, how long they wait, what memory does."""
    with tempfile.TemporaryDirectory() as folder, served(options, Path(folder) / "a") as server:
        images = [path.read_bytes() for path in options.images]
        memory: list[tuple[int, float]] = []
        load = Load(server=server, images=images)
        for number in range(options.requests):
            load.todo.put(number)
        every = max(1, options.requests // 40)
        begun = time.perf_counter()
        with tqdm(total=options.requests, unit="request", disable=None) as progress:

            def on_done() -> None:
                progress.update()
                number = len(load.done) + len(load.lost)
                if number % every == 0:
                    memory.append((number, server.rss_mib()))

            load.run(options.clients, on_done)
        seconds = time.perf_counter() - begun
        missing = {row["id"] for row in load.done} - answered_ids(Path(folder) / "a")
    warm = [rss for number, rss in memory if number >= options.requests * 0.2]
    third = max(1, len(warm) // 3)
    early, late = statistics.mean(warm[:third]), statistics.mean(warm[-third:])
    return {
        "requests": options.requests,
        "clients": options.clients,
        "seconds": seconds,
        "answered": len(load.done),
        "lost": load.lost,
        "missing_from_audit": sorted(missing),
        "retries_after_429_or_503": load.retries,
        "wait_ms": _spread([row["wait_ms"] for row in load.done if "wait_ms" in row]),
        "total_ms": _spread([row["total_ms"] for row in load.done if "total_ms" in row]),
        "rss_mib": [round(rss, 1) for _, rss in memory],
        "rss_growth": late / early - 1,
    }


def answered_ids(audit: Path) -> set[str]:
    """The answers that an audit holds."""
    with sqlite3.connect(f"file:{audit}?mode=ro", uri=True) as database:
        rows = database.execute("SELECT body FROM entries WHERE kind = 'answered'").fetchall()
    return {json.loads(row[0])["id"] for row in rows}


def measure_kills(options: argparse.Namespace) -> dict[str, Any]:
    """Whether killed servers had written down every answer that they gave."""
    images = [path.read_bytes() for path in options.images]
    draw = random.Random(0)  # noqa: S311 - when to kill
    missing: list[str] = []
    loading: list[float] = []
    num_answers = 0
    with tempfile.TemporaryDirectory() as folder:
        audit = Path(folder) / "audit.sqlite"
        for _ in tqdm(range(options.times), unit="kill", disable=None):
            with served(options, audit) as server:
                loading.append(server.loading_s)
                load = Load(server=server, images=images)
                for number in range(100_000):
                    load.todo.put(number)
                runner = threading.Thread(target=load.run, args=(options.clients,), daemon=True)
                runner.start()
                time.sleep(draw.uniform(0.2, options.most_s))
                os.kill(server.process.pid, signal.SIGKILL)
                while not load.todo.empty():
                    try:
                        load.todo.get_nowait()
                    except queue.Empty:
                        break
                runner.join()
            given = {row["id"] for row in load.done}
            num_answers += len(given)
            missing += sorted(given - answered_ids(audit))
        verified = subprocess.run(
            [*_TINYMED, "logs", "verify", "--file", str(audit), "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
    return {
        "kills": options.times,
        "answers_given": num_answers,
        "missing_from_audit": missing,
        "ready_s": _spread(loading),
        "verify": json.loads(verified.stdout),
    }


def main() -> None:
    """Measure, print, write JSON."""
    options = _options()
    report = options.measure(options)
    print(json.dumps(report, indent=2))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    for name, measure in (
        ("latency", measure_latency),
        ("load", measure_load),
        ("kill", measure_kills),
    ):
        command = commands.add_parser(name, help=measure.__doc__)
        command.set_defaults(measure=measure)
        command.add_argument("images", type=Path, nargs="+")
        command.add_argument("--model", default="nano")
        command.add_argument("--json", type=Path, help="write the report here too")
        command.add_argument("--serve", action="append", default=[], help="options of the server")
        if name == "latency":
            command.add_argument("--runs", type=int, default=15)
        else:
            command.add_argument("--clients", type=int, default=8)
        if name == "load":
            command.add_argument("--requests", type=int, default=2000)
        if name == "kill":
            command.add_argument("--times", type=int, default=100)
            command.add_argument("--most-s", type=float, default=3.0, help="longest life")
    return parser.parse_args()


if __name__ == "__main__":
    main()
