"""A question's way: place, text, answer, and what the audit has when."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from slow_desk import (
    BLURRED,
    NOT_CHECKED,
    OUT_OF_SCOPE,
    SlowModel,
    answer_in,
    answer_to,
    ask,
    picture,
    running,
    until,
)

from tinymed.engines.decoding import Decoding
from tinymed.errors import UserError
from tinymed.safe.gate import Gates
from tinymed.serve.asked.events import Answered, Queued, Text, Withdrawn
from tinymed.serve.asked.question import Question
from tinymed.serve.audit.entry import Entry
from tinymed.serve.audit.store import open_to_read, read_rows
from tinymed.serve.refusals import NoSuchCaseError, NoSuchFrameError, TooManyWaitingError
from tinymed.serve.settings import Limits, ServeSettings


def rows(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    connection = open_to_read(folder / "audit.sqlite")
    try:
        return [(row.kind, json.loads(row.body)) for row in read_rows(connection)]
    finally:
        connection.close()


def kinds(folder: Path) -> list[str]:
    return [kind for kind, _ in rows(folder)]


def test_an_open_answer_comes_word_by_word_and_then_whole(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as service:
            case = await service.receive(picture(), user="ada")
            events = await ask(service, case, "right lung base")
            assert events[:-1] == [
                Queued(ahead=0),
                Text(piece="right"),
                Text(piece=" lung"),
                Text(piece=" base"),
            ]
            assert answer_in(events).text == "right lung base"
            assert events[-1].timings.first_text_ms < events[-1].timings.total_ms

    asyncio.run(main())


def test_a_closed_answer_comes_in_one_piece(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path) as service:
            case = await service.receive(picture(), user="ada")
            events = await ask(service, case, "is it large")
            assert events[:-1] == [Queued(ahead=0), Text(piece="yes")]
            assert answer_in(events).kind == "yes-no"
            assert events[-1].timings.first_text_ms == events[-1].timings.total_ms

    asyncio.run(main())


def test_the_question_is_on_the_disk_before_a_word_of_its_answer_leaves(tmp_path: Path) -> None:
    async def main() -> None:
        model = SlowModel()
        async with running(tmp_path, model) as service:
            case = await service.receive(picture(), user="ada")
            model.may_step.clear()
            events = service.ask(case, Question(text="right lung", own_read="nothing"), user="ada")
            assert await anext(events) == Queued(ahead=0)
            assert kinds(tmp_path) == ["started", "received"]
            model.may_step.set()
            assert await anext(events) == Text(piece="right")
            kind, body = rows(tmp_path)[-1]
            assert (kind, body["question"], body["own_read"]) == ("asked", "right lung", "nothing")
            async for event in events:
                if isinstance(event, Answered):
                    assert kinds(tmp_path)[-1] == "answered"

    asyncio.run(main())


def test_the_audit_has_the_answer_as_shown_and_as_the_model_gave_it(tmp_path: Path) -> None:
    async def main() -> None:
        model = SlowModel(least_confidence=0.5, probabilities=(0.9, 0.2))
        async with running(tmp_path, model) as service:
            case = await service.receive(picture(), user="ada")
            events = await ask(service, case, "right lung")
            assert events[-1].id == rows(tmp_path)[-1][1]["id"]
        (_, asked), (_, body) = rows(tmp_path)[-2:]
        assert asked["id"] == body["id"]
        answer = body["answer"]
        assert (answer["text"], answer["model_text"]) == ("cannot tell", "right lung")
        assert answer["is_withheld"] is True
        assert answer["alerts"][0]["code"] == "blurred"
        assert body["weights_sha256"] == "w" * 64
        assert body["timings"]["total_ms"] > 0

    asyncio.run(main())


def test_text_is_withdrawn_when_the_answer_will_be_withheld(tmp_path: Path) -> None:
    async def main() -> None:
        model = SlowModel(least_confidence=0.5, probabilities=(0.9, 0.6, 0.2, 0.1))
        async with running(tmp_path, model) as service:
            case = await service.receive(picture(), user="ada")
            events = await ask(service, case, "a b c d")
            assert events[1:-1] == [
                Text(piece="a"),
                Text(piece=" b"),
                Withdrawn(),
                Text(piece="cannot tell"),
            ]
            held = await ask(service, case, "a b c d", withdraws=False)
            assert held[1:-1] == [Text(piece="cannot tell")]
            model.least_confidence = None
            model.finish = lambda asked, _: answer_to(asked.question, "cannot tell")  # type: ignore[method-assign]
            late = await ask(service, case, "a b")
            assert late[3:-1] == [Withdrawn(), Text(piece="cannot tell")]

    asyncio.run(main())


def test_a_client_that_cannot_take_text_back_gets_it_when_it_holds(tmp_path: Path) -> None:
    async def main() -> None:
        model = SlowModel(least_confidence=0.5)
        async with running(tmp_path, model) as service:
            case = await service.receive(picture(), user="ada")
            events = await ask(service, case, "right lung", withdraws=False)
            assert events[1:-1] == [Text(piece="right lung")]
            model.least_confidence = None
            events = await ask(service, case, "right lung", withdraws=False)
            assert events[1:-1] == [Text(piece="right"), Text(piece=" lung")]
        settings = ServeSettings(gates=Gates(blank="withhold"))
        async with running(tmp_path, model, settings=settings) as service:
            case = await service.receive(picture(), user="ada")
            events = await ask(service, case, "right lung", withdraws=False)
            assert events[1:-1] == [Text(piece="right lung")]

    asyncio.run(main())


def test_without_gates_the_models_own_words_come_and_say_so(tmp_path: Path) -> None:
    async def main() -> None:
        model = SlowModel(least_confidence=0.5, probabilities=(0.1, 0.1))
        async with running(tmp_path, model) as service:
            case = await service.receive(picture(), user="ada")
            answer = answer_in(await ask(service, case, "is it", safe=False))
            assert (answer.kind, answer.text, answer.gates) == ("open", "is it", ())
            assert [alert.code for alert in answer.alerts] == ["not-calibrated"]
            assert model.seen == []

    asyncio.run(main())


def test_gates_see_the_alerts_of_the_image(tmp_path: Path) -> None:
    async def main() -> None:
        model = SlowModel(with_scope=True)
        async with running(tmp_path, model) as service:
            case = await service.receive(picture(), user="ada")
            await ask(service, case, "is it")
            assert model.seen[0].alerts == (BLURRED, OUT_OF_SCOPE)
            assert not model.seen[0].has_spacing
            assert model.seen[0].not_checked == NOT_CHECKED
            assert case.alerts == (BLURRED, OUT_OF_SCOPE)

    asyncio.run(main())


def test_places_in_the_queue_are_told_as_they_change(tmp_path: Path) -> None:
    async def main() -> None:
        model = SlowModel(room=1)
        async with running(tmp_path, model) as service:
            cases = [await service.receive(picture(), user=user) for user in ("ada", "bo", "cy")]
            await until(lambda: model.encoded)
            model.may_step.clear()
            streams = []
            for case in cases:
                events = service.ask(case, Question(text=f"of {case.user}"), user=case.user)
                streams.append((events, await anext(events)))
                await until(service._desk.num_running)
            assert [first for _, first in streams] == [
                Queued(ahead=0),
                Queued(ahead=1),
                Queued(ahead=2),
            ]
            model.may_step.set()
            rest = [[event async for event in events] for events, _ in streams]
            places = [[event for event in told if isinstance(event, Queued)] for told in rest]
            assert places == [[], [Queued(ahead=0)], [Queued(ahead=1), Queued(ahead=0)]]
            assert model.answered == ["of ada", "of bo", "of cy"]
            assert all(told[-1].timings.wait_ms > 0 for told in rest)

    asyncio.run(main())


def test_a_question_that_the_model_has_just_taken_is_before_those_that_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        model = SlowModel(room=1)
        async with running(tmp_path, model) as service:
            case = await service.receive(picture(), user="ada")
            begun, may_begin = threading.Event(), threading.Event()
            begin = model.begin

            def begin_slowly(*args: Any) -> Any:
                begun.set()
                may_begin.wait(10)
                return begin(*args)

            monkeypatch.setattr(model, "begin", begin_slowly)
            first = service.ask(case, Question(text="is it"), user="ada")
            assert await anext(first) == Queued(ahead=0)
            await until(begun.is_set)
            second = service.ask(case, Question(text="is it not"), user="ada")
            try:
                assert await anext(second) == Queued(ahead=1)
            finally:
                may_begin.set()
            assert await anext(second) == Queued(ahead=0)
            assert answer_in([event async for event in first]).text == "yes"
            assert answer_in([event async for event in second]).text == "yes"

    asyncio.run(main())


def test_a_question_that_is_being_decoded_is_before_those_that_wait(tmp_path: Path) -> None:
    async def main() -> None:
        model = SlowModel(room=1)
        async with running(tmp_path, model) as service:
            case = await service.receive(picture(), user="ada")
            may_step, steps, step = threading.Semaphore(0), [], model.step

            def step_by_step() -> Any:
                steps.append(len(model))
                may_step.acquire(timeout=10)
                return step()

            model.step = step_by_step  # type: ignore[method-assign]
            first = asyncio.create_task(ask(service, case, "one two"))
            await until(lambda: len(steps) == 1)
            may_step.release()
            await until(lambda: len(steps) == 2)
            second = service.ask(case, Question(text="is it"), user="ada")
            assert await anext(second) == Queued(ahead=1)
            may_step.release()
            assert answer_in(await first).text == "one two"
            assert answer_in([event async for event in second]).text == "yes"

    asyncio.run(main())


def test_a_client_that_leaves_frees_its_place_and_the_model(tmp_path: Path) -> None:
    async def main() -> None:
        model = SlowModel(room=1)
        async with running(tmp_path, model) as service:
            case = await service.receive(picture(), user="ada")
            await until(lambda: model.encoded)
            model.may_step.clear()
            running_one = service.ask(case, Question(text="one two three"), user="ada")
            await anext(running_one)
            await until(service._desk.num_running)
            waiting_one = service.ask(case, Question(text="never"), user="ada")
            assert await anext(waiting_one) == Queued(ahead=1)
            another_one = service.ask(case, Question(text="nor this"), user="ada")
            assert await anext(another_one) == Queued(ahead=2)
            await waiting_one.aclose()
            assert await anext(another_one) == Queued(ahead=1)
            await another_one.aclose()
            assert service._desk.num_waiting() == 0
            await running_one.aclose()
            model.may_step.set()
            await until(lambda: model.dropped)
            assert answer_in(await ask(service, case, "after")).text == "after"
            assert model.dropped == ["one two three"]
            assert model.answered == ["after"]
            assert [entry["answer"] is None for entry in case.history] == [True] * 3 + [False]
            assert case.history[0]["stopped"] is True
        assert kinds(tmp_path)[2:] == ["asked", "stopped"] * 3 + ["asked", "answered"]
        assert rows(tmp_path)[3][1]["why"] == "client-left"

    asyncio.run(main())


def test_a_client_that_leaves_while_the_answer_is_written_finds_it_in_the_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with running(tmp_path) as service:
            case = await service.receive(picture(), user="ada")
            audit = service._recorder._audit
            begun, may_end, append = threading.Event(), threading.Event(), audit.append

            def append_slowly(*entries: Entry) -> tuple[int, ...]:
                begun.set()
                may_end.wait(10)
                return append(*entries)

            monkeypatch.setattr(audit, "append", append_slowly)
            task = asyncio.create_task(ask(service, case, "is it"))
            await until(begun.is_set)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            may_end.set()
        assert kinds(tmp_path)[2:] == ["asked", "answered"]
        assert len(case.history) == 1
        assert case.history[0]["answer"]["text"] == "yes"

    asyncio.run(main())


def test_questions_that_cannot_be_asked_are_refused(tmp_path: Path) -> None:
    async def main() -> None:
        limits = Limits(max_question_characters=10, max_new_tokens=64)
        async with running(tmp_path, settings=ServeSettings(limits=limits)) as service:
            case = await service.receive(picture(frames=2), user="ada")
            with pytest.raises(UserError, match="empty"):
                await ask(service, case, "  ")
            with pytest.raises(UserError, match="has 11 characters"):
                await ask(service, case, "x" * 11)
            with pytest.raises(UserError, match="read of your own has 11"):
                await ask(service, case, "x", own_read="y" * 11)
            with pytest.raises(UserError, match="no character"):
                await ask(service, case, "\ud800")
            with pytest.raises(UserError, match="1 to 64 tokens"):
                await ask(service, case, "x", decoding=Decoding(max_new_tokens=65))
            with pytest.raises(NoSuchFrameError, match="from 0 to 1"):
                await ask(service, case, "x", frame=2)
            with pytest.raises(NoSuchCaseError):
                await ask(service, case, "x", user="bo")
        assert kinds(tmp_path) == ["started", "received"]

    asyncio.run(main())


def test_a_full_queue_refuses_and_recovers(tmp_path: Path) -> None:
    async def main() -> None:
        model = SlowModel(room=1)
        limits = Limits(max_waiting=2, max_waiting_per_user=1)
        async with running(tmp_path, model, settings=ServeSettings(limits=limits)) as service:
            cases = [await service.receive(picture(), user=user) for user in ("ada", "bo", "cy")]
            await until(lambda: model.encoded)
            model.may_step.clear()
            first = asyncio.create_task(ask(service, cases[0], "first"))
            await until(service._desk.num_running)
            second = asyncio.create_task(ask(service, cases[0], "second"))
            await until(lambda: service._desk.num_waiting() == 1)
            with pytest.raises(TooManyWaitingError) as refused:
                await ask(service, cases[0], "third")
            assert refused.value.status == 429
            third = asyncio.create_task(ask(service, cases[1], "third"))
            await until(lambda: service._desk.num_waiting() == 2)
            with pytest.raises(TooManyWaitingError) as refused:
                await ask(service, cases[2], "fourth")
            assert refused.value.status == 503
            with pytest.raises(TooManyWaitingError):
                await service.receive(picture("other"), user="cy")
            model.may_step.set()
            await asyncio.gather(first, second, third)
            assert answer_in(await ask(service, cases[2], "fourth")).text == "fourth"

    asyncio.run(main())
