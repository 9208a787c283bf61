"""The routes of the page, asked through a real socket."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import httpx
import pytest
from served import events_of, served
from slow_desk import SlowModel, picture, until

from tinymed.serve.audit.store import open_to_read, read_rows
from tinymed.serve.routes import event_stream
from tinymed.serve.settings import Limits, ServeSettings


async def opened(client: httpx.AsyncClient, body: bytes | None = None) -> str:
    reply = await client.post("/api/cases", content=picture() if body is None else body)
    assert reply.status_code == 201, reply.text
    return f"/api/cases/{reply.json()['case']}"


def code_of(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["error"]["code"]


def test_an_image_is_sent_asked_about_judged_and_forgotten(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path) as (client, _):
            reply = await client.post("/api/cases", content=picture())
            case = reply.json()
            assert (reply.status_code, case["history"]) == (201, [])
            assert case["image"] | {"sha256": ""} == {
                "sha256": "",
                "source": "png",
                "width": 24,
                "height": 16,
                "num_frames": 1,
                "frame": 0,
                "notes": [],
                "modality": "CR",
                "body_part": None,
            }
            assert case["alerts"][0]["code"] == "blurred"
            url = f"/api/cases/{case['case']}"
            asked = {"question": "right lung", "frame": 0, "own_read": "nothing"}
            reply = await client.post(f"{url}/questions", json=asked)
            assert reply.headers["content-type"].startswith("text/event-stream")
            *events, (name, entry) = events_of(reply.text)
            assert events == [
                ("queued", {"ahead": 0}),
                ("text", {"piece": "right"}),
                ("text", {"piece": " lung"}),
            ]
            assert name == "answer"
            assert entry["answer"]["text"] == "right lung"
            assert "model_text" not in entry["answer"]
            assert "tokens" not in entry["answer"]
            assert entry["own_read"] == "nothing"
            verdict = {"answer": entry["id"], "decision": "edit", "text": "left lung"}
            reply = await client.post(f"{url}/verdicts", json=verdict)
            assert (reply.status_code, reply.json()["text"]) == (201, "left lung")
            history = (await client.get(url)).json()["history"]
            assert history[0]["verdicts"][0]["user"] == "ada"
            assert (await client.delete(url)).status_code == 204
            assert code_of(await client.get(url)) == (404, "no-such-case")

    asyncio.run(main())


def test_a_report_leaves_once_the_audit_has_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path) as (client, _):
            url = await opened(client, picture(frames=3))
            await client.post(f"{url}/questions", json={"question": "right lung"})
            name = f"tinymed-{url.rpartition('/')[2]}"
            reply = await client.get(f"{url}/report.json")
            assert reply.headers["content-disposition"] == f'attachment; filename="{name}.json"'
            assert reply.json()["history"][0]["question"] == "right lung"
            assert reply.json()["model"]["weights_sha256"] == "w" * 64
            plain = await client.get(f"{url}/report.pdf?language=sw")
            assert plain.headers["content-disposition"] == f'attachment; filename="{name}.pdf"'
            assert plain.content.startswith(b"%PDF-")
            pictured = await client.get(f"{url}/report.pdf?language=en&picture=1")
            assert b"/Subtype /Image" in pictured.content
            assert b"/Subtype /Image" not in plain.content
            assert (await client.get(f"{url}/report.pdf?language=xx")).status_code == 400
            reply = await client.get(f"{url}/report.json", headers={"X-User": "bo"})
            assert code_of(reply) == (404, "no-such-case")

    asyncio.run(main())
    connection = open_to_read(tmp_path / "audit.sqlite")
    rows = list(read_rows(connection, " WHERE kind = 'exported'"))
    connection.close()
    told = [(json.loads(row.body)["form"], json.loads(row.body)["picture"]) for row in rows]
    assert told == [("json", False), ("pdf", False), ("pdf", True)]


def test_a_frame_is_sent_as_it_is_stored(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path) as (client, _):
            url = await opened(client, picture(frames=3))
            reply = await client.get(f"{url}/frames/2")
            assert json.loads(reply.headers["X-Tinymed-Frame"]) == {
                "width": 24,
                "height": 16,
                "kind": "grey16",
                "center": 5.0,
                "width_of_window": 9.0,
                "is_inverted": True,
                "frame": 2,
                "num_frames": 3,
            }
            assert reply.content == b"\x02\x00" * (16 * 24)
            assert code_of(await client.get(f"{url}/frames/3")) == (404, "no-such-frame")

    asyncio.run(main())


def test_another_users_case_cannot_be_seen(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path) as (client, _):
            url = await opened(client)
            bo = {"X-User": "bo"}
            asked = {"question": "is it"}
            for reply in (
                await client.get(url, headers=bo),
                await client.delete(url, headers=bo),
                await client.get(f"{url}/frames/0", headers=bo),
                await client.post(f"{url}/questions", json=asked, headers=bo),
                await client.post(
                    f"{url}/verdicts", json={"answer": "x", "decision": "accept"}, headers=bo
                ),
            ):
                assert code_of(reply) == (404, "no-such-case")

    asyncio.run(main())


WRONG_QUESTIONS = {
    b"": "not JSON",
    b"{": "not JSON",
    b"\xff\xfe": "not JSON",
    '{"question": "Is it?"}'.encode("utf-16"): "not JSON in UTF-8",
    b'{"question": "a", "frame": NaN}': "not JSON",
    b"[" * 100_000: "nested too deeply",
    b"[]": "not a JSON object",
    b'{"question": 3}': "'question' is to be text",
    b'{"question": "a", "frame": true}': "'frame' is to be a whole number",
    b'{"question": "a", "temperature": 1}': "not known",
    b"{}": "question is empty",
    b'{"question": "\\u200b\\ufeff "}': "question is empty",
    b'{"question": "\\ud800"}': "half a character",
    b'{"question": "\xed\xa0\x80"}': "not JSON in UTF-8",
}


def test_questions_of_another_form_are_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path) as (client, _):
            url = await opened(client)
            for body, sentence in WRONG_QUESTIONS.items():
                reply = await client.post(f"{url}/questions", content=body)
                assert reply.status_code == 400
                assert sentence in reply.json()["error"]["message"]

    asyncio.run(main())


def test_verdicts_of_another_form_are_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path) as (client, _):
            url = await opened(client)
            for verdict, status in (
                ({"answer": "x", "decision": "maybe"}, 400),
                ({"decision": "reject"}, 400),
                ({"answer": "x", "decision": "accept"}, 404),
            ):
                reply = await client.post(f"{url}/verdicts", json=verdict)
                assert reply.status_code == status

    asyncio.run(main())


def test_a_file_that_is_no_image_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with served(tmp_path) as (client, _):
            reply = await client.post("/api/cases", content=b"no image")
            assert code_of(reply) == (422, "unreadable-image")

    asyncio.run(main())


def test_too_many_questions_are_told_when_to_come_again(tmp_path: Path) -> None:
    async def main() -> None:
        model = SlowModel(room=1)
        settings = ServeSettings(limits=Limits(max_waiting_per_user=1))
        async with served(tmp_path, model, settings=settings) as (client, service):
            url = await opened(client)
            await until(lambda: model.encoded)
            model.may_step.clear()
            asked = {"question": "one two"}
            first = asyncio.create_task(client.post(f"{url}/questions", json=asked))
            await until(service._desk.num_running)
            second = asyncio.create_task(client.post(f"{url}/questions", json=asked))
            await until(service._desk.num_waiting)
            reply = await client.post(f"{url}/questions", json=asked)
            assert code_of(reply) == (429, "too-many-waiting")
            assert int(reply.headers["Retry-After"]) >= 1
            model.may_step.set()
            for reply in (await first, await second):
                assert events_of(reply.text)[-1][0] == "answer"

    asyncio.run(main())


def test_what_fails_once_it_streams_is_an_event(tmp_path: Path) -> None:
    async def main() -> None:
        model = SlowModel(wrong={"finish one": RuntimeError("Jane")})
        async with served(tmp_path, model) as (client, _):
            url = await opened(client)
            reply = await client.post(f"{url}/questions", json={"question": "one"})
            name, row = events_of(reply.text)[-1]
            assert (name, row["code"]) == ("error", "question-failed")
            assert "Jane" not in reply.text

    asyncio.run(main())


def test_a_client_that_hangs_up_stops_the_model(tmp_path: Path) -> None:
    async def main() -> None:
        model = SlowModel()
        async with served(tmp_path, model) as (client, service):
            url = await opened(client)
            await until(lambda: model.encoded)
            model.may_step.clear()
            body = b'{"question": "one two three"}'
            with socket.create_connection(("127.0.0.1", client.base_url.port)) as connection:
                connection.sendall(
                    f"POST {url}/questions HTTP/1.1\r\nHost: a\r\n"
                    f"Content-Length: {len(body)}\r\n\r\n".encode()
                    + body
                )
                await until(service._desk.num_running)
            await until(lambda: not service._askings)
            model.may_step.set()
            await until(lambda: model.dropped)
            assert model.dropped == ["one two three"]
            await until(lambda: service.case(url.rpartition("/")[2], user="ada").history)
            history = (await client.get(url)).json()["history"]
            assert (history[0]["answer"], history[0]["stopped"]) == (None, True)

    asyncio.run(main())


def test_a_silent_line_is_kept_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "WAIT_S", 0.001)

    async def main() -> None:
        model = SlowModel()
        async with served(tmp_path, model) as (client, _):
            url = await opened(client)
            await until(lambda: model.encoded)
            model.may_step.clear()
            asking = client.stream("POST", f"{url}/questions", json={"question": "one"})
            async with asking as reply:
                lines = reply.aiter_lines()
                heard = []
                async for line in lines:
                    heard.append(line)
                    if line == ": wait":
                        model.may_step.set()
            assert ": wait" in heard
            assert "event: answer" in heard

    asyncio.run(main())
