"""`tinymed profile plan`: what a model takes, and how fast it answers, before it is downloaded."""

from __future__ import annotations

import json

import click

from tinymed.cli.profile.options import CONTEXT
from tinymed.models.schemes import SCHEMES

_TOKENS = click.IntRange(min=1)


@click.command(context_settings=CONTEXT)
@click.argument("model")
@click.option(
    "--scheme",
    "schemes",
    multiple=True,
    type=click.Choice(list(SCHEMES)),
    metavar="SCHEME",
    help="How weights are stored; may be repeated. Without it, all that run there, best first.",
)
@click.option(
    "--device",
    "devices",
    multiple=True,
    metavar="DEVICE",
    help="Where: rtx-3060, orin-nano-8gb, … or all; may be repeated. Without it, this machine.",
)
@click.option("--question-tokens", type=_TOKENS, default=32, show_default=True)
@click.option("--answer-tokens", type=_TOKENS, default=32, show_default=True)
@click.option("--context", type=_TOKENS, help="Tokens that a whole context has, if not the usual.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def plan(  # noqa: PLR0913 - one parameter an option
    model: str,
    *,
    schemes: tuple[str, ...],
    devices: tuple[str, ...],
    question_tokens: int,
    answer_tokens: int,
    context: int | None,
    as_json: bool,
) -> None:
    """Tell what MODEL takes and how fast it answers, from its configuration alone.

    MODEL is a known name, a folder, a config.json, or hf:OWNER/NAME, of which only the
    configuration is fetched; with :SCHEME or without. Nothing is downloaded, nothing is run.

    \b
    Example:
        tinymed profile plan tinyllava-1.5b --device rtx-3050-4gb
        tinymed profile plan nano:openvino-int8
        tinymed profile plan llava-med-7b --scheme nf4 --device all
    """
    from tinymed.profile.plan.asked import asked_plans, plan_row
    from tinymed.profile.plan.make import PromptSize
    from tinymed.profile.plan.text import plans_text

    prompt = PromptSize(
        question_tokens=question_tokens, answer_tokens=answer_tokens, context_tokens=context
    )
    found = asked_plans(model, schemes=schemes, devices=devices, prompt=prompt)
    if as_json:
        click.echo(json.dumps({"plans": [plan_row(one) for one in found]}))
    else:
        click.echo(plans_text(found))
