"""tinymed evaluate: ask a model a whole data set, and score answers."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tinymed.engines.names import DEFAULT_ENGINE, ENGINES

_CONTEXT = {"help_option_names": ["-h", "--help"]}
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(context_settings=_CONTEXT)
def evaluate() -> None:
    """Measure how well a model answers, next to what it must beat.

    \b
    Example:
        tinymed evaluate run nano --samples test.jsonl --train train.jsonl --out runs/nano
    """


@evaluate.command(context_settings=_CONTEXT)
@click.argument("model")
@click.option("--samples", type=_FILE, required=True, help="Questions with references.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Run folder.")
@click.option("--train", type=_FILE, help="Train samples, for the question-only control.")
@click.option(
    "--engine", type=click.Choice(list(ENGINES)), default=DEFAULT_ENGINE, show_default=True
)
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many samples.")
@click.option(
    "--no-controls",
    is_flag=True,
    help="Do not ask again with the image blanked and with images shuffled.",
)
@click.option("--threads", type=click.IntRange(min=1), help="Processor cores to use.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def run(  # noqa: PLR0913 - one parameter an option
    model: str,
    *,
    samples: Path,
    out: Path,
    train: Path | None,
    engine: str,
    limit: int | None,
    no_controls: bool,
    threads: int | None,
    as_json: bool,
) -> None:
    """Ask MODEL every question, score the answers, and do the same for the controls.

    The controls answer from the question alone, about a black image, and about another
    patient's image: a model that does not beat them does not look. A run that was stopped
    goes on where it was when started again with the same options.

    \b
    Example:
        tinymed evaluate run nano --samples test.jsonl --train train.jsonl --out runs/nano
    """
    from tinymed.engines.choose import open_engine
    from tinymed.evaluate.report import report_json, report_text
    from tinymed.evaluate.run import RunSettings, run_evaluation

    settings = RunSettings(
        samples=samples, out=out, train=train, limit=limit, controls=not no_controls
    )
    report = run_evaluation(open_engine(model, engine=engine, threads=threads), settings)
    click.echo(json.dumps(report_json(report)) if as_json else report_text(report))


@evaluate.command(context_settings=_CONTEXT)
@click.option("--samples", type=_FILE, required=True, help="Questions with references.")
@click.option("--predictions", type=_FILE, required=True, help="One line an id and a text.")
@click.option("--candidates", type=_FILE, help="Answers for llava_med_open_candidate.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def score(samples: Path, predictions: Path, *, candidates: Path | None, as_json: bool) -> None:
    """Score predictions made anywhere: published metrics and honest ones.

    \b
    Example:
        tinymed evaluate score --samples test.jsonl --predictions answers.jsonl --json
    """
    from tinymed.evaluate.report import scores_json, scores_table
    from tinymed.evaluate.score import read_candidates
    from tinymed.evaluate.score import score as score_predictions
    from tinymed.jsonl import read_predictions, read_samples
    from tinymed.records import NOTICE

    questions = read_samples(samples)
    scores = score_predictions(
        questions,
        read_predictions(predictions),
        candidates=read_candidates(candidates) if candidates else None,
    )
    if as_json:
        click.echo(json.dumps(scores_json(scores, num_samples=len(questions))))
    else:
        click.echo(f"{scores_table({'predictions': scores})}\n\n{samples.name}\n{NOTICE}")
