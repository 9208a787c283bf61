"""tinymed models show: what a model is made of."""

from __future__ import annotations

import click

from tinymed.cli.show_answer import show_json


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(name: str, *, as_json: bool) -> None:
    """Show what the model NAME, a checkpoint or a build is made of, with licences.

    \b
    Example:
        tinymed models show nano
        tinymed models show builds/sharp-eyes/ --json
    """
    from tinymed.models.describe import describe_model

    row = describe_model(name)
    if as_json:
        show_json(row)
        return
    for field, value in row.items():
        if field != "parts":
            click.echo(f"{field}: {value}")
    for part in row["parts"]:
        click.echo(f"\n{part['role']}:")
        for field, value in part.items():
            click.echo(f"  {field}: {value}")
