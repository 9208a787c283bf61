"""tinymed evaluate audit: does a model look, contradict itself, know when it is wrong."""

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
@click.option(
    "--calibrate",
    type=FILE,
    help="Other questions of the same kind: fits the calibration and chooses thresholds.",
)
@click.option(
    "--target-accuracy",
    type=click.FloatRange(min=0, min_open=True, max=1),
    help="Of the answers given, when unsure ones are withheld; needs --calibrate. [default: 0.9]",
)
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many of each file.")
@model_options.threads
@model_options.force_build
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def audit(  # noqa: PLR0913 - one parameter an option
    model: str,
    *,
    samples: Path,
    out: Path,
    calibrate: Path | None,
    target_accuracy: float | None,
    limit: int | None,
    threads: int | None,
    force_build: str | None,
    as_json: bool,
) -> None:
    """Audit MODEL: does it look, contradict itself, and know when it is wrong.

    Asks every question again about a black image, about noise and about another patient's
    image; asks the opposite of yes-or-no questions; compares its confidence with how often
    it is right. With --calibrate it also learns from a split of its own what a confidence
    is worth (calibration.json) and below which one to withhold an answer. A run that was
    stopped goes on where it was when started again with the same options.

    \b
    Example:
        tinymed evaluate audit nano --samples test.jsonl --calibrate val.jsonl --out runs/audit
    """
    from tinymed.evaluate.audit.audit import AuditSettings, run_audit
    from tinymed.evaluate.audit.report import audit_json, audit_text
    from tinymed.quantize.first_use import open_compared

    settings = AuditSettings(
        samples=samples,
        out=out,
        calibrate=calibrate,
        limit=limit,
        target_accuracy=target_accuracy,
    )
    engine = open_compared(model, threads=threads, force_build=force_build)
    found = run_audit(engine, settings)
    click.echo(json.dumps(audit_json(found)) if as_json else audit_text(found))
