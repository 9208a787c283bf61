"""tinymed models rm: free the disk of models and builds."""

from __future__ import annotations

import click

from tinymed.cli.show_answer import show_json
from tinymed.errors import ConfigError


@click.command()
@click.argument("name", required=False)
@click.option("--build", "scheme", metavar="SCHEME", help="Remove only this build of the model.")
@click.option(
    "--unused",
    is_flag=True,
    help="Remove builds that no model here can use any more, and what killed ones left.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; needs --yes.")
def rm(name: str | None, *, scheme: str | None, unused: bool, yes: bool, as_json: bool) -> None:
    """Remove the installed model NAME with its builds.

    Of a model that tinymed ships, its builds and the fetched parts that nothing else needs.
    Shows what will go and how much it frees, and asks.

    \b
    Example:
        tinymed models rm llava --yes
        tinymed models rm nano --build openvino-int8
        tinymed models rm --unused
    """
    from tinymed.models.remove import paths_to_remove, remove, unused_builds

    if (name is None) != unused or (unused and scheme):
        raise ConfigError("Name one model, or write --unused alone.")
    if as_json and not yes:
        raise ConfigError("--json cannot ask: add --yes.")
    doomed = unused_builds() if name is None else paths_to_remove(name, scheme=scheme)
    num_bytes = sum(doomed.values())
    if not as_json:
        for path, size in doomed.items():
            click.echo(f"{path}  {size / 2**20:.1f} MiB")
    if doomed and not yes:
        click.confirm(f"Remove these and free {num_bytes / 2**20:.1f} MiB?", abort=True, err=True)
    remove(doomed)
    if as_json:
        show_json({"removed": [str(path) for path in doomed], "num_bytes": num_bytes})
        return
    click.echo(f"{num_bytes / 2**20:.1f} MiB freed")
