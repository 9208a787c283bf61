"""Why the audit could not be written or read, in a sentence."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

from tinymed.errors import UserError

_SEE_FOLDER = "see that its folder exists and is yours"
_REASONS = {
    "SQLITE_FULL": "the disk is full: free some of it",
    "SQLITE_READONLY": "it can only be read: make the file and its folder writable",
    "SQLITE_PERM": "it can only be read: make the file and its folder writable",
    "SQLITE_BUSY": "another program holds it: close that program",
    "SQLITE_LOCKED": "another program holds it: close that program",
    "SQLITE_CORRUPT": "the file is damaged: keep it, and name a new file with --audit",
    "SQLITE_NOTADB": "the file is no database: name another file",
    "SQLITE_CANTOPEN": f"the file cannot be opened: {_SEE_FOLDER}",
    "SQLITE_IOERR": "the disk did not do what it was asked: see that it is whole and not full",
    "SQLITE_CONSTRAINT": "its rows do not follow each other: run 'tinymed logs verify'",
    "SQLITE_ERROR": "somebody changed its tables: keep it, and name a new file with --audit",
}


class AuditError(UserError):
    """The audit cannot be used; where it cannot be written, no answer may be given."""


def audit_error(path: Path, error: sqlite3.Error | OSError, *, what: str) -> AuditError:
    """Say in one sentence why the audit cannot be `what` ("written", "read").

    >>> print(audit_error(Path("a.sqlite"), OSError(30, "Read-only file system"), what="written"))
    The audit 'a.sqlite' cannot be written: Read-only file system; see that its folder exists \
and is yours.
    """
    if isinstance(error, OSError):
        advice = "free some" if error.errno == errno.ENOSPC else _SEE_FOLDER
        reason = f"{error.strerror or error}; {advice}"
    else:
        # Extended codes, such as SQLITE_IOERR_WRITE, begin with the name of what they extend.
        name = "_".join(getattr(error, "sqlite_errorname", "").split("_")[:2])
        reason = _REASONS.get(name, str(error).rstrip("."))
    return AuditError(f"The audit '{path}' cannot be {what}: {reason}.")
