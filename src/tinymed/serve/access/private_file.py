"""Files that hold secrets: nobody but their owner may read them."""

from __future__ import annotations

import os
from pathlib import Path

from tinymed.errors import ConfigError

_OTHERS = 0o077


def read_private(path: Path, *, what: str) -> str:
    """Read a file of secrets.

    Args:
        path: The file.
        what: What it is called in an error, such as "users file".

    Raises:
        ConfigError: If it cannot be read, is not UTF-8, or others on this computer may read it.
    """
    try:
        if os.name == "posix" and path.stat().st_mode & _OTHERS:
            raise ConfigError(
                f"Others on this computer can read the {what} '{path}': run chmod 600 '{path}'."
            )
        return path.read_text(encoding="utf-8-sig")  # some editors begin a file with a mark
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"Cannot read the {what} '{path}': {why}.") from error
