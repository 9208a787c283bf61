"""The programs' routes in front of a service that answers what, and when, a test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import Message

from tinymed.engines.decoding import ChosenToken
from tinymed.safe.safe_answer import SafeAnswer
from tinymed.serve.asked.events import Answered, Event, Queued, Text, Timings
from tinymed.serve.asked.question import Question
from tinymed.serve.desk.loaded_model import ModelFacts
from tinymed.serve.guard.failures import Failures
from tinymed.serve.programs.ollama import ollama_routes
from tinymed.serve.programs.openai import openai_routes
from tinymed.serve.settings import ServeSettings

FACTS = ModelFacts(
    name="nano", scheme="tiny-f32", weights_sha256="w" * 64, is_calibrated=False, split=None
)
WAIT_S = 10.0


@dataclass(kw_only=True)
class ProgramService:
    """Takes any image; answers with `pieces`, then with `text`, once it may."""

    pieces: tuple[str, ...] = ()
    text: str = "yes"
    settings: ServeSettings = field(default_factory=ServeSettings)
    facts: ModelFacts = FACTS
    may_receive: asyncio.Event = field(default_factory=asyncio.Event)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    """An image has come in."""
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    """A question has."""
    received: list[int] = field(default_factory=list)
    """How large the images were."""
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.may_receive.set()
        self.may_answer.set()

    async def receive(self, body: bytes, *, user: str) -> str:
        self.received.append(len(body))
        self.begun.set()
        await self.may_receive.wait()
        self.log.append("opened")
        return f"{user}'s case"

    async def ask(self, case: str, question: Question, *, user: str) -> AsyncGenerator[Event, None]:
        assert case == f"{user}'s case"
        try:
            yield Queued(ahead=0)
            self.waiting.set()
            await self.may_answer.wait()
            for piece in self.pieces or (self.text,):
                yield Text(piece=piece)
        except (asyncio.CancelledError, GeneratorExit):
            self.log.append("cancelled")
            raise
        self.log.append("answered")
        yield Answered(id="1", answer=self._answer(question), timings=_TIMINGS)

    async def close_case(self, case: str, *, keep_read: bool) -> None:
        assert case
        assert keep_read
        self.log.append("closed")

    def _answer(self, question: Question) -> SafeAnswer:
        return SafeAnswer(
            question=question.text,
            kind="open",
            text=self.text,
            is_withheld=False,
            finding=None,
            confidence=0.9,
            calibrated=None,
            alerts=(),
            gates=(),
            model_text=self.text,
            tokens=tuple(
                ChosenToken(text=piece, token_bytes=piece.encode(), log_probability=-0.5)
                for piece in self.pieces
            ),
            num_prompt_tokens=5,
            num_tokens=2,
        )


_TIMINGS = Timings(wait_ms=0.0, encode_ms=0.0, first_text_ms=1.0, total_ms=2.0)


@dataclass(kw_only=True)
class Exchange:
    """One request, as a server hands it to the routes, and what came back."""

    service: ProgramService
    path: str
    pieces: Callable[[], Iterator[bytes]]
    """Of the body, made when they are wanted."""
    leaves: asyncio.Event = field(default_factory=asyncio.Event)
    on_sent: Callable[[Message], Awaitable[None]] | None = None
    status: int = 0
    body: bytearray = field(default_factory=bytearray)

    async def run(self) -> None:
        service: Any = self.service
        app = Starlette(
            routes=[*openai_routes(service), *ollama_routes(service)],
            middleware=[Middleware(Failures)],
        )
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": b"",
            "headers": [(b"content-length", b"1")],
            "state": {"user": "ada"},
        }
        await asyncio.wait_for(app(scope, self._receiver(), self._send), WAIT_S)

    def _receiver(self) -> Callable[[], Awaitable[Message]]:
        pieces = self.pieces()

        async def receive() -> Message:
            piece = next(pieces, None)
            if piece is not None:
                return {"type": "http.request", "body": piece, "more_body": True}
            if not self._is_over:
                self._is_over = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await self.leaves.wait()
            return {"type": "http.disconnect"}

        return receive

    def __post_init__(self) -> None:
        self._is_over = False

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        self.body += message.get("body", b"")
        if self.on_sent is not None:
            await self.on_sent(message)


OPENAI, OLLAMA = "/v1/chat/completions", "/api/chat"


def request_pieces(path: str, image: str, *, num_times: int = 1, **more: Any) -> Iterator[bytes]:
    """A question about an image, in the shape that a path takes, as it comes from the network.

    Args:
        path: Where it is sent.
        image: In base64.
        num_times: How often that is repeated, so that nothing of the size of all is ever made.
        more: Further fields.
    """
    if path == OPENAI:
        parts = [{"type": "text", "text": "Is it normal?"}]
        parts.append({"type": "image_url", "image_url": {"url": "data:image/png;base64,@"}})  # type: ignore[dict-item]
        message: dict[str, Any] = {"role": "user", "content": parts}
    else:
        message = {"role": "user", "content": "Is it normal?", "images": ["@"]}
    head, tail = json.dumps({"model": "nano", "messages": [message], **more}).split("@")
    yield head.encode()
    piece = image.encode()
    for _ in range(num_times):
        yield piece
    yield tail.encode()


def chunks_of(exchange: Exchange) -> list[dict[str, Any]]:
    """What an OpenAI client reads of a stream."""
    *lines, end, rest = exchange.body.decode().split("\n\n")
    assert (end, rest) == ("data: [DONE]", "")
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def said(exchange: Exchange) -> str:
    """The text of an answer, streamed or whole."""
    body = exchange.body.decode()
    if exchange.path == OLLAMA:
        rows = [json.loads(line) for line in body.splitlines()]
        return "".join(row["message"]["content"] for row in rows)
    if not body.startswith("data: "):
        content: str = json.loads(body)["choices"][0]["message"]["content"]
        return content
    choices = [choice for chunk in chunks_of(exchange) for choice in chunk["choices"]]
    return "".join(choice["delta"].get("content", "") for choice in choices)
