"""Options that the commands of `tinymed logs` share."""

from __future__ import annotations

from pathlib import Path

import click

file = click.option(
    "--file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The audit; by default the one in your state folder.",
)


def audit_file(file: Path | None) -> Path:
    """The audit that was named, or the user's own."""
    from tinymed.serve.audit.location import audit_path

    return file or audit_path()
