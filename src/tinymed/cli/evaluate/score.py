"""tinymed evaluate score: score answers made anywhere."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tinymed.cli.evaluate.options import CONTEXT, FILE


@click.command(context_settings=CONTEXT)
@click.option("--samples", type=FILE, required=True, help="Questions with references.")
@click.option("--predictions", type=FILE, required=True, help="One line an id and a text.")
@click.option("--train", type=FILE, help="Train samples, for two controls and a leakage report.")
@click.option("--candidates", type=FILE, help="Answers for llava_med_open_candidate.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def score(
    samples: Path,
    predictions: Path,
    *,
    train: Path | None,
    candidates: Path | None,
    as_json: bool,
) -> None:
    """Score predictions made anywhere: published metrics and honest ones.

    Samples are lines of {"id", "question", "reference", "answer_type": "open" or "closed",
    "image"?, "group"?, "modality"?, "body_part"?, "question_type"?}; predictions are lines
    of {"id", "text", "confidence"?}. Beside them stand answers that look at no image.

    \b
    Example:
        tinymed evaluate score --samples test.jsonl --predictions answers.jsonl --json
    """
    from tinymed.evaluate.report.report import report_json
    from tinymed.evaluate.report.text import report_text
    from tinymed.evaluate.score import read_candidates
    from tinymed.evaluate.score_files import score_files

    report = score_files(
        samples,
        predictions,
        train=train,
        candidates=read_candidates(candidates) if candidates else None,
    )
    if as_json:
        found = report_json(report)
        conditions = found.pop("conditions")
        scores = conditions.pop("model")
        click.echo(json.dumps({**found, "scores": scores, "controls": conditions}))
    else:
        click.echo(report_text(report))
