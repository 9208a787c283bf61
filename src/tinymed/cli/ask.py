"""`tinymed ask`: one answer about one image."""

from __future__ import annotations

from pathlib import Path

import click

from tinymed.cli import show_answer
from tinymed.engines.names import DEFAULT_ENGINE, ENGINES


@click.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.argument("question")
@click.option("--model", default="nano", show_default=True, help="Its name or its folder.")
@click.option(
    "--engine",
    type=click.Choice(list(ENGINES)),
    default=DEFAULT_ENGINE,
    show_default=True,
    help="What runs the model.",
)
@click.option("--threads", type=click.IntRange(min=1), help="Processor threads to use.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def ask(
    image: Path, question: str, *, model: str, engine: str, threads: int | None, as_json: bool
) -> None:
    """Ask one question about a medical image.

    IMAGE is a PNG, JPEG or DICOM file. The answer is written as it comes; how sure the
    model is, and how long it took, follow on standard error.

    \b
    Example:
        tinymed ask chest.dcm "Is there an abnormality?"
    """
    from tinymed.ask import Asker  # the engine loads here, not for --help
    from tinymed.ask import ask as ask_model

    asker = Asker(model=model, engine=engine, threads=threads)
    result = ask_model(
        image, question, asker=asker, on_text=None if as_json else show_answer.stream
    )
    if as_json:
        show_answer.show_json(show_answer.as_row(result))
        return
    click.echo()
    show_answer.show_notes(result.image_notes)
    show_answer.show_costs(result)
    click.echo(f"  {result.notice}", err=True)
