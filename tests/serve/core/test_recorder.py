"""What was given to the audit is written, whoever leaves meanwhile."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

import pytest

from tinymed.serve.asked.recorder import Recorder
from tinymed.serve.audit.entry import Entry
from tinymed.serve.audit.errors import AuditError
from tinymed.serve.metrics import Metrics

FULL = "The audit 'a' cannot be written: the disk is full."


class SlowDisk:
    """Writes once it may, and down what it wrote."""

    def __init__(self, *, is_full: bool = False) -> None:
        self.kinds: list[str] = []
        self.begun = threading.Event()
        self.may_write = threading.Event()
        self._is_full = is_full

    def append(self, *entries: Entry) -> tuple[int, ...]:
        self.begun.set()
        self.may_write.wait(10)
        if self._is_full:
            raise AuditError(FULL)
        self.kinds += [entry.kind for entry in entries]
        return ()

    def close(self) -> None:
        pass


def test_a_closed_audit_takes_no_row() -> None:
    async def main() -> None:
        disk = SlowDisk()
        disk.may_write.set()
        recorder = Recorder(disk, Metrics())  # type: ignore[arg-type]
        await asyncio.to_thread(recorder.close)
        with pytest.raises(AuditError, match="the server is ending"):
            await recorder.write(Entry(kind="asked"))

    asyncio.run(main())


async def write_and_leave(disk: SlowDisk, recorder: Recorder) -> None:
    """Two rows are on their way, the second behind the first, when both writers leave."""
    writers = [
        asyncio.create_task(recorder.write(Entry(kind=kind))) for kind in ("asked", "verdict")
    ]
    await asyncio.to_thread(disk.begun.wait, 10)
    for writer in writers:
        writer.cancel()
    for writer in writers:
        with suppress(asyncio.CancelledError):
            await writer
    disk.may_write.set()
    await asyncio.to_thread(recorder.close)
    await asyncio.sleep(0)


def test_a_row_that_waits_behind_another_is_written_also_when_its_writer_leaves() -> None:
    disk = SlowDisk()
    asyncio.run(write_and_leave(disk, Recorder(disk, Metrics())))  # type: ignore[arg-type]
    assert disk.kinds == ["asked", "verdict"]


def test_a_row_that_could_not_be_written_is_counted_also_when_its_writer_left() -> None:
    disk, metrics = SlowDisk(is_full=True), Metrics()
    recorder = Recorder(disk, metrics)  # type: ignore[arg-type]
    asyncio.run(write_and_leave(disk, recorder))
    assert recorder.problem == FULL
    assert b"tinymed_audit_failures_total 2.0" in metrics.metrics_text()
