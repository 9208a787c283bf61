"""tinymed evaluate judge: have a language model score answers beside their references."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tinymed.cli.evaluate.options import CONTEXT, FILE


@click.command(context_settings=CONTEXT)
@click.option("--samples", type=FILE, required=True, help="Questions with references, contexts.")
@click.option("--predictions", type=FILE, required=True, help="One line an id and a text.")
@click.option("--url", required=True, help="OpenAI-compatible server, mostly ending in /v1.")
@click.option("--judge-model", required=True, help="The judge's name at that server.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Run folder.")
@click.option(
    "--api-key-env",
    metavar="NAME",
    help="Environment variable with the key [OPENAI_API_KEY; none for this machine].",
)
@click.option("--yes", is_flag=True, help="Data may be sent to an address off this machine.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many samples.")
@click.option("--no-swap", is_flag=True, help="Do not ask again with the answer read first.")
@click.option("--concurrency", type=click.IntRange(1, 64), default=4, show_default=True)
@click.option("--temperature", type=click.FloatRange(min=0), default=0.0, show_default=True)
@click.option("--seed", type=int, help="Sent with each request, for servers that heed it.")
@click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    default=1024,
    show_default=True,
    help="Longest reply; a judge that reasons first needs more.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=600.0,
    show_default=True,
    help="Seconds for one request.",
)
@click.option("--price-in", type=click.FloatRange(min=0), help="Of a million prompt tokens.")
@click.option("--price-out", type=click.FloatRange(min=0), help="Of a million completion tokens.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def judge(  # noqa: PLR0913 - one parameter an option
    samples: Path,
    *,
    predictions: Path,
    url: str,
    judge_model: str,
    out: Path,
    api_key_env: str | None,
    yes: bool,
    limit: int | None,
    no_swap: bool,
    concurrency: int,
    temperature: float,
    seed: int | None,
    max_tokens: int,
    timeout: float,
    price_in: float | None,
    price_out: float | None,
    as_json: bool,
) -> None:
    """Have another language model score each answer beside its reference.

    The published protocol of LLaVA-Med (two scores from 1 to 10, and the mean of their
    ratios), with each pair also asked in the other order. What it will cost is printed before
    the first call. A run that was stopped goes on where it was when started again with the
    same options; no reply is asked for twice.

    \b
    Example:
        tinymed evaluate judge --samples chat.jsonl --predictions answers.jsonl
            --url http://127.0.0.1:8080/v1 --judge-model qwen --out runs/judge
    """
    from tinymed.evaluate.judge.address import check_url
    from tinymed.evaluate.judge.client import Judge
    from tinymed.evaluate.judge.estimate import prices_of
    from tinymed.evaluate.judge.report import judge_json, judge_text
    from tinymed.evaluate.judge.run import JudgeSettings, judge_predictions

    settings = JudgeSettings(
        samples=samples,
        predictions=predictions,
        out=out,
        judge=Judge(
            url=check_url(url),
            model=judge_model,
            temperature=temperature,
            seed=seed,
            max_tokens=max_tokens,
        ),
        api_key_variable=api_key_env,
        limit=limit,
        swap=not no_swap,
        concurrency=concurrency,
        may_send=yes,
        prices=prices_of(price_in, price_out),
        timeout_s=timeout,
    )
    report = judge_predictions(settings, say=lambda text: click.echo(text, err=True))
    click.echo(json.dumps(judge_json(report)) if as_json else judge_text(report))
