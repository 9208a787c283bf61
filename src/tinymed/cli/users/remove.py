"""tinymed users remove: let somebody sign in no more."""

from __future__ import annotations

from pathlib import Path

import click

from tinymed.cli.show_answer import show_json
from tinymed.cli.users import options


@click.command()
@click.argument("name")
@options.file
@options.as_json
def remove(name: str, *, file: Path, as_json: bool) -> None:
    """Let NAME sign in no more; a running server ends NAME's sessions at once.

    \b
    Example:
        tinymed users remove amina --file users.json
    """
    from tinymed.serve.access.users import remove_user

    remove_user(file, name)
    if as_json:
        show_json({"removed": name, "file": str(file)})
        return
    click.echo(f"{name} can no longer sign in.")
