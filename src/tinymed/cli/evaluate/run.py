"""tinymed evaluate run: ask a model a whole data set."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tinymed.cli import model_options
from tinymed.cli.evaluate.options import CONTEXT, FILE


@click.command(context_settings=CONTEXT)
@click.argument("model")
@click.option("--samples", type=FILE, required=True, help="Questions with references.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Run folder.")
@click.option("--train", type=FILE, help="Train samples, for two controls and the leakage.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many samples.")
@click.option(
    "--no-controls",
    is_flag=True,
    help="Do not ask again with the image blanked and with images shuffled.",
)
@click.option(
    "--no-images", is_flag=True, help="Leave the patients' images out of the written report."
)
@model_options.threads
@model_options.force_build
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def run(  # noqa: PLR0913 - one parameter an option
    model: str,
    *,
    samples: Path,
    out: Path,
    train: Path | None,
    limit: int | None,
    no_controls: bool,
    no_images: bool,
    threads: int | None,
    force_build: str | None,
    as_json: bool,
) -> None:
    """Ask MODEL every question, score the answers, and do the same for the controls.

    The controls answer without looking, about a black image, and about another patient's
    image: a model that does not beat them does not look. A run that was stopped goes on
    where it was when started again with the same options. The folder holds every answer,
    the scores, and a report to read (report.html, report.md).

    \b
    Example:
        tinymed evaluate run nano --samples test.jsonl --train train.jsonl --out runs/nano
    """
    from tinymed.evaluate.report.report import report_json
    from tinymed.evaluate.report.text import report_text
    from tinymed.evaluate.run import RunSettings, run_evaluation
    from tinymed.quantize.first_use import open_compared

    settings = RunSettings(
        samples=samples,
        out=out,
        train=train,
        limit=limit,
        controls=not no_controls,
        images_in_report=not no_images,
    )
    engine = open_compared(model, threads=threads, force_build=force_build)
    report = run_evaluation(engine, settings)
    click.echo(json.dumps(report_json(report)) if as_json else report_text(report))
    click.echo(f"Report: {out / 'report.html'}", err=True)
