"""Starting the measuring process of a point and hearing what it tells."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from tinymed import errors
from tinymed.engines.child_process import hear
from tinymed.errors import HardwareError, TinymedError
from tinymed.profile.run.observation import Observation, Request, read_observation

CHILD = (sys.executable, "-m", "tinymed.profile.run.child")


def observe_in_process(request: Request, *, name: str, on_step: Callable[[], None]) -> Observation:
    """Measure a point in a fresh process of its own.

    So no point finds memory, caches or libraries that another one left.

    Args:
        request: What is measured.
        name: What errors call the point.
        on_step: Called after each repetition, warming ones too.

    Raises:
        TinymedError: Whatever stopped the measuring, as the process said it.
        HardwareError: If the process was killed, or ended without a word.
    """
    command = [*CHILD, json.dumps(asdict(request))]
    ended = hear(command, lambda lines: _last_row(lines, on_step))
    last = ended.heard
    if last is not None and "observed" in last:
        return read_observation(last["observed"])
    if last is not None and "error" in last:
        raise _error(last["kind"])(f"{name}: {last['error']}")
    raise HardwareError(_reason(name, ended.returncode, ended.complaints))


def _last_row(lines: Iterable[str], on_step: Callable[[], None]) -> dict[str, Any] | None:
    row: dict[str, Any] | None = None
    for line in lines:
        row = json.loads(line)
        if row is not None and "step" in row:
            on_step()
    return row


def _error(kind: str) -> type[TinymedError]:
    found: type[TinymedError] = getattr(errors, kind)
    return found


def _reason(name: str, returncode: int, said: list[str]) -> str:
    """Why a process ended without a result, in one sentence."""
    if returncode < 0:
        return (
            f"{name}: the measuring process was killed (signal {-returncode}), as happens where "
            "memory runs out. Close other programs, or look at: tinymed profile plan."
        )
    last = said[-1] if said else f"exit code {returncode}"
    return f"{name}: the measuring process failed ({last})."
