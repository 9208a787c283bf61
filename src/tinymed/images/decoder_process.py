"""One decoding process, and what is done when it does not answer."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from tinymed.errors import HardwareError
from tinymed.images.decoder_messages import READY, BadReplyError, read_reply, write_job

if TYPE_CHECKING:
    from tinymed.images.received import ReceivedFrame

_START_S: Final = 60.0
"""For Python and its modules to load, from a slow disk."""
_END_S: Final = 2.0
"""From the last that a process says to its end."""
_KEPT_VARIABLES: Final = (
    "HOME",
    "PYTHONHOME",
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "SYSTEMROOT",
)
"""What it takes to start the same Python; nothing else of the environment is handed on."""
_SIGNALS_OF_OTHERS: Final = (-9, -15)
"""SIGKILL and SIGTERM as return codes: nothing in a file raises these."""


class ProcessDiedError(Exception):
    """A decoding process ended, or was ended, without an answer."""

    def __init__(self, *, is_by_others: bool) -> None:
        """Keep whether somebody else killed it: a person, or a system short of memory."""
        super().__init__()
        self.is_by_others = is_by_others


class DecoderProcess:
    """A process of `tinymed.images.decoder_child`, for one thread."""

    def __init__(self, *, seconds: float, megabytes: int) -> None:
        """Start it without waiting for it.

        Raises:
            HardwareError: If it cannot be started.
        """
        limits = (str(os.getpid()), str(megabytes), str(math.ceil(seconds)))
        try:
            self._process = subprocess.Popen(
                # -B: it may not write files, the compiled modules' among them. -P: a numpy.py in
                # the current folder is none.
                [sys.executable, "-B", "-P", "-m", "tinymed.images.decoder_child", *limits],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # Codecs write what they please there, and nobody may read a patient's name.
                stderr=subprocess.DEVNULL,
                env=_environment(),
                start_new_session=True,  # Ctrl-C is for the parent, which drains first
            )
        except OSError as error:
            raise _no_start(str(error.strerror)) from error
        self._is_ready = False
        self._is_late = False

    @property
    def id(self) -> int:
        """The operating system's number for it."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended, as far as is known."""
        return self._process.poll() is None

    def ask(self, data: bytes, frame: int | None, seconds: float) -> ReceivedFrame | str:
        """Have a file decoded, and end the process where that fails.

        Returns:
            The frame, or the sentence that says why there is none.

        Raises:
            ProcessDiedError: If it gave no proper answer in time.
            HardwareError: If it did not even start.
        """
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        self._wait_until_ready()
        timer = self._timer(seconds)
        try:
            write_job(process.stdin, data, frame)
            reply = read_reply(process.stdout)
        except (OSError, ValueError, BadReplyError) as error:
            raise ProcessDiedError(is_by_others=self._ended_by_others()) from error
        finally:
            _stop(timer)
        if self._is_late:  # between its answer and here
            self.end()
        return reply

    def end(self) -> None:
        """Kill it and free what it held."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):  # what was not written finds no reader
                    stream.close()

    def _wait_until_ready(self) -> None:
        if self._is_ready:
            return
        assert self._process.stdout is not None
        timer = self._timer(_START_S)
        try:
            self._is_ready = self._process.stdout.read(len(READY)) == READY
        finally:
            _stop(timer)
        if not self._is_ready:
            is_by_others = self._ended_by_others()
            if is_by_others:
                raise ProcessDiedError(is_by_others=True)
            raise _no_start(f"code {self._process.returncode}")

    def _timer(self, seconds: float) -> threading.Timer:
        timer = threading.Timer(seconds, self._kill_late)
        timer.daemon = True
        timer.start()
        return timer

    def _kill_late(self) -> None:
        self._is_late = True
        self._process.kill()

    def _ended_by_others(self) -> bool:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        is_by_others = not self._is_late and self._process.returncode in _SIGNALS_OF_OTHERS
        self.end()
        return is_by_others


def _stop(timer: threading.Timer) -> None:
    timer.cancel()
    timer.join()  # or it might kill the process under the next file


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return kept | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def _no_start(reason: str) -> HardwareError:
    return HardwareError(
        f"The process that decodes images does not start ({reason}); "
        "free memory and processes, or start tinymed again."
    )
