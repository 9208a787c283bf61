"""Images that come inside other files, written as files of their own."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

from tinymed.errors import DataError
from tinymed.runs import write_bytes

_KINDS = (
    (0, b"\x89PNG\r\n\x1a\n", ".png"),
    (0, b"\xff\xd8\xff", ".jpg"),
    (128, b"DICM", ".dcm"),
    (0, b"GIF8", ".gif"),
    (0, b"BM", ".bmp"),
    (0, b"II*\0", ".tif"),
    (0, b"MM\0*", ".tif"),
    (8, b"WEBP", ".webp"),
)
_READABLE = (".png", ".jpg", ".dcm")
_NAME_CHARACTERS = 32


def store_image(content: bytes, folder: Path, *, where: str, remarks: Counter[str]) -> Path:
    """Write an image under a name made of its content, so that one image is one file.

    What is there already is not written again. Kinds that tinymed cannot open are kept as
    they are and counted.

    Returns:
        The file's absolute path.

    Raises:
        DataError: If the bytes are no image.
    """
    kinds = [suffix for at, magic, suffix in _KINDS if content[at : at + len(magic)] == magic]
    if not kinds:
        raise DataError(f"{where}: the image is of no known kind ({len(content)} bytes).")
    if kinds[0] not in _READABLE:
        remarks[f"{kinds[0]} image (kept; tinymed opens PNG, JPEG and DICOM)"] += 1
    digest = hashlib.sha256(content).hexdigest()[:_NAME_CHARACTERS]
    path = folder.resolve() / f"{digest}{kinds[0]}"
    if not path.is_file() or path.stat().st_size != len(content):
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content)
    return path
