"""tinymed evaluate score: score answers made anywhere."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tinymed.cli.evaluate.options import CONTEXT, FILE


@click.command(context_settings=CONTEXT)
@click.option("--samples", type=FILE, required=True, help="Questions with references.")
@click.option("--predictions", type=FILE, required=True, help="One line an id and a text.")
@click.option("--candidates", type=FILE, help="Answers for llava_med_open_candidate.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def score(samples: Path, predictions: Path, *, candidates: Path | None, as_json: bool) -> None:
    """Score predictions made anywhere: published metrics and honest ones.

    \b
    Example:
        tinymed evaluate score --samples test.jsonl --predictions answers.jsonl --json
    """
    from tinymed.evaluate.report.report import score_json
    from tinymed.evaluate.report.text import scores_table
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
        click.echo(
            json.dumps(
                {"num_samples": len(questions), "scores": [score_json(one) for one in scores]}
            )
        )
    else:
        click.echo(f"{scores_table({'predictions': scores})}\n\n{samples.name}\n{NOTICE}")
