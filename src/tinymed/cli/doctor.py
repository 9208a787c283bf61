"""`tinymed doctor`: what this machine is, what runs on it, and what is missing."""

from __future__ import annotations

import click

from tinymed.cli.show_answer import show_json

_NOTHING_RUNS = 3


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def doctor(context: click.Context, *, as_json: bool) -> None:
    """Tell what this machine is, what runs on it and how fast, and what is missing.

    Measures memory and processor for about three seconds, and keeps the figures in the cache:
    plans for this machine are made from them. Exit code 3 if nothing at all can run here.

    \b
    Example:
        tinymed doctor
        tinymed doctor --json
    """
    from tinymed.doctor.examine import examination_row, examine
    from tinymed.doctor.text import examination_text

    found = examine()
    if as_json:
        show_json(examination_row(found))
    else:
        click.echo(examination_text(found))
    if not found.can_run:
        context.exit(_NOTHING_RUNS)
