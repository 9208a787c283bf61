"""tinymed logs: the audit of served answers."""

from __future__ import annotations

import click

from tinymed.cli.logs.export import export
from tinymed.cli.logs.purge import purge
from tinymed.cli.logs.verify import verify


@click.group()
def logs() -> None:
    """Verify, export and purge the audit of served answers.

    \b
    Example:
        tinymed logs verify
        tinymed logs export --kind verdict --csv --out verdicts.csv
    """


for _command in (verify, export, purge):
    logs.add_command(_command)
