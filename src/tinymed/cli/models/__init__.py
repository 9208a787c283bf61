"""tinymed models: bring models here, take them along, and check them."""

from __future__ import annotations

import click

from tinymed.cli.models.bundle import bundle
from tinymed.cli.models.check import check
from tinymed.cli.models.import_ import import_
from tinymed.cli.models.listing import list_
from tinymed.cli.models.pull import pull
from tinymed.cli.models.rm import rm
from tinymed.cli.models.show import show


@click.group()
def models() -> None:
    """List, fetch and check models.

    \b
    Example:
        tinymed models pull nano
        tinymed models bundle nano --out nano.tinymed
    """


for _command in (list_, show, pull, bundle, import_, check, rm):
    models.add_command(_command)
