"""tinymed evaluate gates: what the gates of the safe answer cost, and where they close."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tinymed.cli import model_options
from tinymed.cli.evaluate.options import CONTEXT, FILE


@click.command(context_settings=CONTEXT)
@click.argument("model")
@click.argument("samples", type=FILE)
@click.option(
    "--target-accuracy",
    type=click.FloatRange(min=0, min_open=True, max=1),
    default=0.9,
    show_default=True,
    help="Of the answers given, when unsure ones are withheld.",
)
@click.option("--test", type=FILE, help="Other questions: measured, nothing is chosen on them.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Run folder.")
@click.option(
    "--train",
    "training",
    type=FILE,
    multiple=True,
    help="What MODEL was trained on: images unlike these are out of scope. May be repeated.",
)
@click.option(
    "--split-name",
    help="What SAMPLES are called beside each calibrated figure. [default: folder and file]",
)
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many of each file.")
@model_options.threads
@model_options.force_build
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def gates(  # noqa: PLR0913 - one parameter an option
    model: str,
    samples: Path,
    *,
    target_accuracy: float,
    test: Path | None,
    training: tuple[Path, ...],
    out: Path,
    split_name: str | None,
    limit: int | None,
    threads: int | None,
    force_build: str | None,
    as_json: bool,
) -> None:
    """Choose and measure the gates of MODEL's safe answers on SAMPLES, a validation split.

    Scores closed questions, asks their opposites, asks all without the image; chooses the
    confidence below which answers are withheld; fits the calibration; then tells what each
    gate alone, all, and all but each cost in coverage, and what they withhold. With --train,
    learns what images in scope look like. `tinymed serve --safety` takes the folder. A run that
    was stopped goes on where it was when started again with the same options.

    \b
    Example:
        tinymed evaluate gates nano val.jsonl --train train.jsonl --out runs/gates
    """
    from tinymed.quantize.first_use import open_compared
    from tinymed.safe.measure import MeasureSettings, measure_gates
    from tinymed.safe.measure_report import gates_json, gates_text

    settings = MeasureSettings(
        samples=samples,
        out=out,
        target_accuracy=target_accuracy,
        test=test,
        training=training,
        split_name=split_name,
        limit=limit,
    )
    engine = open_compared(model, threads=threads, force_build=force_build)
    report = measure_gates(engine, settings)
    click.echo(json.dumps(gates_json(report)) if as_json else gates_text(report))
