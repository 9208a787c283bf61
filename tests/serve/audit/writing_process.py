"""A process that writes rows until it is killed, and tells each that is on the disk."""

from __future__ import annotations

import os
import sys
from itertools import count
from pathlib import Path

from tinymed.serve.audit.entry import Entry
from tinymed.serve.audit.log import AuditLog


def _write_on(path: Path) -> None:
    log = AuditLog.open(path)
    for index in count():
        body = {"index": index}
        numbers = log.append(Entry(kind="asked", body=body), Entry(kind="answered", body=body))
        os.write(1, f"{numbers[-1]}\n".encode())


if __name__ == "__main__":
    _write_on(Path(sys.argv[1]))
