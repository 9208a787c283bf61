"""What every command that opens a model offers."""

from __future__ import annotations

import click

MODEL_HELP = "A model's name or folder, with :SCHEME or without; or a build's folder."

model = click.option("--model", default="nano", show_default=True, help=MODEL_HELP)
threads = click.option("--threads", type=click.IntRange(min=1), help="Processor threads to use.")
force_build = click.option(
    "--force-build",
    metavar="MODEL:SCHEME",
    help="Use this build although the parity gate failed it, or never saw it.",
)
