"""tinymed logs purge: delete old rows of the audit."""

from __future__ import annotations

import getpass
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from tinymed.cli.logs.options import audit_file, file
from tinymed.cli.show_answer import show_json
from tinymed.errors import ConfigError


def _age(context: click.Context, parameter: click.Parameter, text: str) -> timedelta:
    match = re.fullmatch(r"(\d{1,5})d", text)
    if not match:
        raise click.BadParameter("write a number of days, such as 90d.", context, parameter)
    return timedelta(days=int(match[1]))


@click.command()
@click.option(
    "--older-than", "age", callback=_age, required=True, metavar="DAYS", help="As in 90d."
)
@file
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; needs --yes.")
def purge(age: timedelta, *, file: Path | None, yes: bool, as_json: bool) -> None:
    """Delete the audit's rows that are older than some days, for good.

    What is kept can still be verified, and a row says what was deleted, when and by whom. Stop
    the server first: while it runs, it holds the audit. Asks you to type how many rows will go.

    \b
    Example:
        tinymed logs purge --older-than 90d
    """
    from tinymed.serve.audit.purge import held_back, purgeable
    from tinymed.serve.audit.purge import purge as delete

    if as_json and not yes:
        raise ConfigError("--json cannot ask: add --yes.")
    path = audit_file(file)
    before = datetime.now(UTC) - age
    doomed = purgeable(path, before=before)
    if doomed and not yes:
        click.echo(f"{path}: rows {doomed.first} to {doomed.last.number} are older.", err=True)
        typed = click.prompt(
            f"Type {doomed.num_rows} to delete these {doomed.num_rows} rows", err=True
        )
        if typed.strip() != str(doomed.num_rows):
            raise ConfigError("Nothing was deleted: that is not the number of rows.")
    gone = delete(path, before=before, user=_user(), progress=not as_json)
    num_rows = gone.num_rows if gone else 0
    held = held_back(path, before=before)
    if as_json:
        num_held = held.num_rows if held else 0
        show_json({"file": str(path), "num_rows": num_rows, "num_held_back": num_held})
        return
    click.echo(f"{path}: {num_rows} rows deleted")
    if held:
        click.echo(
            f"{held.num_rows} older rows stay, since rows go in order and row {held.by} before "
            f"them is dated {held.time}: the clock had been wrong"
        )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have a number and no name
        return str(os.getuid())
