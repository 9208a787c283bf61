"""A program's question on its way: one image, one question, a case that is closed behind it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from tinymed.serve.asked.events import Answered, Event
from tinymed.serve.asked.question import Question
from tinymed.serve.programs.chat import Turn, decoding_of, last_question, sampling_not_used
from tinymed.serve.programs.checked import RequestError, Sent, read_body
from tinymed.serve.programs.images import SentImage
from tinymed.serve.programs.schemas import Schema
from tinymed.serve.service import Service
from tinymed.serve.settings import Limits

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a request says, whatever the shape it came in."""

    turns: Sequence[Turn]
    values: Mapping[str, Any]
    """Of its decoding, by Decoding's names; None for what is not set."""
    is_safe: bool
    """Whether gates stand before the answer."""
    unknown: Sequence[str]
    """Fields that mean nothing here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A request, understood: small, but for the image until it is taken."""

    image: SentImage
    question: Question
    not_used: tuple[str, ...]
    user: str


async def request_json(request: Request, schema: Schema, limits: Limits) -> Sent:
    """A request's JSON object; megabytes of base64 are looked through beside the event loop.

    Raises:
        RequestError: If it does not fit the schema.
    """
    # Whatever it is declared as: `curl -d`, in which Ollama's examples are written, says a form.
    body = bytearray()  # and not `request.body()`, which keeps it as long as the request
    async for piece in request.stream():
        body += piece
    read = partial(read_body, body, schema, max_bytes=limits.max_request_bytes)
    return await anyio.to_thread.run_sync(read)


def understood(
    said: Said,
    sent: Sent,
    *,
    decode: Callable[[bytes | memoryview], bytes],
    service: Service,
    user: str,
) -> Wanted:
    """What a request asks for.

    Args:
        said: What it says.
        sent: As it came, for the image.
        decode: Makes a file of an image as it came.
        service: Whose settings hold.
        user: Who asks.

    Raises:
        RequestError: If it asks nothing, or what cannot be done.
    """
    settings, is_safe = service.settings, said.is_safe
    if not is_safe and not settings.allow_raw:
        raise RequestError(
            "This server gives no answers without its gates. Leave 'safe' out, or start it with "
            "--allow-raw."
        )
    found = last_question(said.turns)
    most = settings.limits.max_new_tokens
    return Wanted(
        image=SentImage(sent.file(found.image), decode),
        question=Question(
            text=found.question,
            decoding=decoding_of(said.values, is_safe=is_safe, most_tokens=most),
            safe=is_safe,
            withdraws=False,
        ),
        not_used=(
            *found.not_used,
            *sampling_not_used(said.values, is_safe=is_safe),
            *said.unknown,
        ),
        user=user,
    )


@asynccontextmanager
async def asked(service: Service, wanted: Wanted) -> AsyncIterator[AsyncIterator[Event]]:
    """The events of a question, once the first of them has come.

    So whatever refuses a question is raised here, before anything is sent.
    """
    body = await anyio.to_thread.run_sync(wanted.image.take)
    case = await service.receive(body, user=wanted.user)
    del body
    try:
        async with aclosing(service.ask(case, wanted.question, user=wanted.user)) as events:
            first = await anext(events)

            async def from_the_first() -> AsyncGenerator[Event, None]:
                yield first
                async for event in events:
                    yield event

            async with aclosing(from_the_first()) as whole:
                yield whole
    finally:
        with anyio.CancelScope(shield=True):
            await service.close_case(case, keep_read=True)


async def whole_answer(service: Service, wanted: Wanted) -> Answered:
    """The answer, when it is complete."""
    async with asked(service, wanted) as events:
        async for event in events:
            if isinstance(event, Answered):
                return event
    raise RuntimeError("A question ended without an answer.")


async def streamed_answer(
    request: Request,
    service: Service,
    wanted: Wanted,
    told: Callable[[AsyncIterator[Event]], AsyncGenerator[str, None]],
    *,
    media_type: str,
) -> StreamingResponse:
    """A response that tells a question's events; what refuses it is raised before.

    Args:
        request: Whose client may leave at any time.
        service: Who answers.
        wanted: What is asked.
        told: Turns events into what the client reads.
        media_type: Of what it reads.

    Raises:
        ClientDisconnect: If the client left before the first event.
    """
    stack = AsyncExitStack()
    question = asked(service, wanted)
    events = await unless_gone(request, lambda: stack.enter_async_context(question))
    return _Streamed(told(events), stack, media_type=media_type)


class _Streamed(StreamingResponse):
    """Text as it comes; when the client leaves, wherever that is, the question is cancelled."""

    def __init__(
        self, pieces: AsyncGenerator[str, None], question: AsyncExitStack, *, media_type: str
    ) -> None:
        super().__init__(pieces, media_type=media_type)
        self._pieces = pieces
        self._question = question

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            # A generator that was left at a piece, or never begun, closes nothing by itself.
            await self._pieces.aclose()
            await self._question.aclose()


async def unless_gone(request: Request, answering: Callable[[], Awaitable[Result]]) -> Result:
    """Await something unless the client leaves first: then it is cancelled.

    Raises:
        ClientDisconnect: If the client left.
    """
    done: list[Result] = []
    failed: list[Exception] = []
    async with anyio.create_task_group() as group:

        async def watch() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass
            group.cancel_scope.cancel()

        group.start_soon(watch)
        try:
            done.append(await answering())
        except Exception as error:  # noqa: BLE001 - raised below: a group would wrap it
            failed.append(error)
        group.cancel_scope.cancel()
    if failed:
        raise failed.pop()  # no list that its own traceback would keep alive
    if not done:
        raise ClientDisconnect
    return done[0]
