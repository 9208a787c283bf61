"""No file kills the process that asks for its picture, and none keeps it waiting."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from pydicom.data import get_testdata_file

sys.path.insert(0, str(Path(__file__).parent))

from malformed import REFUSED, SHOWN, dicom, jpeg, jpeg_of_many_scans

from tinymed.errors import HardwareError, ImageError
from tinymed.images import decoder_process
from tinymed.images.decoder import Decoder
from tinymed.images.decoder_messages import write_job
from tinymed.images.receive import receive_image
from tinymed.images.received import ReceivedFrame

SECONDS = 20.0
MEGABYTES = 2000
DAMAGED = "its content is damaged, or takes more than "


@pytest.fixture(scope="module")
def shared_decoder() -> Iterator[Decoder]:
    """One process for all files, as a server has."""
    with Decoder(seconds=SECONDS, megabytes=MEGABYTES) as decoder:
        yield decoder


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A file that a process has been given."""

    process_id: int
    frame: Future[ReceivedFrame]


def sentence(decoder: Decoder, data: bytes) -> str:
    """Decode what must be refused; give the sentence."""
    with pytest.raises(ImageError) as caught:
        decoder.decode(data)
    message = str(caught.value)
    assert message.startswith("Cannot read this file: ")
    assert message.endswith(".")
    assert message.isprintable()
    return message


def assert_lives(decoder: Decoder) -> None:
    """See that a good file is decoded rightly."""
    picture = decoder.decode(dicom(WindowCenter=512, WindowWidth=1024)).image.pixels
    assert np.abs(picture[..., 0].ravel() - np.linspace(0, 255, 1024)).max() <= 1


def processor_s(process_id: int) -> float:
    """Processor seconds a process has used."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_running(process_id: int) -> bool:
    """Whether a process has neither ended nor only to be waited for."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def ended(process_id: int, *, within_s: float = 10) -> bool:
    """Wait a while for a process to end."""
    for _ in range(int(within_s / 0.05)):
        if not is_running(process_id):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("name", REFUSED)
def test_a_malformed_file_gives_one_sentence_soon(shared_decoder: Decoder, name: str) -> None:
    build, words = REFUSED[name]
    data = build()
    assert_lives(shared_decoder)
    process_id = shared_decoder.process_id
    assert process_id is not None
    before_s = processor_s(process_id)
    refusal = sentence(shared_decoder, data)
    assert words in refusal
    assert shared_decoder.process_id == process_id  # none of these takes the process with it
    assert processor_s(process_id) - before_s < 2
    assert_lives(shared_decoder)
    with pytest.raises(ImageError) as caught:
        receive_image(data)
    assert str(caught.value) == refusal


@pytest.mark.parametrize("name", SHOWN)
def test_a_strange_file_is_shown_as_in_this_process(shared_decoder: Decoder, name: str) -> None:
    data = SHOWN[name]()
    here, there = receive_image(data), shared_decoder.decode(data)
    assert (here.image.pixels == there.image.pixels).all()
    assert here.image.notes == there.image.notes
    assert here.private_words == there.private_words


def assert_same(here: ReceivedFrame, there: ReceivedFrame) -> None:
    """Compare what came through the pipes with what was made here."""
    assert (here.image.pixels == there.image.pixels).all()
    assert (here.levels is None) == (there.levels is None)
    if here.levels is not None and there.levels is not None:
        assert here.levels.values.dtype == there.levels.values.dtype
        assert (here.levels.values == there.levels.values).all()
        assert (here.levels.center, here.levels.width) == (there.levels.center, there.levels.width)
        assert here.levels.is_inverted is there.levels.is_inverted
    for name in ("frame", "num_frames", "facts", "private_words"):
        assert getattr(here, name) == getattr(there, name)
    assert (here.image.source, here.image.notes) == (there.image.source, there.image.notes)


@pytest.mark.parametrize(
    "name", ["RG1_UNCR.dcm", "US1_J2KR.dcm", "OBXXXX1A.dcm", "CT_small.dcm", "image_dfl.dcm"]
)
def test_a_good_file_comes_through_as_it_is(shared_decoder: Decoder, name: str) -> None:
    data = Path(str(get_testdata_file(name, download=False))).read_bytes()
    assert_same(receive_image(data), shared_decoder.decode(data))


def test_a_photo_comes_through_as_it_is(shared_decoder: Decoder) -> None:
    assert_same(receive_image(jpeg(300, 200)), shared_decoder.decode(jpeg(300, 200)))


def test_a_frame_asked_for_is_the_one_given(shared_decoder: Decoder) -> None:
    data = Path(str(get_testdata_file("emri_small.dcm", download=False))).read_bytes()
    frames = [shared_decoder.decode(data, frame=index) for index in (0, 9)]
    assert [frame.frame for frame in frames] == [0, 9]
    assert (frames[0].image.pixels != frames[1].image.pixels).any()
    assert shared_decoder.decode(data).frame == 4


@pytest.mark.parametrize("frame", [-1, 10, 2**70])
def test_a_frame_that_is_not_there_is_refused(shared_decoder: Decoder, frame: int) -> None:
    data = Path(str(get_testdata_file("emri_small.dcm", download=False))).read_bytes()
    with pytest.raises(ImageError, match=r"^Cannot read this file: .*frame"):
        shared_decoder.decode(data, frame=frame)


def test_calls_from_several_threads_take_turns(shared_decoder: Decoder) -> None:
    data = [dicom(WindowCenter=center, WindowWidth=100) for center in range(100, 900, 50)]
    with ThreadPoolExecutor(8) as threads:
        frames = list(threads.map(shared_decoder.decode, data))
    windows = [frame.levels.center for frame in frames if frame.levels is not None]
    assert windows == list(range(100, 900, 50))


def test_a_file_that_takes_too_long_is_given_up_and_the_next_is_decoded(
    shared_decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_lives(shared_decoder)
    first = shared_decoder.process_id
    with monkeypatch.context() as hasty:  # for this file alone: a good one may have to wait
        hasty.setattr(shared_decoder, "_seconds", 0.3)
        refusal = sentence(shared_decoder, jpeg_of_many_scans(10))
    assert f"{DAMAGED}0.3 s or 2,000 MB to decode" in refusal
    assert first is not None
    assert ended(first)
    assert shared_decoder.process_id not in (None, first)  # before anybody asks again
    assert_lives(shared_decoder)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds memory")
def test_a_file_that_takes_too_much_memory_is_given_up_and_the_next_is_decoded() -> None:
    with Decoder(megabytes=60) as decoder:
        assert "memory" in sentence(decoder, jpeg(6000, 6000))
        assert_lives(decoder)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds memory")
def test_a_file_larger_than_the_memory_is_given_up() -> None:
    with Decoder(megabytes=40) as decoder:
        assert DAMAGED in sentence(decoder, dicom() + b"\0" * 100_000_000)
        assert_lives(decoder)


def test_a_picture_that_finds_no_memory_here_leaves_nothing_to_the_next_file(
    shared_decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_memory(stream: IO[bytes]) -> ReceivedFrame | str:
        stream.readline()  # so much of the reply is read
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(decoder_process, "read_reply", without_memory)
        assert "takes more memory than there is" in sentence(shared_decoder, dicom())
    assert_lives(shared_decoder)


def test_a_process_killed_between_two_files_is_replaced(shared_decoder: Decoder) -> None:
    assert_lives(shared_decoder)
    killed = shared_decoder.process_id
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    assert_lives(shared_decoder)
    assert shared_decoder.process_id != killed


@contextmanager
def under_way(decoder: Decoder, data: bytes, patch: pytest.MonkeyPatch) -> Iterator[_Asked]:
    """Ask for a file of a process that stands still, and go on once it has been sent the file."""
    assert_lives(decoder)
    process_id = decoder.process_id
    assert process_id is not None
    is_sent = threading.Event()

    def send(stream: IO[bytes], data: bytes, frame: int | None) -> None:
        write_job(stream, data, frame)
        is_sent.set()

    os.kill(process_id, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as threads, patch.context() as patched:
        patched.setattr(decoder_process, "write_job", send)
        frame = threads.submit(decoder.decode, data)
        assert is_sent.wait(20)
        yield _Asked(process_id=process_id, frame=frame)


def test_a_file_whose_process_others_killed_is_decoded_by_the_next(
    shared_decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with under_way(shared_decoder, jpeg(40, 30), monkeypatch) as asked:
        os.kill(asked.process_id, signal.SIGKILL)
        assert asked.frame.result().image.pixels.shape == (30, 40, 3)
    assert shared_decoder.process_id != asked.process_id


def test_a_file_whose_process_aborts_is_refused_and_not_tried_again(
    shared_decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with under_way(shared_decoder, jpeg(40, 30), monkeypatch) as asked:
        os.kill(asked.process_id, signal.SIGABRT)  # as one in Rust does where memory ends
        os.kill(asked.process_id, signal.SIGCONT)
        with pytest.raises(ImageError, match=DAMAGED):
            asked.frame.result()
    assert_lives(shared_decoder)


PARENT = """
import sys, time
from tinymed.errors import ImageError
from tinymed.images.decoder import Decoder
from tinymed.images.decoder_messages import write_job
decoder = Decoder()
try:
    decoder.decode(b"text")
except ImageError:
    pass
print(decoder.process_id, flush=True)
{then}
"""


def test_a_killed_parent_leaves_no_process_behind() -> None:
    command = [sys.executable, "-c", PARENT.format(then="time.sleep(60)")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_running(child)
        parent.kill()
        assert ended(child)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it ends with its file")
def test_a_parent_killed_while_a_file_is_decoded_leaves_no_process_behind(tmp_path: Path) -> None:
    (tmp_path / "slow").write_bytes(jpeg_of_many_scans(94, width=2500, height=3900))
    then = f"decoder.decode(open({str(tmp_path / 'slow')!r}, 'rb').read())"
    command = [sys.executable, "-c", PARENT.format(then=then)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        before_s = processor_s(child)
        while processor_s(child) - before_s < 0.1:
            time.sleep(0.01)
        parent.kill()
        assert ended(child, within_s=1.5)  # the file takes several


def test_a_parent_that_forgets_to_close_ends_by_itself() -> None:
    command = [sys.executable, "-c", PARENT.format(then="")]
    finished = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60)
    assert ended(int(finished.stdout))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_process_is_given_nothing_but_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYMED_TOKEN", "secret")
    with Decoder(seconds=7, megabytes=300) as decoder:
        assert_lives(decoder)
        folder = Path(f"/proc/{decoder.process_id}")
        assert b"secret" not in (folder / "environ").read_bytes()
        limits = {line[:25].strip(): line[26:46].strip() for line in _lines(folder / "limits")}
        assert limits["Max core file size"] == limits["Max file size"] == "0"
        assert limits["Max open files"] == "32"
        assert 300e6 < int(limits["Max address space"]) < 600e6
        assert 7 < int(limits["Max cpu time"]) < 60
        opened = [str(entry.readlink()) for entry in (folder / "fd").iterdir()]
        assert sorted(name.split(":")[0] for name in opened) == ["/dev/null", "pipe", "pipe"]


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_a_module_in_the_current_folder_is_not_taken_for_the_real_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit(3)\n")
    monkeypatch.chdir(tmp_path)
    with Decoder() as decoder:
        assert_lives(decoder)


def test_closing_ends_the_process_and_may_be_repeated() -> None:
    with Decoder() as decoder:
        assert_lives(decoder)
        process_id = decoder.process_id
        decoder.close()
        assert process_id is not None
        assert not is_running(process_id)
        assert decoder.process_id is None


def test_a_process_that_does_not_start_is_no_fault_of_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decoder_process.sys, "executable", "/none/python")
    with Decoder() as decoder, pytest.raises(HardwareError, match="does not start"):
        decoder.decode(dicom())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_number_of_files() -> None:
    data = [jpeg(700, 700), dicom(), SHOWN["a lookup table that covers few levels"]()]
    with Decoder() as decoder:

        def resident_mib() -> float:
            fields = Path(f"/proc/{decoder.process_id}/statm").read_text().split()
            return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

        for number in range(60):
            decoder.decode(data[number % 3])
        before_mib = resident_mib()
        for number in range(600):
            decoder.decode(data[number % 3])
        assert resident_mib() < before_mib + 3
