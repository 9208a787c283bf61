"""What the commands under `tinymed profile` share."""

from __future__ import annotations

from pathlib import Path

import click

CONTEXT = {"help_option_names": ["-h", "--help"]}
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
