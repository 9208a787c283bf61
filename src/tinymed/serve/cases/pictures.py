"""The way of an image from bytes to what the model takes, in threads of its own."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from tinymed.engines.protocol import prepared
from tinymed.errors import TinymedError
from tinymed.images.received import ReceivedFrame
from tinymed.serve.cases.stored_image import StoredImage
from tinymed.serve.defects import told
from tinymed.serve.desk.jobs import Picture
from tinymed.serve.desk.loaded_model import LoadedModel
from tinymed.serve.metrics import Metrics
from tinymed.serve.refusals import NoSuchCaseError

Result = TypeVar("Result")

NUM_THREADS = 2


class DecodesImages(Protocol):
    """What decodes files of strangers: `tinymed.images.decoder.Decoder`."""

    @property
    def process_id(self) -> int | None:
        """Of the process that decodes, which a file may have killed."""
        ...

    def decode(self, data: bytes, *, frame: int | None = None) -> ReceivedFrame:
        """One frame; None takes the one to be shown first."""
        ...

    def close(self) -> None:
        """Decode no more."""
        ...


class Pictures:
    """Decodes, looks at and prepares images; for the event loop."""

    def __init__(self, decoder: DecodesImages, metrics: Metrics) -> None:
        self._decoder = decoder
        self._metrics = metrics
        self._process_id: int | None = None
        self._turn = threading.Lock()
        """Of who looks whether the process is still the same."""
        self._threads = ThreadPoolExecutor(NUM_THREADS, thread_name_prefix="tinymed-image")
        self._under_way: dict[tuple[StoredImage, int], asyncio.Task[Picture]] = {}
        self._model: LoadedModel | None = None

    def use(self, model: LoadedModel) -> None:
        """Prepare images for a model from now on."""
        self._model = model

    async def digest(self, body: bytes) -> str:
        """A file's sha256."""
        return await self._in_thread(lambda: hashlib.sha256(body).hexdigest())

    async def decode(self, sha256: str, body: bytes) -> StoredImage:
        """Decode the first frame that is to be shown of a file.

        Raises:
            ImageError: If it is no image that can be shown.
        """
        first = await self._in_thread(lambda: self._decoded(body, None))
        return StoredImage(sha256, body, first)

    async def frame(self, image: StoredImage, index: int) -> ReceivedFrame:
        """A frame, decoded now if it is not kept.

        Raises:
            ImageError: If it cannot be decoded.
            NoSuchCaseError: If the file is kept no longer.
        """
        found = image.frame(index)
        if found is None:
            if image.is_forgotten:
                raise NoSuchCaseError("There is no such case any more. Choose the image again.")
            body = image.body
            found = await self._in_thread(lambda: self._decoded(body, index))
            if not image.is_forgotten:
                image.keep(found)
        return found

    async def picture(
        self,
        image: StoredImage,
        index: int,
        *,
        on_prepared: Callable[[Picture], None] | None = None,
    ) -> Picture:
        """A frame as the model takes it, with what the gates before the model say of it.

        Whoever asks for one that is being made waits for that one.

        Args:
            image: The file.
            index: The frame, from 0.
            on_prepared: Told the picture before the gates have looked at it.

        Raises:
            ImageError: If the frame cannot be decoded.
        """
        found = image.picture(index)
        if found is not None:
            return found
        key = (image, index)
        if key not in self._under_way:
            task = asyncio.ensure_future(self._make(image, index, on_prepared))
            self._under_way[key] = task
            task.add_done_callback(lambda task: self._made(key, task))
        # Shielded: others may wait for it too.
        return await asyncio.shield(self._under_way[key])

    def close(self) -> None:
        """End what is under way; not for the event loop."""
        self._threads.shutdown(cancel_futures=True)
        self._decoder.close()

    def _decoded(self, body: bytes, frame: int | None) -> ReceivedFrame:
        try:
            return self._decoder.decode(body, frame=frame)
        finally:
            with self._turn:
                process_id = self._decoder.process_id
                if self._process_id not in (None, process_id):
                    self._metrics.count_decoder_restart()
                self._process_id = process_id

    async def _make(
        self, image: StoredImage, index: int, on_prepared: Callable[[Picture], None] | None
    ) -> Picture:
        model = self._model
        assert model is not None
        frame = await self.frame(image, index)
        pixels = await self._in_thread(lambda: prepared(model.engine, frame.image))
        picture = Picture(
            key=(image.sha256, index),
            pixels=pixels,
            has_spacing=frame.facts.has_spacing,
            forgotten=image.forgotten,
        )
        if on_prepared is not None:
            on_prepared(picture)
        picture.alerts = await self._in_thread(lambda: model.look(frame))
        image.keep_picture(index, picture)
        return picture

    def _made(self, key: tuple[StoredImage, int], task: asyncio.Task[Picture]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # known now, also where whoever waited for it has left

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        """Work in a thread; what fails there for no reason of ours is logged and told plainly."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        # Raised from itself, an error would keep the file until garbage is collected.
        except (asyncio.CancelledError, TinymedError):
            raise
        except BaseException as error:
            raise told(error, during="An image") from error
