"""The data sets that can be imported, by exact name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tinymed.data.imported import ImportedSet
from tinymed.data.slake import import_slake
from tinymed.data.vqa_rad import import_vqa_rad
from tinymed.errors import ConfigError

IMPORTERS: dict[str, Callable[[Path], ImportedSet]] = {
    "slake": import_slake,
    "vqa-rad": import_vqa_rad,
}


def import_set(name: str, folder: Path) -> ImportedSet:
    """Import a data set from a folder with its published files.

    Raises:
        ConfigError: If the name is not in the table.
        DataError: If the files are not as expected.
    """
    if name not in IMPORTERS:
        raise ConfigError(f"No data set '{name}'. Known: {', '.join(sorted(IMPORTERS))}.")
    return IMPORTERS[name](folder)
