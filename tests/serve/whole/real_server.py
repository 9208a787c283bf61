"""Starting `tinymed serve` and asking it, as somebody outside would."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pydicom.data import get_testdata_file

TINYMED = (sys.executable, "-c", "from tinymed.cli import main; main()")


@dataclass(kw_only=True)
class RealServer:
    """A server process on loopback, ready."""

    process: subprocess.Popen[str]
    url: str
    audit: Path
    log: Path
    """What it said on stderr."""

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, trust_env=False)

    def open_case(self, data: bytes) -> dict[str, Any]:
        with self.client() as client:
            response = client.post("/api/cases", content=data)
        assert response.status_code == 201, response.text
        case: dict[str, Any] = response.json()
        return case

    def ask(self, case: str, question: str, **more: Any) -> dict[str, Any]:
        """The answer's history row."""
        with self.client() as client:
            response = client.post(
                f"/api/cases/{case}/questions", json={"question": question, **more}
            )
        assert response.status_code == 200, response.text
        name, row = events_of(response.text)[-1]
        assert name == "answer", response.text
        return row

    def rows(self, kind: str) -> list[dict[str, Any]]:
        """The audit's rows of one kind, as `tinymed logs export` gives them."""
        command = [*TINYMED, "logs", "export", "--file", str(self.audit), "--kind", kind]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]


def events_of(text: str) -> list[tuple[str, Any]]:
    """What a stream of server-sent events says."""
    events = []
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if line and not line.startswith(":")]
        if lines:
            name, data = (line.partition(": ")[2] for line in lines)
            events.append((name, json.loads(data)))
    return events


@contextmanager
def real_server(
    audit: Path, *options: str, before: Sequence[str] = (), model: str = "nano"
) -> Iterator[RealServer]:
    """Start a server, wait until it is ready, end it with SIGTERM."""
    command = [*before, *TINYMED, "serve", "--model", model, "--port", "0", "--json"]
    command += ["--threads", "1", "--audit", str(audit), *options]
    with tempfile.NamedTemporaryFile("w+", suffix=".log") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, Path(log.name).read_text()
            running = RealServer(
                process=process,
                url=json.loads(line)["url"].rstrip("/"),
                audit=audit,
                log=Path(log.name),
            )
            yield running
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdout is not None
            process.stdout.close()


def chest_file() -> Path:
    found = get_testdata_file("RG1_UNCR.dcm")
    assert isinstance(found, str)
    return Path(found)


def data_uri(data: bytes) -> str:
    return "data:application/dicom;base64," + base64.b64encode(data).decode()
