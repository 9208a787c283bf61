"""Decode strangers' files in a process that may be killed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from tinymed.errors import ImageError
from tinymed.images.decoder_process import DecoderProcess, ProcessDiedError
from tinymed.images.limits import MAX_FRAMES, check_file_size

if TYPE_CHECKING:
    from typing import Self

    from tinymed.images.received import ReceivedFrame


class Decoder:
    """A process, started ahead and kept warm, that decodes one file after the other.

    What kills, hangs or swells it is killed with it; the next file finds a new one. Calls may
    come from any thread and take turns. On Linux its memory is bounded (RLIMIT_AS) and it dies
    with this process however that ends; on macOS memory is not bounded, on Windows neither
    memory nor processor time nor files, and time always.

    Example:
        >>> with Decoder() as decoder:
        ...     decoder.decode(b"no image")
        Traceback (most recent call last):
            ...
        tinymed.errors.ImageError: Cannot read this file: it is a text file, not an image; \
choose a PNG, JPEG or DICOM file.
    """

    def __init__(self, *, seconds: float = 20.0, megabytes: int = 2000) -> None:
        """Start the process without waiting for it.

        Args:
            seconds: For one file, from the moment it is its turn.
            megabytes: Memory for one file, beyond what the process holds when idle.
        """
        self._seconds = seconds
        self._megabytes = megabytes
        self._process: DecoderProcess | None = None
        # A thread of its own, for as long as this object: Linux ends a child with the thread
        # that started it.
        self._turns = ThreadPoolExecutor(1, thread_name_prefix="tinymed-decoder")
        self._turns.submit(self._start)

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """End the process, after the calls that wait; a second time does nothing."""
        with suppress(RuntimeError):  # closed before
            self._turns.submit(self._end)
        self._turns.shutdown()

    @property
    def process_id(self) -> int | None:
        """Of the process now; another one after a file has killed it."""
        process = self._process
        return None if process is None else process.id

    def decode(self, data: bytes, *, frame: int | None = None) -> ReceivedFrame:
        """Decode one frame, as `tinymed.images.receive.receive_image` does.

        Args:
            data: The file's bytes.
            frame: From 0; None takes the middle one.

        Raises:
            ImageError: In one sentence: what is wrong with the file, what to do.
            HardwareError: If no process can be started.
        """
        try:
            check_file_size(len(data))
        except ImageError as error:
            raise ImageError(f"Cannot read this file: {error}.") from error
        if frame is not None and not 0 <= frame < MAX_FRAMES:
            raise ImageError(
                f"Cannot read this file: frames are counted from 0 to {MAX_FRAMES - 1} at most; "
                "ask for one of those."
            )
        reply = self._turns.submit(self._decoded, data, frame).result()
        if isinstance(reply, str):
            raise ImageError(reply)
        return reply

    def _decoded(self, data: bytes, frame: int | None) -> ReceivedFrame | str:
        for _try in range(2):
            process = self._process
            if process is None or not process.is_alive:
                process = self._start()
            try:
                return process.ask(data, frame, self._seconds)
            except ProcessDiedError as error:
                self._start()  # the next file finds it loaded
                if not error.is_by_others:  # or else it was not the file's fault
                    break
            except MemoryError:  # here: what is left of the reply must not meet the next file
                self._start()
                return (
                    "Cannot read this file: its picture takes more memory than there is; "
                    "export it at a lower resolution."
                )
        return (
            "Cannot read this file: its content is damaged, or takes more than "
            f"{self._seconds:g} s or {self._megabytes:,} MB to decode; "
            "export it again, smaller or uncompressed."
        )

    def _start(self) -> DecoderProcess:
        self._end()
        self._process = DecoderProcess(seconds=self._seconds, megabytes=self._megabytes)
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.end()
            self._process = None
