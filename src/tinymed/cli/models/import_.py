"""tinymed models import: install a bundle, or a checkpoint in its published layout."""

from __future__ import annotations

from pathlib import Path

import click

from tinymed.cli.show_answer import show_json

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command("import")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("--name", help="What to call the model; else as the bundle or the folder is called.")
@click.option(
    "--repair-from",
    type=click.Path(exists=True, path_type=Path),
    multiple=True,
    metavar="BUNDLE",
    help="Another copy of the bundle, for blocks that are damaged; may be repeated.",
)
@click.option("--layout", help="The checkpoint's layout; else told from its configuration.")
@click.option("--base", type=_FOLDER, metavar="FOLDER", help="Base of delta weights.")
@click.option("--vision", type=_FOLDER, metavar="FOLDER", help="Vision encoder, if it has none.")
@click.option("--tokenizer", type=_FOLDER, metavar="FOLDER", help="Tokenizer, if it has none.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and no progress.")
def import_(  # noqa: PLR0913  an option each
    source: Path,
    *,
    name: str | None,
    repair_from: tuple[Path, ...],
    layout: str | None,
    base: Path | None,
    vision: Path | None,
    tokenizer: Path | None,
    as_json: bool,
) -> None:
    """Install the model SOURCE without a network.

    SOURCE is a bundle, its first piece, or the folder that holds it; or a checkpoint as its
    publisher laid it out (this needs torch). A bundle is recognised by its content. Damaged
    blocks are named, the others are kept: run the command again with a good copy.

    \b
    Example:
        tinymed models import /media/usb-stick/nano.tinymed
        tinymed models import downloads/llava-med-v1.5 --name llava-med
    """
    from tinymed.models.import_model import ImportRequest, import_model

    installed = import_model(
        ImportRequest(
            source=source,
            name=name,
            repair_from=repair_from,
            layout=layout,
            base=base,
            vision=vision,
            tokenizer=tokenizer,
        ),
        progress=not as_json,
    )
    if as_json:
        folder = str(installed.folder)
        show_json({"name": installed.name, "kind": installed.kind, "folder": folder})
        return
    click.echo(f"{installed.name}: {installed.kind} in {installed.folder}")
