"""How much of a request is in memory, and for how long."""

from __future__ import annotations

import asyncio
import tracemalloc

import anyio
import pytest
from program_service import OLLAMA, OPENAI, Exchange, ProgramService, request_pieces, said

PIECE = "A" * 65_536
NUM_PIECES = 128
NUM_BYTES = len(PIECE) * NUM_PIECES
"""Of the base64."""


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("path", [OPENAI, OLLAMA])
def test_nothing_of_an_image_is_held_while_its_question_waits(
    path: str, *, is_streamed: bool
) -> None:
    async def ask() -> tuple[float, float]:
        service = ProgramService()
        await _run(service, path, 1, is_streamed=is_streamed)  # what is kept for good is there
        service.may_answer.clear()
        service.waiting.clear()
        tracemalloc.start()
        try:
            asking = asyncio.ensure_future(_run(service, path, NUM_PIECES, is_streamed=is_streamed))
            await asyncio.wait_for(service.waiting.wait(), 10)
            await anyio.to_thread.run_sync(int)  # the thread that decoded has let go of it by then
            held, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        service.may_answer.set()
        assert said(await asking) == "yes"
        assert service.received[-1] == NUM_BYTES * 3 // 4
        return held / NUM_BYTES, peak / NUM_BYTES

    held, peak = asyncio.run(ask())
    assert held < 0.1
    assert peak < 2.1  # the body as it came and grew, and the file


async def _run(
    service: ProgramService, path: str, num_pieces: int, *, is_streamed: bool
) -> Exchange:
    exchange = Exchange(
        service=service,
        path=path,
        # A character that is no Latin one: as a string, the body would take twice its bytes.
        pieces=lambda: request_pieces(
            path, PIECE, num_times=num_pieces, stream=is_streamed, user="ወርቁ"
        ),
    )
    await exchange.run()
    return exchange
