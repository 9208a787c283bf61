"""tinymed data import: published files, or one's own, in one shape."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tinymed.errors import ConfigError, DataError


@click.command("import")
@click.argument("name")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write.")
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    help="Folder that image names are relative to, where it is not the file's own.",
)
@click.option("--split", help="Name of the split; a file's own name is the default.")
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="FIELD=NAME",
    help="Column that holds question, answer, image, answer_type or id; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON.")
def import_(  # noqa: PLR0913 - one parameter an option
    name: str,
    path: Path,
    *,
    out: Path,
    images: Path | None,
    split: str | None,
    columns: tuple[str, ...],
    as_json: bool,
) -> None:
    """Import the data set NAME from PATH, the folder or file that holds it.

    NAME is vqa-rad, slake, pathvqa or llava-med-chat or, for files of your own, jsonl,
    llava-json or hf; `tinymed data list` says what each needs. Writes one JSON-lines file a
    split, and a manifest with counts, hashes and every oddity of the files that was met.

    \b
    Example:
        tinymed data import slake downloads/slake --out data/slake
        tinymed data import llava-json mine/train.json --images mine/figures --out data/mine
        tinymed data import hf saved --column question=prompt --out data/saved
    """
    from tinymed.data.imported import write_imported
    from tinymed.data.request import ImportRequest
    from tinymed.data.sources import import_set

    if out.resolve() in (path.resolve(), path.resolve().parent if path.is_file() else None):
        raise ConfigError(f"--out '{out}' is where the files are read from: name another folder.")
    request = ImportRequest(
        path=path, out=out, images=images, split=split, columns=dict(map(_column, columns))
    )
    try:
        manifest = write_imported(import_set(name, request), out)
    except OSError as error:
        raise DataError(f"Cannot import to '{out}': {error}.") from error
    if as_json:
        click.echo(json.dumps(manifest))
        return
    splits: dict[str, dict[str, object]] = manifest["splits"]  # type: ignore[assignment]
    for split_name, facts in splits.items():
        click.echo(
            f"{out / str(facts['file'])}: {split_name}, {facts['num_samples']} questions "
            f"({facts['num_open']} open, {facts['num_closed']} closed) "
            f"on {facts['num_images']} images"
        )
    for remark, count in manifest["remarks"].items():  # type: ignore[attr-defined]
        click.echo(f"  {count} x {remark}", err=True)


def _column(written: str) -> tuple[str, str]:
    field, equals, column = written.partition("=")
    if not (field and equals and column):
        raise ConfigError(f"--column '{written}': write it as FIELD=NAME, as in question=prompt.")
    return field, column
