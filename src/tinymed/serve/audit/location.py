"""Where the audit lies when nobody says otherwise."""

from __future__ import annotations

import os
from pathlib import Path

from tinymed.serve.audit.errors import AuditError


def state_folder() -> Path:
    """Where tinymed keeps what it must not lose.

    That is $TINYMED_STATE, else $XDG_STATE_HOME/tinymed, else ~/.local/state/tinymed. The folder
    need not exist yet.

    Raises:
        AuditError: If none of the three can be told.
    """
    if chosen := os.environ.get("TINYMED_STATE"):
        return Path(chosen).absolute()
    shared = Path(os.environ.get("XDG_STATE_HOME", ""))
    if shared.is_absolute():  # the XDG rule: a relative path counts as unset
        return shared / "tinymed"
    try:
        home = Path.home()
    except RuntimeError as error:
        raise AuditError(
            "Cannot tell where to keep the audit, because this user has no home folder. "
            "Set TINYMED_STATE to a folder you can write to."
        ) from error
    return home / ".local" / "state" / "tinymed"


def audit_path() -> Path:
    """The audit's file in the user's state folder."""
    return state_folder() / "audit.sqlite"
