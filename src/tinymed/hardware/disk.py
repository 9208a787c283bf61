"""The disk on which a folder lies: how much room is left."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """Room where a folder lies or will lie."""

    folder: Path
    total_bytes: int
    free_bytes: int
    """That this user may fill."""
    is_writable: bool
    """Whether this user may make files there."""


def read_disk(folder: Path) -> Disk | None:
    """Room of the disk that holds a folder; of the nearest one above it while it is not there.

    Writes nothing.

    Returns:
        None where the system does not say.
    """
    nearest = next((one for one in (folder, *folder.parents) if one.exists()), None)
    if nearest is None:
        return None
    try:
        usage = shutil.disk_usage(nearest)
    except OSError:
        return None
    return Disk(
        folder=folder,
        total_bytes=usage.total,
        free_bytes=usage.free,
        is_writable=nearest.is_dir() and os.access(nearest, os.W_OK),
    )
