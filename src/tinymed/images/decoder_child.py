"""The process that decodes: `python -m tinymed.images.decoder_child PARENT MEGABYTES SECONDS`.

Started and ended by `tinymed.images.decoder`. It hears jobs on its stdin and answers on its
stdout (see `decoder_messages`); it writes to no file and says nothing else.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from contextlib import suppress
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from tinymed.errors import ImageError
from tinymed.images.decoder_messages import READY, read_job, write_reply
from tinymed.images.receive import receive_image

_DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of Linux's prctl."""
_MAX_OPEN_FILES = 32
_SIDE_PX = 16
_LOADED_LATE = ("openjpeg", "pydicom.pixels.decoders.pylibjpeg", "pydicom.pixels.decoders.pillow")
"""What pydicom imports at the first compressed picture."""


def main(parent: int, megabytes: int, seconds: int) -> None:
    """Decode until stdin ends or the parent is gone.

    Args:
        parent: The parent's process id.
        megabytes: Memory a job may take beyond what a warm process holds.
        seconds: Processor time of a job.
    """
    _die_with(parent)
    jobs, replies = sys.stdin.buffer, sys.stdout.buffer
    _warm_up()
    _limit(megabytes)
    replies.write(READY)
    replies.flush()
    while job := read_job(jobs):
        _limit_processor_time(seconds)
        _answer(jobs, replies, *job)


def _answer(jobs: BinaryIO, replies: BinaryIO, num_bytes: int, frame: int | None) -> None:
    try:
        received = receive_image(jobs.read(num_bytes), frame=frame)
    except ImageError as error:
        write_reply(replies, str(error))
    else:
        write_reply(replies, received)


def _warm_up() -> None:
    """Decode one picture of each kind, so that the first real one finds every module loaded."""
    picture = Image.new("L", (_SIDE_PX, _SIDE_PX))
    for kind in ("PNG", "JPEG"):
        file = BytesIO()
        picture.save(file, format=kind)
        receive_image(file.getvalue())
    receive_image(_small_dicom())
    for module in _LOADED_LATE:
        with suppress(ImportError):
            import_module(module)


def _small_dicom() -> bytes:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = "1.2.3"
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows = dataset.Columns = _SIDE_PX
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 0
    dataset.PixelData = bytes(range(256)) * 2
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _die_with(parent: int) -> None:
    # Elsewhere the end of stdin has to do, and processor time where a decoder never reads on.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != parent:  # it died before
            sys.exit(1)


def _limit(megabytes: int) -> None:
    """Leave no core, no file written, few files open and, on Linux, bounded memory."""
    if sys.platform == "win32":
        return
    import resource  # not on Windows

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_MAX_OPEN_FILES, _MAX_OPEN_FILES))
    if sys.platform == "linux":
        num_pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = num_pages * resource.getpagesize() + megabytes * 1_000_000
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _limit_processor_time(seconds: int) -> None:
    if sys.platform == "win32":
        return
    import resource  # not on Windows

    _soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + seconds + 1, hard))


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
