"""tinymed data fetch: published files, resumed over a connection that breaks."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import click


@click.command()
@click.argument("name")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write.")
@click.option("--json", "as_json", is_flag=True, help="Print what was fetched as JSON.")
def fetch(name: str, *, out: Path, as_json: bool) -> None:
    """Fetch the published files of the data set NAME, and say how to import them.

    Shows the licence first. A broken download goes on where it ended when the command is run
    again; every file is checked by the SHA-256 that its publisher states. Set HF_ENDPOINT to
    use a mirror of the Hugging Face hub.

    \b
    Example:
        tinymed data fetch slake --out downloads/slake
    """
    from tinymed.data.fetch import fetch_set
    from tinymed.data.sources import find_source

    source = find_source(name)
    click.echo(f"{source.name}: {source.source}\nlicence: {source.licence}", err=True)
    fetched = fetch_set(source, out)
    if as_json:
        click.echo(json.dumps(fetched))
        return
    num_bytes = sum(file["num_bytes"] for file in fetched["files"].values())
    click.echo(f"{len(fetched['files'])} files, {num_bytes / 2**20:.1f} MiB, are in {out}")
    quoted = shlex.quote(str(out))
    click.echo(f"Next: tinymed data import {source.name} {quoted} --out data/{source.name}")
