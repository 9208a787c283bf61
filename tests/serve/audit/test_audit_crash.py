"""No acknowledged row is lost by a kill, a power cut or a full disk, and none is half there."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from written_audit import bodies, entry, write

from tinymed.serve.audit.errors import AuditError
from tinymed.serve.audit.log import AuditLog
from tinymed.serve.audit.store import open_to_write
from tinymed.serve.audit.verify import verify

_WRITER = Path(__file__).parent / "writing_process.py"
_SECTOR = 512
_WAL_HEADER, _FRAME = 32, 24 + 4096


def _kill_once(path: Path, after_s: float) -> int:
    """Start a writer, kill it some time after its first row; the last row it acknowledged."""
    with subprocess.Popen([sys.executable, _WRITER, path], stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        first = writer.stdout.readline()
        time.sleep(after_s)
        writer.send_signal(signal.SIGKILL)
        told = (first + writer.stdout.read()).split(b"\n")[:-1]  # what follows is torn
    return int(told[-1])


def _kill_often(path: Path, times: int) -> None:
    chance = random.Random(times)
    for _ in range(times):
        acknowledged = _kill_once(path, chance.uniform(0, 0.25))
        found = verify(path)
        assert found.is_intact
        assert found.num_rows >= acknowledged
        assert found.num_rows % 2 == 0  # a question and its answer are one transaction
    write(path, "the next server")  # is not kept out by a lock or a torn WAL
    assert verify(path).is_intact


def test_kill_loses_no_acknowledged_row(tmp_path: Path) -> None:
    _kill_often(tmp_path / "audit.sqlite", 3)


@pytest.mark.slow
def test_fifty_kills_lose_no_acknowledged_row(tmp_path: Path) -> None:
    _kill_often(tmp_path / "audit.sqlite", 50)


def _put(folder: Path, database: bytes, wal: bytes) -> Path:
    """The two files as a power cut left them; the index of the WAL is memory and is gone."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "audit.sqlite").write_bytes(database)
    (folder / "audit.sqlite-wal").write_bytes(wal)
    return folder / "audit.sqlite"


def _recovered(path: Path) -> int:
    """Open as the next server does; how many rows there are, all of them right."""
    with closing(open_to_write(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    found = verify(path)
    assert found.is_intact
    expected = [
        json.dumps({"question": str(number)}, separators=(",", ":"))
        for number in range(found.num_rows)
    ]
    assert bodies(path) == expected
    return found.num_rows


def _written_end(before: bytes, after: bytes) -> int:
    """Where the frames end that were written to a WAL between two looks at it."""
    changed = (
        at for at in range(len(after) - 1, -1, -1) if after[at : at + 1] != before[at : at + 1]
    )
    return _WAL_HEADER + -(-(next(changed) + 1 - _WAL_HEADER) // _FRAME) * _FRAME


@pytest.fixture
def in_memory(tmp_path: Path) -> Iterator[Path]:
    """A folder that does not wait for a disk, if there is one: for hundreds of recoveries."""
    shared = Path("/dev/shm")
    if not shared.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        yield Path(folder)


@pytest.mark.parametrize("is_reused", [False, True], ids=["new WAL", "reused WAL"])
def test_a_wal_cut_at_any_sector_keeps_the_rows_that_were_acknowledged_before_the_cut(
    tmp_path: Path, in_memory: Path, *, is_reused: bool
) -> None:
    # FULL promises that the WAL is on the disk up to an acknowledged row's last frame. A power
    # cut may lose all behind that, or leave there what an old block held.
    path, wal_path = tmp_path / "audit.sqlite", tmp_path / "audit.sqlite-wal"
    log = AuditLog.open(path)
    first = 0
    if is_reused:  # the next row is written over the WAL's beginning
        first = 5
        for number in range(first):
            log.append(entry(str(number)))
        log._connection.execute("PRAGMA wal_checkpoint(FULL)")
    database, looks, ends = path.read_bytes(), [wal_path.read_bytes()], []
    for number in range(first, first + 4):
        log.append(entry(str(number)))
        looks.append(wal_path.read_bytes())
        ends.append(_written_end(*looks[-2:]))
    assert path.read_bytes() == database  # no checkpoint came between
    log.close()
    wal, noise = looks[-1], random.Random(0).randbytes(len(looks[-1]))
    assert sorted(set(ends)) == ends
    counts = set()
    for cut in range(0, ends[-1] + _SECTOR, _SECTOR):
        acknowledged = first + sum(end <= cut for end in ends)
        for rest in (b"", noise[cut:], looks[0][cut:]):
            num_rows = _recovered(_put(in_memory / "after", database, wal[:cut] + rest))
            assert num_rows == acknowledged
            counts.add(num_rows)
    assert counts == set(range(first, first + 5))


def test_a_power_cut_amid_a_checkpoint_loses_nothing(tmp_path: Path, in_memory: Path) -> None:
    path, wal_path = tmp_path / "audit.sqlite", tmp_path / "audit.sqlite-wal"
    log = AuditLog.open(path)
    for number in range(12):
        log.append(entry(str(number)))
    before, wal = path.read_bytes(), wal_path.read_bytes()
    log._connection.execute("PRAGMA wal_checkpoint(FULL)")
    after = path.read_bytes()
    log.close()
    assert before != after
    for cut in range(0, len(after) + _SECTOR, _SECTOR):
        for torn in (after[:cut] + before[cut:], before[:cut] + after[cut:]):
            assert _recovered(_put(in_memory / "after", torn, wal)) == 12


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", folder]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a file system here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def _fill(file: Path) -> None:
    with file.open("wb", buffering=0) as stream, suppress(OSError):
        while True:
            stream.write(bytes(4096))


def test_a_full_disk_refuses_rows_until_there_is_room_again(small_disk: Path) -> None:
    path = small_disk / "audit.sqlite"
    filler = small_disk / "filler"
    log = AuditLog.open(path)
    log.append(entry("before"))
    _fill(filler)
    num_rows = 1
    with pytest.raises(AuditError, match="disk is full: free some of it"):  # noqa: PT012
        while num_rows < 1000:
            num_rows = log.append(entry("a"), entry("b" * 5000))[-1]
    filler.unlink()
    assert log.append(entry("after")) == (num_rows + 1,)
    log.close()
    found = verify(path)
    assert found.is_intact
    assert found.num_rows == num_rows + 1


def test_a_disk_too_full_to_begin_says_so(small_disk: Path) -> None:
    _fill(small_disk / "filler")
    with pytest.raises(AuditError, match=r"disk is full|No space"):
        AuditLog.open(small_disk / "audit.sqlite")


def test_a_file_that_may_not_grow_refuses_rows_and_stays_whole(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    program = (
        "import sys, resource; from pathlib import Path\n"
        "from tinymed.serve.audit.log import AuditLog\n"
        "from tinymed.serve.audit.entry import Entry\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "log = AuditLog.open(Path(sys.argv[1]))\n"
        "for index in range(1000):\n"
        "    print(log.append(Entry(kind='asked', body={'q': 'x' * 900}))[0], flush=True)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, check=False
    )
    assert "AuditError: The audit" in ended.stderr
    assert "the disk did not do what it was asked" in ended.stderr
    found = verify(path)
    assert found.is_intact
    assert found.num_rows == int(ended.stdout.split()[-1]) < 1000
