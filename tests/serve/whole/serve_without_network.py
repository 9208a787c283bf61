"""Run inside a network namespace: serve, ask, and tell who talked to anything but loopback."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import psutil
from real_server import chest_file, real_server


def foreign_connections(process_id: int) -> list[str]:
    """Connections of a process and its children that lead elsewhere, tried or made."""
    whole = psutil.Process(process_id)
    return [
        f"{connection.raddr.ip}:{connection.raddr.port}"
        for one in (whole, *whole.children(recursive=True))
        for connection in one.net_connections("inet")
        if connection.raddr and not connection.raddr.ip.startswith(("127.", "::1"))
    ]


def main(folder: Path) -> None:
    """Serve, ask once, print what was answered and where connections led."""
    with real_server(folder / "audit.sqlite") as server:
        case = server.open_case(chest_file().read_bytes())["case"]
        answer = server.ask(case, "Where is the abnormality?")["answer"]["text"]
        found = foreign_connections(server.process.pid)
    json.dump({"answer": answer, "connections": found}, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
