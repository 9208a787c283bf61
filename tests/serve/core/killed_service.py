"""A server in a process of its own, to be killed: prints its port and answers until then."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


async def main(folder: Path) -> None:
    from served import served

    async with served(folder) as (client, _):
        print(client.base_url.port, flush=True)  # noqa: T201 (the test reads it)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
