"""tinymed users: who may sign in to the server."""

from __future__ import annotations

import click

from tinymed.cli.users.add import add
from tinymed.cli.users.listing import list_
from tinymed.cli.users.remove import remove


@click.group()
def users() -> None:
    """Say who may sign in to a server.

    \b
    Example:
        tinymed users add amina --file users.json
        tinymed serve --users users.json
    """


for _command in (add, list_, remove):
    users.add_command(_command)
