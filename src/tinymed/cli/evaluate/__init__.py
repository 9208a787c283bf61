"""tinymed evaluate: ask a model a whole data set, and score answers."""

from __future__ import annotations

import click

from tinymed.cli.evaluate.audit import audit
from tinymed.cli.evaluate.compare import compare
from tinymed.cli.evaluate.gates import gates
from tinymed.cli.evaluate.judge import judge
from tinymed.cli.evaluate.options import CONTEXT
from tinymed.cli.evaluate.report import report
from tinymed.cli.evaluate.run import run
from tinymed.cli.evaluate.score import score


@click.group(context_settings=CONTEXT)
def evaluate() -> None:
    """Measure how well a model answers, next to what it must beat.

    \b
    Example:
        tinymed evaluate run nano --samples test.jsonl --train train.jsonl --out runs/nano
    """


for _command in (run, score, compare, audit, gates, judge, report):
    evaluate.add_command(_command)
