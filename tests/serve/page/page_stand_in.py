"""A small server that speaks the page's contract, with scripted answers and failures."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

import tinymed.serve
from tinymed.errors import ImageError
from tinymed.images.receive import receive_image
from tinymed.records import NOTICE
from tinymed.serve.guard.security_headers import SECURITY_HEADERS
from tinymed.serve.routes.cases import viewed

PAGE = Path(tinymed.serve.__file__).parent / "page"

Event = tuple[str, dict[str, Any]]
Script = Callable[["StandIn", str, dict[str, Any]], AsyncIterator[Event]]
"""What becomes of a question: (state, case, what was asked) to events."""

Refusal = tuple[int, str, str, int | None]
"""Status, code, message, seconds of Retry-After."""

_CALIBRATED = {"probability": 0.812, "num_samples": 422, "split": "SLAKE validation"}


def alert(code: str, detail: str = "An English sentence.", **more: Any) -> dict[str, Any]:
    """An alert as the server gives it."""
    return {"code": code, "gate": None, "withholds": False, "detail": detail, "figures": {}} | more


def answer_row(question: str, text: str, **more: Any) -> dict[str, Any]:
    """A safe answer as the server gives it."""
    gates = [
        {"gate": "scope", "mode": "withhold", "outcome": "passed", "why": ""},
        {"gate": "polarity", "mode": "withhold", "outcome": "not-applicable", "why": "no opposite"},
        {"gate": "blank", "mode": "off", "outcome": "not-applicable", "why": ""},
    ]
    return {
        "question": question,
        "kind": "open",
        "text": text,
        "is_withheld": False,
        "finding": None,
        "confidence": 0.9371,
        "calibrated": None,
        "alerts": [],
        "gates": gates,
        "finish_reason": "stop",
        "notice": NOTICE,
    } | more


async def answers_yes(state: StandIn, case: str, asked: dict[str, Any]) -> AsyncIterator[Event]:
    """A closed question, answered at once with a calibrated figure."""
    yield "queued", {"ahead": 0}
    found = {"kind": "yes-no", "finding": "present", "calibrated": _CALIBRATED}
    yield "answer", state.keep(case, asked, answer_row(asked["question"], "yes", **found))


def writes(*pieces: str, **more: Any) -> Script:
    """An open question whose answer comes in pieces, each when `go_on` is released."""

    async def script(state: StandIn, case: str, asked: dict[str, Any]) -> AsyncIterator[Event]:
        yield "queued", {"ahead": 0}
        for piece in pieces:
            await state.wait()
            yield "text", {"piece": piece}
        await state.wait()
        row = answer_row(asked["question"], "".join(pieces), **more)
        yield "answer", state.keep(case, asked, row)

    return script


def tells(*events: Event) -> Script:
    """These events, then the line is cut."""

    async def script(state: StandIn, case: str, asked: dict[str, Any]) -> AsyncIterator[Event]:
        for event in events:
            await state.wait()
            yield event

    return script


class StandIn:
    """What the server knows and is told to do."""

    def __init__(self) -> None:
        self.health: dict[str, Any] = {
            "status": "ready",
            "model": "nano",
            "scheme": "openvino-int8",
        }
        self.page: dict[str, Any] = {
            "needs_sign_in": False,
            "user": "",
            "notice": NOTICE,
            "version": "0.1.0",
            "model": "nano",
            "scheme": "openvino-int8",
            "weights_sha256": "ab" * 32,
            "limits": {"max_upload_bytes": 50_000_000, "max_question_characters": 2000},
        }
        self.passwords: dict[str, str] = {}
        self.cases: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.facts: dict[str, Any] = {}
        """Over what the file says of its picture."""
        self.alerts: list[dict[str, Any]] = []
        self.scripts: list[Script] = []
        """For the next questions; `answers_yes` after them."""
        self.refusals: dict[str, list[Refusal]] = {}
        """By method and the path's last word ("POST questions"), each for one request."""
        self.log: list[str] = []
        self.asked: list[dict[str, Any]] = []
        self.stopped: list[str] = []
        """Questions whose client left."""
        self.go_on = threading.Event()
        """While unset, scripts wait."""
        self.go_on.set()
        self._num_answers = 0

    async def wait(self) -> None:
        await asyncio.to_thread(self.go_on.wait)

    def keep(self, case: str, asked: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        """Add an answer to a case's history, and give its row."""
        self._num_answers += 1
        row = {
            "id": f"a{self._num_answers}",
            "asked_at": "2026-11-22T14:00:00Z",
            "question": asked["question"],
            "frame": asked["frame"],
            "own_read": asked["own_read"],
            "answer": answer,
            "timings": {"wait_ms": 0.0, "encode_ms": 0, "first_text_ms": 210, "total_ms": 480.0},
            "verdicts": [],
        }
        self.cases[case]["history"].append(row)
        return row

    def refusal(self, request: Request) -> Response | None:
        """What this request is told to meet, if anything."""
        name = f"{request.method} {request.url.path.rpartition('/')[2]}"
        waiting = self.refusals.get(name)
        if not waiting:
            return None
        return refused(*waiting.pop(0))


def refused(status: int, code: str, message: str, retry_after: int | None = None) -> Response:
    """An error as the contract has it."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    body = {"error": {"message": message, "code": code}}
    return JSONResponse(body, status_code=status, headers=headers)


class RunningStandIn:
    """The server, in a thread, on a free port of loopback."""

    def __init__(self) -> None:
        self.state = StandIn()
        routes = [
            Route("/", self._index),
            Route("/page/{name}", self._file),
            Route("/health", self._health),
            Route("/api/page", self._page),
            Route("/api/sign-in", self._sign_in, methods=["POST"]),
            Route("/api/sign-out", self._sign_out, methods=["POST"]),
            Route("/api/cases", self._receive, methods=["POST"]),
            Route("/api/cases/{case}", self._case, methods=["GET", "DELETE"]),
            Route("/api/cases/{case}/frames/{frame:int}", self._frame),
            Route("/api/cases/{case}/questions", self._ask, methods=["POST"]),
            Route("/api/cases/{case}/verdicts", self._judge, methods=["POST"]),
            Route("/api/cases/{case}/report.{kind}", self._report),
        ]
        app = Starlette(routes=routes)
        config = uvicorn.Config(
            self._guarded(app), port=0, log_level="error", ws="none", lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)

    @property
    def url(self) -> str:
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/"

    def __enter__(self) -> Self:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.005)
        return self

    def __exit__(self, *_: object) -> None:
        self.state.go_on.set()
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join()

    def _guarded(self, app: Starlette) -> Any:
        async def guarded(scope: Any, receive: Any, send: Any) -> None:
            request = Request(scope)
            self.state.log.append(f"{request.method} {request.url.path}")
            answer = self.state.refusal(request)

            async def send_with_headers(message: Any) -> None:
                if message["type"] == "http.response.start":
                    added = [(k.lower().encode(), v.encode()) for k, v in SECURITY_HEADERS.items()]
                    kept = [h for h in message["headers"] if h[0] not in dict(added)]
                    message = message | {"headers": kept + added}
                await send(message)

            if answer is not None:
                while (await receive()).get("more_body"):
                    pass
            await (answer or app)(scope, receive, send_with_headers)

        return guarded

    async def _index(self, _: Request) -> Response:
        return FileResponse(PAGE / "index.html")

    async def _file(self, request: Request) -> Response:
        return FileResponse(PAGE / request.path_params["name"])

    async def _health(self, _: Request) -> Response:
        health = self.state.health
        return JSONResponse(health, status_code=200 if health["status"] == "ready" else 503)

    async def _page(self, request: Request) -> Response:
        page = self.state.page
        user = request.cookies.get("tinymed", page["user"])
        if self.state.passwords and user == "":
            few = ("notice", "version")
            return JSONResponse(
                {name: page[name] for name in few} | {"needs_sign_in": True, "user": ""}
            )
        return JSONResponse(page | {"user": user, "state": self.state.health["status"]})

    async def _sign_in(self, request: Request) -> Response:
        given = await request.json()
        if self.state.passwords.get(given["name"]) != given["password"]:
            return refused(401, "wrong-sign-in", "The name or the password does not fit.")
        response = Response(status_code=204)
        response.set_cookie("tinymed", given["name"], httponly=True, samesite="strict")
        return response

    async def _sign_out(self, _: Request) -> Response:
        response = Response(status_code=204)
        response.delete_cookie("tinymed")
        return response

    async def _receive(self, request: Request) -> Response:
        body = await request.body()
        try:
            received = await asyncio.to_thread(receive_image, body)
        except ImageError as error:
            return refused(422, "unreadable-image", str(error))
        height, width = received.image.pixels.shape[:2]
        case = f"k3v9{len(self.state.cases):08d}"
        self.state.files[case] = body
        image = {
            "sha256": "cd" * 32,
            "source": received.image.source,
            "width": width,
            "height": height,
            "num_frames": received.num_frames,
            "frame": received.frame,
            "notes": list(received.image.notes),
            "modality": received.facts.modality,
            "body_part": received.facts.body_part,
        }
        self.state.cases[case] = {
            "case": case,
            "image": image | self.state.facts,
            "alerts": self.state.alerts,
            "history": [],
        }
        return JSONResponse(self.state.cases[case], status_code=201)

    def _found(self, request: Request) -> dict[str, Any] | None:
        return self.state.cases.get(request.path_params["case"])

    async def _case(self, request: Request) -> Response:
        case = self._found(request)
        if case is None:
            return _no_case()
        if request.method == "DELETE":
            del self.state.cases[case["case"]]
            return Response(status_code=204)
        return JSONResponse(case)

    async def _frame(self, request: Request) -> Response:
        case = self._found(request)
        if case is None:
            return _no_case()
        body, frame = self.state.files[case["case"]], request.path_params["frame"]
        facts, pixels = viewed(await asyncio.to_thread(receive_image, body, frame=frame))
        return Response(bytes(pixels), headers={"X-Tinymed-Frame": json.dumps(facts)})

    async def _ask(self, request: Request) -> Response:
        case = self._found(request)
        if case is None:
            return _no_case()
        state = self.state
        asked = await request.json()
        state.asked.append(asked)
        script = state.scripts.pop(0) if state.scripts else answers_yes

        async def stream() -> AsyncIterator[str]:
            is_over = False
            try:
                async for name, data in script(state, case["case"], asked):
                    yield f": wait\n\nevent: {name}\ndata: {json.dumps(data)}\n\n"
                is_over = True
            finally:
                if not is_over:
                    state.stopped.append(asked["question"])

        return StreamingResponse(stream(), media_type="text/event-stream")

    async def _judge(self, request: Request) -> Response:
        case = self._found(request)
        if case is None:
            return _no_case()
        given = await request.json()
        row = next(row for row in case["history"] if row["id"] == given["answer"])
        verdict = {key: given[key] for key in ("decision", "reason", "text")}
        verdict |= {"at": "2026-11-22T14:01:00Z", "user": request.cookies.get("tinymed", "")}
        row["verdicts"].append(verdict)
        return JSONResponse(verdict, status_code=201)

    async def _report(self, request: Request) -> Response:
        case = self._found(request)
        if case is None:
            return _no_case()
        if request.path_params["kind"] == "json":
            return JSONResponse(case)
        return Response(f"%PDF {request.url.query}".encode(), media_type="application/pdf")


def _no_case() -> Response:
    return refused(404, "no-such-case", "There is no such case any more. Choose the image again.")
