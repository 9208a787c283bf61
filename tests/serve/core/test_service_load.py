"""Many clients at once: nobody is lost, everything is written down, everybody has a turn."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

from slow_desk import SlowModel, answer_in, ask, picture, running, until

from tinymed.serve.asked.question import Question
from tinymed.serve.audit.store import open_to_read, read_rows
from tinymed.serve.audit.verify import verify
from tinymed.serve.cases.cases import Case
from tinymed.serve.refusals import TooManyWaitingError
from tinymed.serve.service import Service

NUM_CLIENTS = 8
NUM_QUESTIONS = 50


async def patient(service: Service, case: Case, text: str) -> str:
    """Ask until there is room."""
    while True:
        try:
            return answer_in(await ask(service, case, text)).text
        except TooManyWaitingError:
            await asyncio.sleep(0.001)


def test_eight_clients_with_fifty_questions_each_lose_none(tmp_path: Path) -> None:
    async def client(service: Service, number: int) -> list[str]:
        user = f"user{number}"
        case = await service.receive(picture(f"image{number % 3}"), user=user)
        leaving = service.ask(case, Question(text="never to be heard"), user=user)
        await anext(leaving)
        await leaving.aclose()
        answers = []
        for first in range(0, NUM_QUESTIONS, 5):
            texts = [
                f"is it {number} {n}" if n % 2 else f"open {number} {n}"
                for n in range(first, first + 5)
            ]
            answers += await asyncio.gather(*[patient(service, case, text) for text in texts])
        return answers

    async def main() -> None:
        model = SlowModel(room=4)
        async with running(tmp_path, model) as service:
            answers = await asyncio.gather(*[client(service, n) for n in range(NUM_CLIENTS)])
            for number, own in enumerate(answers):
                assert own == [
                    "yes" if n % 2 else f"open {number} {n}" for n in range(NUM_QUESTIONS)
                ]
            assert len(model.encoded) == 3
            assert len(model) == 0
            assert service._desk.num_waiting() == 0

    asyncio.run(main())
    connection = open_to_read(tmp_path / "audit.sqlite")
    rows = list(read_rows(connection))
    connection.close()
    kinds = Counter(row.kind for row in rows)
    assert kinds["answered"] == NUM_CLIENTS * NUM_QUESTIONS
    assert kinds["asked"] == kinds["answered"] + NUM_CLIENTS
    assert kinds["stopped"] == NUM_CLIENTS
    asked = {json.loads(row.body)["id"]: row.number for row in rows if row.kind == "asked"}
    for row in rows:
        if row.kind in ("answered", "stopped"):
            assert asked[json.loads(row.body)["id"]] < row.number
    assert verify(tmp_path / "audit.sqlite").is_intact


def test_one_who_asks_much_does_not_keep_others_waiting(tmp_path: Path) -> None:
    async def main() -> list[str]:
        model = SlowModel(room=1)
        async with running(tmp_path, model) as service:
            robots = await service.receive(picture(), user="robot")
            case = await service.receive(picture(), user="ada")
            await until(lambda: model.encoded and not service._desk.num_waiting())
            model.may_step.clear()
            texts = [(robots, f"robot {n}") for n in range(8)] + [(case, f"ada {n}") for n in "ab"]
            tasks = []
            for about, text in texts:
                tasks.append(asyncio.create_task(ask(service, about, text)))
                await until(lambda: service._desk.num_waiting() + 1 >= len(tasks))
                await until(service._desk.num_running)
            model.may_step.set()
            await asyncio.gather(*tasks)
            return model.answered

    assert asyncio.run(main())[:6] == [
        "robot 0",
        "robot 1",
        "ada a",
        "robot 2",
        "ada b",
        "robot 3",
    ]
