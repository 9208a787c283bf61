"""tinymed data check: what a file of questions holds, and what is wrong with it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from tinymed.errors import DataError


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(file: Path, *, as_json: bool) -> None:
    """Count what FILE holds, one question a JSON line, and everything odd about it.

    Exit code 2 if something keeps the file from being trained or measured on.

    \b
    Example:
        tinymed data check data/slake/train.jsonl
    """
    from tinymed.data.check import check_samples

    found = check_samples(file)
    if as_json:
        click.echo(json.dumps(asdict(found)))
    else:
        click.echo(
            f"{file}: {found.num_samples} questions ({found.num_open} open, "
            f"{found.num_closed} closed) on {found.num_images} images"
        )
        for what, count in found.oddities.items():
            click.echo(f"  {count} x {what}")
        for what, count in found.faults.items():
            click.echo(f"  FAULT: {count} x {what}")
    if found.faults:
        raise DataError(f"'{file}' cannot be used as it is: {', '.join(found.faults)}.")
