"""Clients that leave: their questions are cancelled, wherever they are."""

from __future__ import annotations

import asyncio

import pytest
from program_service import OLLAMA, OPENAI, Exchange, ProgramService, request_pieces
from starlette.types import Message

both_shapes = pytest.mark.parametrize("path", [OPENAI, OLLAMA])
both_ways = pytest.mark.parametrize("is_streamed", [False, True])


def exchange_of(service: ProgramService, path: str, *, is_streamed: bool) -> Exchange:
    return Exchange(
        service=service,
        path=path,
        pieces=lambda: request_pieces(path, "AAAA", stream=is_streamed),
    )


@both_shapes
@both_ways
def test_a_question_is_not_put_when_its_client_leaves_while_the_image_is_read(
    path: str, *, is_streamed: bool
) -> None:
    async def leave() -> ProgramService:
        service = ProgramService()
        service.may_receive.clear()
        exchange = exchange_of(service, path, is_streamed=is_streamed)
        running = asyncio.ensure_future(exchange.run())
        await service.begun.wait()
        exchange.leaves.set()
        await running
        assert exchange.status == 0
        return service

    assert asyncio.run(leave()).log == []


@both_shapes
@both_ways
def test_a_waiting_question_is_cancelled_when_its_client_leaves(
    path: str, *, is_streamed: bool
) -> None:
    async def leave() -> ProgramService:
        service = ProgramService()
        service.may_answer.clear()
        exchange = exchange_of(service, path, is_streamed=is_streamed)
        running = asyncio.ensure_future(exchange.run())
        await service.waiting.wait()
        exchange.leaves.set()
        await running
        return service

    assert asyncio.run(leave()).log == ["opened", "cancelled", "closed"]


@both_shapes
@pytest.mark.parametrize("stuck_at", ["http.response.start", "http.response.body"])
def test_a_question_is_cancelled_when_its_client_leaves_unread_answers(
    path: str, stuck_at: str
) -> None:
    """A generator left at a piece was closed by the garbage collector, when it came by."""

    async def leave() -> ProgramService:
        service = ProgramService(pieces=("it", " is"), text="it is")
        exchange = exchange_of(service, path, is_streamed=True)

        async def stay_unread(message: Message) -> None:
            if message["type"] == stuck_at:
                exchange.leaves.set()
                await asyncio.Event().wait()

        exchange.on_sent = stay_unread
        await exchange.run()
        service.log.append("ended")
        return service

    assert asyncio.run(leave()).log == ["opened", "cancelled", "closed", "ended"]
