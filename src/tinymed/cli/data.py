"""`tinymed data`: import public data sets into one shape."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.group()
def data() -> None:
    """Import data sets into one shape.

    \b
    Example:
        tinymed data import vqa-rad ~/downloads/vqa-rad --out data/vqa-rad
    """


@data.command("import")
@click.argument("name")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON.")
def import_(name: str, folder: Path, out: Path, *, as_json: bool) -> None:
    """Import the data set NAME (slake or vqa-rad) from FOLDER with its published files.

    Writes one JSON-lines file a split, and a manifest with counts, hashes and every
    oddity of the files that was met.

    \b
    Example:
        tinymed data import slake ~/downloads/slake --out data/slake
    """
    from tinymed.data.imported import write_imported
    from tinymed.data.sources import import_set

    manifest = write_imported(import_set(name, folder), out)
    if as_json:
        click.echo(json.dumps(manifest))
        return
    splits: dict[str, dict[str, object]] = manifest["splits"]  # type: ignore[assignment]
    for split, facts in splits.items():
        click.echo(
            f"{out / str(facts['file'])}: {split}, {facts['num_samples']} questions "
            f"({facts['num_open']} open, {facts['num_closed']} closed) "
            f"on {facts['num_images']} images"
        )
    for remark, count in manifest["remarks"].items():  # type: ignore[attr-defined]
        click.echo(f"  {count} x {remark}", err=True)
