"""tinymed logs verify: whether the audit's rows are those that were written."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tinymed.cli.logs.options import audit_file, file
from tinymed.cli.show_answer import show_json
from tinymed.errors import ConfigError, DataError

if TYPE_CHECKING:
    from tinymed.serve.audit.verify import Verified

_MAX_LISTED = 10


@click.command()
@file
@click.option(
    "--head",
    "noted",
    metavar="HEAD",
    help="A head that an earlier verify printed; only beside it a cut end can be seen.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and no progress.")
def verify(file: Path | None, *, noted: str | None, as_json: bool) -> None:
    """Walk the audit's chain and say which row breaks it first, if one does.

    Works beside a running server and on a copy, and changes nothing. Note the head that it
    prints somewhere else: whoever can write the file can also cut its end, or compute the chain
    anew, and that shows only beside an older head. Exit code 2 if the chain is broken.

    \b
    Example:
        tinymed logs verify
        tinymed logs verify --file copy.sqlite --head 812:5feceb66…
    """
    from tinymed.serve.audit.chain import Head
    from tinymed.serve.audit.verify import verify as walk

    try:
        head = Head.parse(noted) if noted else None
    except ValueError as error:
        raise ConfigError(
            f"'{noted}' is no head: write NUMBER:HASH as verify prints it."
        ) from error
    path = audit_file(file)
    found = walk(path, noted=head, progress=not as_json)
    if as_json:
        row = asdict(found) | {"is_intact": found.is_intact, "head": str(found.head)}
        show_json({"file": str(path)} | row)
    else:
        click.echo(_text(path, found, is_noted=head is not None))
    if found.broken:
        raise DataError(f"The audit '{path}' is broken: {found.broken.detail}")


def _text(path: Path, found: Verified, *, is_noted: bool) -> str:
    start = f" from row {found.first} on" if found.first not in (None, 1) else ""
    lines = [f"{path}: {found.num_rows} rows follow each other{start}"]
    if found.purges:
        lines.append(f"older rows were purged: see row {_listed(found.purges)}")
    if found.backwards:
        lines.append(f"the clock went back before row {_listed(found.backwards)}")
    if is_noted and not found.is_compared and not found.broken:
        lines.append("the noted row was purged since, so nothing was compared with its head")
    lines.append(f"head: {found.head}")
    return "\n".join(lines)


def _listed(numbers: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, numbers[:_MAX_LISTED]))
    num_more = len(numbers) - _MAX_LISTED
    return shown + (f" and {num_more} more" if num_more > 0 else "")
