"""tinymed profile: what a model takes, planned, measured and weighed against its quality."""

from __future__ import annotations

import click

from tinymed.cli.profile.options import CONTEXT
from tinymed.cli.profile.pareto import pareto
from tinymed.cli.profile.plan import plan
from tinymed.cli.profile.report import report
from tinymed.cli.profile.run import run


@click.group(context_settings=CONTEXT)
def profile() -> None:
    """Know what a model takes: before a download, on this machine, and for its quality.

    \b
    Example:
        tinymed profile plan tinyllava-1.5b --device rtx-3050-4gb
    """


for _command in (plan, run, pareto, report):
    profile.add_command(_command)
