"""tinymed models bundle: a model as one file, or as pieces for a USB stick."""

from __future__ import annotations

import re
from pathlib import Path

import click

from tinymed.cli.show_answer import show_json

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def _size(context: click.Context, parameter: click.Parameter, text: str | None) -> int | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)([KMG]?)", text.upper())
    if not match:
        raise click.BadParameter("write a number and K, M or G, such as 1900M.", context, parameter)
    return int(match[1]) * _UNITS[match[2]]


@click.command()
@click.argument("model")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="FILE",
    help="The file to write.",
)
@click.option(
    "--split",
    "piece_bytes",
    callback=_size,
    metavar="SIZE",
    help="Write FILE.001, FILE.002, … of this size; 1900M suits any USB stick.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and no progress.")
def bundle(model: str, *, out: Path, piece_bytes: int | None, as_json: bool) -> None:
    """Write MODEL, a name or a folder, as one file that needs no network to install.

    A bundle holds everything the model needs, with a hash of each 4 MiB. Run again, the command
    goes on where it was cut short.

    \b
    Example:
        tinymed models bundle nano --out nano.tinymed
        tinymed models bundle runs/a/model --out /media/usb-stick/a.tinymed --split 1900M
    """
    from tinymed.models.bundle.write import write_bundle

    written = write_bundle(model, out, piece_bytes=piece_bytes, progress=not as_json)
    paths = [str(path) for path in written.paths]
    if as_json:
        name, kind = written.bundle.name, written.bundle.kind
        show_json({"name": name, "kind": kind, "files": paths, "num_bytes": written.num_bytes})
        return
    for path in paths:
        click.echo(path)
    click.echo("Next, on the other computer: tinymed models import FILE", err=True)
