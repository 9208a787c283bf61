"""`tinymed ask`: one answer about one image."""

from __future__ import annotations

from pathlib import Path

import click

from tinymed.cli import model_options, show_answer


@click.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.argument("question")
@model_options.model
@model_options.threads
@model_options.force_build
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def ask(
    image: Path,
    question: str,
    *,
    model: str,
    threads: int | None,
    force_build: str | None,
    as_json: bool,
) -> None:
    """Ask one question about a medical image.

    IMAGE is a PNG, JPEG or DICOM file. The answer is written as it comes; how sure the
    model is, and how long it took, follow on standard error.

    \b
    Example:
        tinymed ask chest.dcm "Is there an abnormality?"
        tinymed ask chest.dcm "Is the heart enlarged?" --model nano:gguf-q8_0
    """
    from tinymed.ask import Asker  # the engine loads here, not for --help
    from tinymed.ask import ask as ask_model

    asker = Asker(model=model, threads=threads, force_build=force_build)
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
