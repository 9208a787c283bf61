"""`tinymed models`: what can answer, and whether its files are here and whole."""

from __future__ import annotations

from pathlib import Path

import click

from tinymed.cli.show_answer import show_json
from tinymed.errors import ModelError


@click.group()
def models() -> None:
    """List, fetch and check models.

    \b
    Example:
        tinymed models pull nano
    """


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def list_(*, as_json: bool) -> None:
    """List the models and whether they are complete here.

    \b
    Example:
        tinymed models list
    """
    from tinymed.models.describe import describe_models

    rows = describe_models()
    if as_json:
        show_json(rows)
        return
    for row in rows:
        state = "complete" if row["complete"] else f"run: tinymed models pull {row['name']}"
        click.echo(f"{row['name']}  {row['description']}  ({state})")


@models.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(name: str, *, as_json: bool) -> None:
    """Show what the model NAME is made of, with licences.

    \b
    Example:
        tinymed models show nano
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


@models.command()
@click.argument("name")
@click.option(
    "--from",
    "folders",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    multiple=True,
    metavar="FOLDER",
    help="Take wheels or bare files from here and do not use the network; may be repeated.",
)
def pull(name: str, *, folders: tuple[Path, ...]) -> None:
    """Fetch the parts of the model NAME that are not here yet.

    A broken download goes on where it ended when the command is run again. Every file is
    checked by its SHA-256.

    \b
    Example:
        tinymed models pull nano
        tinymed models pull nano --from /media/usb-stick
    """
    from tinymed.models.catalog import find_model
    from tinymed.models.fetch import fetch_parts

    for role, path in fetch_parts(find_model(name), folders=folders).items():
        click.echo(f"{role}: {path}")


@models.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(name: str, *, as_json: bool) -> None:
    """Read every file of the model NAME anew and compare its SHA-256.

    Exit code 2 if one is damaged or missing.

    \b
    Example:
        tinymed models check nano
    """
    from tinymed.models.catalog import find_model
    from tinymed.models.fetch import check_files

    states = check_files(find_model(name))
    if as_json:
        show_json(states)
    else:
        for file, state in states.items():
            click.echo(f"{file}: {state}")
    if states.pop("trained") != "intact":
        raise ModelError(
            f"The trained weights of '{name}', which come with tinymed, are missing or damaged. "
            "Install tinymed again."
        )
    if set(states.values()) != {"intact"}:
        raise ModelError(f"The model '{name}' is not whole. Run: tinymed models pull {name}")
