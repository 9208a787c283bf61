"""A program's question on its way: one image, one question, a case that is closed behind it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio
from starlette.requests import ClientDisconnect, Request

from tinymed.serve.asked.events import Answered, Event
from tinymed.serve.asked.question import Question
from tinymed.serve.programs.checked import RequestError, read_body
from tinymed.serve.programs.schemas import Schema
from tinymed.serve.service import Service

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A request, understood."""

    image: Callable[[], bytes]
    """Decodes base64, or fetches: not for the event loop."""
    question: Question
    not_used: tuple[str, ...]
    user: str


async def request_json(request: Request, schema: Schema) -> dict[str, Any]:
    """A request's JSON object; megabytes of base64 are read beside the event loop.

    Raises:
        RequestError: If it does not fit the schema.
    """
    # Whatever it is declared as: `curl -d`, in which Ollama's examples are written, says a form.
    body = await request.body()
    return await anyio.to_thread.run_sync(read_body, body, schema)


@asynccontextmanager
async def asked(service: Service, wanted: Wanted) -> AsyncIterator[AsyncIterator[Event]]:
    """The events of a question, once the first of them has come.

    So whatever refuses a question is raised here, before anything is sent.
    """
    body = await anyio.to_thread.run_sync(wanted.image)
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
        raise failed[0]
    if not done:
        raise ClientDisconnect
    return done[0]


def check_may_be_raw(service: Service, *, is_safe: bool) -> None:
    """Refuse the model's own words where the server does not give them.

    Raises:
        RequestError: If gates are to be left out and the server was not started so.
    """
    if not is_safe and not service.settings.allow_raw:
        raise RequestError(
            "This server gives no answers without its gates. Leave 'safe' out, or start it with "
            "--allow-raw."
        )
