"""tinymed data: fetch, import and check data sets."""

from __future__ import annotations

import click

from tinymed.cli.data.check import check
from tinymed.cli.data.fetch import fetch
from tinymed.cli.data.import_ import import_
from tinymed.cli.data.listing import list_


@click.group()
def data() -> None:
    """Fetch, import and check data sets.

    \b
    Example:
        tinymed data fetch slake --out downloads/slake
        tinymed data import slake downloads/slake --out data/slake
    """


for _command in (list_, fetch, import_, check):
    data.add_command(_command)
