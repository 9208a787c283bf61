"""tinymed evaluate compare: runs against each other and beside published figures."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tinymed.cli.evaluate.options import CONTEXT, FILE


@click.command(context_settings=CONTEXT)
@click.argument("runs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--samples", type=FILE, help="What was asked, where RUNS do not keep it.")
@click.option(
    "--published",
    "dataset",
    type=click.Choice(["vqa-rad", "slake", "pathvqa", "none"]),
    help="Whose published rows to show. By default told from the samples.",
)
@click.option("--markdown", "form", flag_value="markdown", help="Print Markdown tables.")
@click.option("--json", "form", flag_value="json", help="Print JSON instead of tables.")
def compare(
    runs: tuple[Path, ...], *, samples: Path | None, dataset: str | None, form: str | None
) -> None:
    """Compare RUNS question by question, and set them beside published figures.

    RUNS are folders of `tinymed evaluate run`, or files of predictions with --samples. The
    first is the reference: every other is compared with it, by McNemar's test on closed
    questions and a paired bootstrap on all. One run alone is set beside the published
    figures, each with its scorer and its split.

    \b
    Example:
        tinymed evaluate compare runs/before runs/after
        tinymed evaluate compare --samples test.jsonl first.jsonl second.jsonl --markdown
    """
    from tinymed.evaluate.compare.compare import compare_runs, compared_json
    from tinymed.evaluate.compare.text import compared_text

    compared = compare_runs(runs, samples=samples, dataset=dataset)
    if form == "json":
        click.echo(json.dumps(compared_json(compared)))
    else:
        click.echo(compared_text(compared, markdown=form == "markdown"))
