"""The measuring process: `python -m tinymed.profile.run.child REQUEST`, a line of JSON a step."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, TextIO

from tinymed.errors import TinymedError
from tinymed.profile.run.observation import Repetition, Request
from tinymed.profile.run.opening import OpenEngine, import_engine, open_requested
from tinymed.profile.run.session import observe_point


def serve(
    request: Request, *, prepare: Callable[[], None], open_engine: Callable[[], OpenEngine]
) -> int:
    """Measure a point and tell of it on stdout, which nothing else gets.

    Lines are {"step": REPETITION or null}, and last {"observed": OBSERVATION} or {"error": …}.

    Returns:
        The process's exit code.
    """
    lines = _stdout_to_ourselves()

    def tell(row: Mapping[str, Any]) -> None:
        lines.write(json.dumps(row) + "\n")
        lines.flush()

    def on_step(repetition: Repetition | None) -> None:
        tell({"step": None if repetition is None else asdict(repetition)})

    try:
        observed = observe_point(request, prepare=prepare, open_engine=open_engine, on_step=on_step)
        tell({"observed": asdict(observed)})
    except TinymedError as error:
        tell({"error": str(error), "kind": type(error).__name__})
        return error.exit_code
    except BrokenPipeError:
        return 1  # nobody waits for it any more
    return 0


def _stdout_to_ourselves() -> TextIO:
    """The stdout of this process; what libraries print goes to stderr from now on."""
    mine = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return mine


def main() -> None:
    """Measure what the one argument asks for."""
    request = Request(**json.loads(sys.argv[1]))
    code = serve(
        request,
        prepare=lambda: import_engine(request),
        open_engine=lambda: open_requested(request),
    )
    sys.exit(code)


if __name__ == "__main__":
    main()
