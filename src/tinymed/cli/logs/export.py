"""tinymed logs export: rows of the audit for a reviewer or a program."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import click

from tinymed.cli.logs.options import audit_file, file
from tinymed.cli.show_answer import show_json
from tinymed.errors import ConfigError, DataError


def _moment(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        wanted = "write a day such as 2026-11-22, or a time such as 2026-11-22T14:00."
        raise click.BadParameter(wanted, context, parameter) from error


@click.command()
@file
@click.option("--since", callback=_moment, metavar="TIME", help="From this time on; in UTC.")
@click.option("--until", callback=_moment, metavar="TIME", help="Before this time; in UTC.")
@click.option("--kind", default="", help="Only these, such as answered or verdict.")
@click.option("--case", default="", help="Only of this case.")
@click.option("--user", default="", help="Only of this user.")
@click.option("--csv", "as_csv", is_flag=True, help="Write CSV for a spreadsheet.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="A file that is not there yet."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object; needs --out.")
def export(  # noqa: PLR0913 - one parameter an option
    file: Path | None,
    *,
    since: datetime | None,
    until: datetime | None,
    kind: str,
    case: str,
    user: str,
    as_csv: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Write rows of the audit, one a line: JSON, or CSV.

    Of the kind "verdict" a row holds the question, the answer and the verdict together, which is
    what a reviewer needs. Works beside a running server.

    \b
    Example:
        tinymed logs export --since 2026-11-01 --until 2026-12-01
        tinymed logs export --kind verdict --csv --out verdicts.csv
    """
    from tinymed.serve.audit.export import Selection
    from tinymed.serve.audit.export import export as write

    if as_json and out is None:
        raise ConfigError("--json says what was written to a file: add --out.")
    chosen = Selection(since=since, until=until, kind=kind, case=case, user=user)
    path = audit_file(file)
    if out is None:
        if isinstance(sys.stdout, io.TextIOWrapper):  # whatever letters the terminal has
            sys.stdout.reconfigure(encoding="utf-8", newline="")
        write(path, sys.stdout, chosen, as_csv=as_csv)
        return
    # A spreadsheet takes CSV for UTF-8 only where it begins with that mark.
    with _new_file(out, encoding="utf-8-sig" if as_csv else "utf-8") as stream:
        num_rows = write(path, stream, chosen, as_csv=as_csv, progress=not as_json)
    if as_json:
        show_json({"out": str(out), "num_rows": num_rows})
    else:
        click.echo(f"{out}: {num_rows} rows")


@contextmanager
def _new_file(out: Path, *, encoding: str) -> Iterator[TextIO]:
    """A file for its owner alone, under its name once it is written to its end."""
    if os.path.lexists(out):
        raise DataError(f"Cannot write '{out}': there is such a file. Name a new file.")
    partial = out.with_name(out.name + ".partial")
    try:
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise DataError(f"Cannot write '{out}': {error.strerror}. Name a new file.") from error
    try:
        with os.fdopen(descriptor, "w", encoding=encoding, newline="") as stream:
            yield stream
        partial.rename(out)
    except OSError as error:
        partial.unlink()
        raise DataError(f"Cannot write '{out}': {error.strerror}.") from error
    except BaseException:
        partial.unlink()
        raise
