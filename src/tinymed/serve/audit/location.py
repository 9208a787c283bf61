"""Where the audit lies when nobody says otherwise."""

from __future__ import annotations

from pathlib import Path

from tinymed.serve.audit.errors import AuditError
from tinymed.user_folder import user_folder


def state_folder() -> Path:
    """Where tinymed keeps what it must not lose.

    That is $TINYMED_STATE, else $XDG_STATE_HOME/tinymed, else ~/.local/state/tinymed. The folder
    need not exist yet.

    Raises:
        AuditError: If none of the three can be told.
    """
    return user_folder(
        "TINYMED_STATE",
        xdg="XDG_STATE_HOME",
        under_home=".local/state",
        keeps="the audit",
        error=AuditError,
    )


def audit_path() -> Path:
    """The audit's file in the user's state folder."""
    return state_folder() / "audit.sqlite"
