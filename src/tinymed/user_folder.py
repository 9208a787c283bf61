"""The folders of a user in which tinymed keeps things."""

from __future__ import annotations

import os
from pathlib import Path

from tinymed.errors import UserError


def user_folder(
    variable: str, *, xdg: str, under_home: str, keeps: str, error: type[UserError]
) -> Path:
    """Find a folder by tinymed's own variable, else by XDG's, else in the home folder.

    The folder need not exist yet.

    Args:
        variable: Names the folder itself, such as "TINYMED_CACHE".
        xdg: Names the folder around one called "tinymed", such as "XDG_CACHE_HOME".
        under_home: Where XDG has that folder when it is not named, such as ".cache".
        keeps: What is kept there, for the error.
        error: What is raised.

    Raises:
        UserError: Of the kind `error`, if none of the three can be told.
    """
    if chosen := os.environ.get(variable):
        return Path(chosen).absolute()
    shared = Path(os.environ.get(xdg, ""))
    if shared.is_absolute():  # the XDG rule: a relative path counts as unset
        return shared / "tinymed"
    try:
        home = Path.home()
    except RuntimeError as homeless:
        raise error(
            f"Cannot tell where to keep {keeps}, because this user has no home folder. "
            f"Set {variable} to a folder you can write to."
        ) from homeless
    return home / under_home / "tinymed"
