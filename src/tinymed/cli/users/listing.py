"""tinymed users list: who may sign in."""

from __future__ import annotations

from pathlib import Path

import click

from tinymed.cli.show_answer import show_json
from tinymed.cli.users import options


@click.command("list")
@options.file
@options.as_json
def list_(*, file: Path, as_json: bool) -> None:
    """List the names in a users file.

    \b
    Example:
        tinymed users list --file users.json
    """
    from tinymed.serve.access.users import read_users

    names = sorted(read_users(file))
    if as_json:
        show_json({"users": names})
        return
    for name in names:
        click.echo(name)
