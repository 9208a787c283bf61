"""tinymed data list: what can be imported, and from what."""

from __future__ import annotations

import json

import click


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def list_(*, as_json: bool) -> None:
    """List what can be imported, with licences and what a folder must hold.

    \b
    Example:
        tinymed data list
    """
    from tinymed.data.sources import SOURCES

    rows = [
        {
            "name": source.name,
            "licence": source.licence,
            "source": source.source,
            "needs": source.needs,
            "can_be_fetched": bool(source.published),
        }
        for source in SOURCES.values()
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        fetched = f"tinymed data fetch {row['name']} --out FOLDER"
        click.echo(f"{row['name']}\n  licence: {row['licence']}\n  source: {row['source']}")
        click.echo(f"  needs: {row['needs']}")
        click.echo(f"  fetch: {fetched if row['can_be_fetched'] else 'no, your own files'}\n")
