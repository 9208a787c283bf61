"""A server that is killed has lost no answer that a client was given."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path

import httpx
import pytest
from slow_desk import picture

from tinymed.serve.audit.store import open_to_read, read_rows
from tinymed.serve.audit.verify import verify

NUM_CLIENTS = 4


async def ask_on(url: str, heard: list[str], enough: asyncio.Event, *, wanted: int) -> None:
    """Ask until the server is gone, and keep the ids of the answers that came."""
    with contextlib.suppress(httpx.TransportError):
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            case = (await client.post("/api/cases", content=picture())).json()["case"]
            while True:
                asked = {"question": "right lung"}
                async with client.stream(
                    "POST", f"/api/cases/{case}/questions", json=asked
                ) as reply:
                    async for line in reply.aiter_lines():
                        if line.startswith('data: {"id"'):
                            heard.append(json.loads(line[6:])["id"])  # noqa: PERF401 (the line may break)
                if len(heard) >= wanted:
                    enough.set()


async def killed_once(folder: Path, *, wanted: int) -> list[str]:
    """Start a server, ask it from several sides, kill it while it answers."""
    program = Path(__file__).with_name("killed_service.py")
    server = await asyncio.create_subprocess_exec(
        sys.executable, str(program), str(folder), stdout=asyncio.subprocess.PIPE
    )
    assert server.stdout is not None
    port = int(await server.stdout.readline())
    heard: list[str] = []
    enough = asyncio.Event()
    clients = [
        asyncio.create_task(ask_on(f"http://127.0.0.1:{port}", heard, enough, wanted=wanted))
        for _ in range(NUM_CLIENTS)
    ]
    await enough.wait()
    server.kill()
    await asyncio.gather(*clients)
    await server.communicate()
    return heard


def check_kills(folder: Path, *, num_kills: int) -> None:
    heard = [
        answer
        for kill in range(num_kills)
        for answer in asyncio.run(killed_once(folder, wanted=3 + kill % 7))
    ]
    assert verify(folder / "audit.sqlite").is_intact
    connection = open_to_read(folder / "audit.sqlite")
    answered = [
        json.loads(row.body)["id"] for row in read_rows(connection, " WHERE kind = 'answered'")
    ]
    connection.close()
    assert len(heard) >= 3 * num_kills
    assert set(heard) <= set(answered)
    assert len(answered) == len(set(answered))


def test_no_answer_that_was_given_is_missing_from_the_audit(tmp_path: Path) -> None:
    check_kills(tmp_path, num_kills=1)


@pytest.mark.slow
def test_nor_after_a_hundred_kills(tmp_path: Path) -> None:
    check_kills(tmp_path, num_kills=100)
