"""Work in a process of its own: its memory goes with it, and what it says is heard line by line."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Heard = TypeVar("Heard")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended(Generic[Heard]):
    """How a process ended."""

    heard: Heard
    """What the listener made of its lines."""
    returncode: int
    """Below 0: the signal that killed it."""
    complaints: list[str]
    """Lines of its stderr."""


def hear(
    command: Sequence[str],
    listen: Callable[[Iterable[str]], Heard],
    *,
    afterwards: Callable[[int], object] = lambda _: None,
) -> Ended[Heard]:
    """Run a command to its end; it is killed where this process is interrupted.

    Args:
        command: What to run.
        listen: Is given the lines of its stdout as they come.
        afterwards: Is given its number once it has ended, however it did.
    """
    # Errors go to a file: a second pipe would fill up while the first is read.
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, encoding="utf-8") as child,
    ):
        try:
            heard = listen(child.stdout or ())
            returncode = child.wait()
        finally:
            child.kill()  # where it is interrupted
            child.wait()
            afterwards(child.pid)
        errors.seek(0)
        complaints = errors.read().decode(errors="replace").splitlines()
    return Ended(heard=heard, returncode=returncode, complaints=complaints)
