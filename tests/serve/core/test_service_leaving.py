"""Clients that leave at whatever moment leave nothing behind, and take nobody's time."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from slow_desk import SlowModel, ask, picture, running, until

from tinymed.images.received import ReceivedFrame
from tinymed.safe.gate import Alert
from tinymed.serve.desk.loaded_model import LoadedModel
from tinymed.serve.desk.read_images import PictureKey, ReadImage


class GazingModel(SlowModel):
    """Its gates look at an image for as long as a test wants."""

    def __init__(self) -> None:
        super().__init__(with_scope=True)
        self.looks, self.may_look = threading.Event(), threading.Event()

    def loaded(self) -> LoadedModel:
        return replace(super().loaded(), look=self._look)

    def _look(self, _: ReceivedFrame) -> tuple[Alert, ...]:
        self.looks.set()
        self.may_look.wait(10)
        return ()


def test_a_client_that_leaves_while_the_gates_look_leaves_nothing_that_was_read(
    tmp_path: Path,
) -> None:
    """What was read stayed, as did the silence on its scope for who sent the same file again."""

    async def main() -> None:
        model = GazingModel()
        async with running(tmp_path, model) as service:
            model.may_encode.clear()
            sending = asyncio.create_task(service.receive(picture(), user="ada"))
            await until(lambda: model.looks.is_set() and model.thread_names)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            model.may_encode.set()
            await until(lambda: model.encoded)
            model.may_look.set()
            await until(lambda: not service._pictures._under_way)
            case = await service.receive(picture("other"), user="ada")
            await ask(service, case, "is it")
            assert service._desk.num_read_bytes() == 1000
            again = await service.receive(picture(), user="ada")
            await ask(service, again, "is it")
            assert [alert.code for alert in again.alerts] == ["image-out-of-scope"]

    asyncio.run(main())


def test_an_image_forgotten_just_before_it_is_kept_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        model = SlowModel()
        async with running(tmp_path, model) as service:
            loop, read = asyncio.get_running_loop(), service._desk._read_images
            model.may_encode.clear()
            case = await service.receive(picture(), user="ada")
            put = read.put

            def put_too_late(key: PictureKey, image: ReadImage) -> None:
                closing = asyncio.run_coroutine_threadsafe(service.close_case(case), loop)
                closing.result(10)
                put(key, image)

            monkeypatch.setattr(read, "put", put_too_late)
            model.may_encode.set()
            await until(lambda: case.image.is_forgotten)
            await asyncio.to_thread(service._desk.close)
            assert read.num_bytes() == 0

    asyncio.run(main())


def test_an_image_that_nobody_has_any_more_is_not_read(tmp_path: Path) -> None:
    async def main() -> None:
        model = SlowModel()
        async with running(tmp_path, model) as service:
            model.may_encode.clear()
            held = await service.receive(picture("held"), user="ada")
            await until(lambda: model.thread_names)
            case = await service.receive(picture(), user="ada")
            await service.close_case(case)
            model.may_encode.set()
            await ask(service, held, "is it")
            assert len(model.encoded) == 1

    asyncio.run(main())
