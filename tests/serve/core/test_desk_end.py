"""Where nobody works at the desk any more, nobody waits for it."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from slow_desk import JsonDecoder, SlowModel, ask, picture, running, until

from tinymed.engines.batch import Finished
from tinymed.serve.audit.store import open_to_read, read_rows
from tinymed.serve.refusals import NotReadyError


def test_a_models_thread_that_dies_leaves_nobody_waiting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Questions waited for ever, and the server called itself ready."""

    async def main() -> None:
        model = SlowModel(room=1)
        async with running(tmp_path, model) as service:
            case = await service.receive(picture(), user="ada")
            await until(lambda: model.encoded)
            model.may_step.clear()
            begun = asyncio.create_task(ask(service, case, "jane doe"))
            await until(service._desk.num_running)
            waiting = asyncio.create_task(ask(service, case, "another"))
            await until(service._desk.num_waiting)
            strange: Any = Finished(ticket=99, answer=None)  # type: ignore[arg-type]
            model.step = lambda: [strange]  # type: ignore[method-assign]
            model.may_step.set()
            async with asyncio.timeout(10):
                for outcome in await asyncio.gather(begun, waiting, return_exceptions=True):
                    assert isinstance(outcome, NotReadyError)
                    assert "has stopped because of a defect" in str(outcome)
            assert service.state == "failed"
            assert service.problem is not None
            with pytest.raises(NotReadyError, match="has stopped"):
                await ask(service, case, "a third")

    caplog.set_level(logging.ERROR)
    asyncio.run(main())
    (line,) = [record.getMessage() for record in caplog.records]
    assert "The model has stopped: KeyError" in line
    assert "jane" not in line


def test_a_question_that_comes_to_a_closed_desk_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        decoder = JsonDecoder()
        async with running(tmp_path, decoder=decoder) as service:
            case = await service.receive(picture(frames=2), user="ada")
            decoder.may_decode.clear()
            asking = asyncio.create_task(ask(service, case, "is it", frame=0))
            await until(lambda: service._askings)
            await asyncio.to_thread(service._desk.close)
            decoder.may_decode.set()
            async with asyncio.timeout(10):
                with pytest.raises(NotReadyError, match="ending"):
                    await asking

    asyncio.run(main())


def test_what_is_under_way_at_the_end_is_told_and_written_down(tmp_path: Path) -> None:
    async def main() -> None:
        model = SlowModel()
        async with running(tmp_path, model) as service:
            case = await service.receive(picture(), user="ada")
            await until(lambda: model.encoded)
            model.may_step.clear()
            asking = asyncio.create_task(ask(service, case, "one two three"))
            await until(service._desk.num_running)
            closing = asyncio.create_task(service.close())
            await until(lambda: service._desk._is_closed)
            model.may_step.set()
            await closing
            with pytest.raises(NotReadyError, match="ending"):
                await asking

    asyncio.run(main())
    connection = open_to_read(tmp_path / "audit.sqlite")
    kinds = [row.kind for row in read_rows(connection)]
    connection.close()
    assert kinds[2:] == ["asked", "stopped"]
