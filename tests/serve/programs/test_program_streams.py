"""Streams: they say what whole answers say, in the chunks that clients expect."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from program_service import (
    OLLAMA,
    OPENAI,
    Exchange,
    ProgramService,
    chunks_of,
    request_pieces,
    said,
)

LUNG = ("right ", "lung")


async def answered(service: ProgramService, path: str, **more: Any) -> Exchange:
    exchange = Exchange(
        service=service, path=path, pieces=lambda: request_pieces(path, "AAAA", **more)
    )
    await exchange.run()
    assert exchange.status == 200, exchange.body
    return exchange


@pytest.mark.parametrize("path", [OPENAI, OLLAMA])
@pytest.mark.parametrize("last", ["lung", "lung "])
def test_a_stream_says_what_a_whole_answer_says(path: str, last: str) -> None:
    """An answer ends without the blank that was sent: it was sent again, whole."""

    async def ask() -> tuple[str, str]:
        service = ProgramService(pieces=("right ", last), text="right lung")
        whole = await answered(service, path, stream=False)
        streamed = await answered(service, path, stream=True)
        assert service.log == ["opened", "answered", "closed"] * 2
        return said(whole), said(streamed)

    assert asyncio.run(ask()) == ("right lung", f"right {last}")


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}])
def test_a_stream_counts_only_where_that_was_asked_for(options: dict[str, bool] | None) -> None:
    service = ProgramService(pieces=LUNG, text="right lung")
    chunks = chunks_of(asyncio.run(answered(service, OPENAI, stream=True, stream_options=options)))
    assert all(len(chunk["choices"]) == 1 and "usage" not in chunk for chunk in chunks)
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert reasons == [None] * (len(chunks) - 1) + ["stop"]
    assert ["tinymed" in chunk for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert len({chunk["id"] for chunk in chunks}) == 1


def test_a_stream_that_counts_does_so_at_its_end() -> None:
    service = ProgramService(pieces=LUNG, text="right lung")
    *chunks, last = chunks_of(
        asyncio.run(answered(service, OPENAI, stream=True, stream_options={"include_usage": True}))
    )
    assert [chunk["usage"] for chunk in chunks] == [None] * len(chunks)
    assert last["choices"] == []
    assert last["usage"] == {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


@pytest.mark.parametrize("is_wanted", [False, True])
def test_a_stream_tells_the_tokens_where_they_were_asked_for(*, is_wanted: bool) -> None:
    service = ProgramService(pieces=LUNG, text="right lung")
    exchange = asyncio.run(answered(service, OPENAI, stream=True, logprobs=is_wanted))
    told = [
        token["token"]
        for chunk in chunks_of(exchange)
        for token in (chunk["choices"][0]["logprobs"] or {"content": []})["content"]
    ]
    assert told == list(LUNG) * is_wanted
    assert said(exchange) == "right lung"
