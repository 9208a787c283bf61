"""tinymed models list: what is here."""

from __future__ import annotations

import click

from tinymed.cli.show_answer import show_json


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def list_(*, as_json: bool) -> None:
    """List the models and whether they are complete here.

    \b
    Example:
        tinymed models list
    """
    from tinymed.models.describe import describe_models
    from tinymed.models.installed import installed_models

    rows = describe_models() + [
        {
            "name": model.name,
            "description": f"{model.kind}, {model.num_bytes / 2**20:.1f} MiB, installed",
            "complete": True,
        }
        for model in installed_models()
    ]
    if as_json:
        show_json(rows)
        return
    for row in rows:
        state = "complete" if row["complete"] else f"run: tinymed models pull {row['name']}"
        click.echo(f"{row['name']}  {row['description']}  ({state})")
