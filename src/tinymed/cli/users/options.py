"""What the commands under `tinymed users` share."""

from __future__ import annotations

from pathlib import Path

import click

file = click.option(
    "--file",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The users file, which `tinymed serve --users` reads.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
