"""tinymed profile pareto: quality against what it costs."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import click

from tinymed.cli.profile.options import CONTEXT

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command(context_settings=CONTEXT)
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=_FOLDER)
@click.option(
    "--quality",
    default="closed",
    show_default=True,
    help="closed (closed_accuracy), open (open_recall), or the name of a metric.",
)
@click.option(
    "--samples-of",
    "samples",
    metavar="NAME",
    default="auto",
    show_default=True,
    help="Weigh on these samples only, such as vqa-rad; auto: each set that RUNs hold, apart.",
)
@click.option(
    "--cost",
    "costs",
    multiple=True,
    type=click.Choice(
        ["peak", "static", "disk", "first-token", "second-question", "tokens", "energy"]
    ),
    help="What to weigh quality against; give several to weigh all together.  [default: the "
    "costs of --under, else peak]",
)
@click.option(
    "--under",
    "bounds",
    metavar="COST=VALUE",
    multiple=True,
    help="Name the best build within a bound, such as peak=4GB, first-token=2s, energy=10J; "
    "of tokens it is the least: tokens=10/s.",
)
@click.option(
    "--published/--no-published",
    default=True,
    show_default=True,
    help="Show published systems where metric and cost are known of them.",
)
@click.option("--json", "form", flag_value="json", help="Print JSON instead of tables.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV instead of tables.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the page with the plots to this file.",
)
def pareto(  # noqa: PLR0913 - one parameter an option
    runs: tuple[Path, ...],
    *,
    quality: str,
    samples: str,
    costs: tuple[str, ...],
    bounds: tuple[str, ...],
    published: bool,
    form: str | None,
    out: Path | None,
) -> None:
    """Weigh quality against cost: which builds no other beats, and the best within bounds.

    RUNs are folders of `tinymed profile run` and of `tinymed evaluate run`. What was measured
    and what was evaluated belong together if they are of the same weights in the same scheme.
    A build that another beats only by differences within the intervals is marked as not told
    apart from it.

    \b
    Example:
        tinymed profile pareto runs/profile runs/eval-* --cost peak --cost first-token
        tinymed profile pareto runs/profile runs/eval-* --under peak=4GB --under first-token=2s
    """
    from tinymed.profile.pareto.bounds import read_bound
    from tinymed.profile.pareto.rows import fronts_csv, fronts_json
    from tinymed.profile.pareto.text import fronts_text
    from tinymed.profile.pareto.weigh import ParetoSettings, weigh

    limits = tuple(map(read_bound, bounds))
    settings = ParetoSettings(
        folders=runs,
        quality=quality,
        costs=tuple(dict.fromkeys(costs or [limit.cost for limit in limits] or ["peak"])),
        samples=samples,
        bounds=limits,
        with_published=published,
    )
    fronts = weigh(settings)
    if form == "json":
        click.echo(json.dumps(fronts_json(fronts)))
    elif form == "csv":
        click.echo(fronts_csv(fronts), nl=False)
    else:
        click.echo(fronts_text(fronts))
    if out is not None:
        from tinymed.profile.report.content import pareto_document
        from tinymed.profile.report.write import write_document

        command = shlex.join(["tinymed", *sys.argv[1:]])
        write_document(pareto_document(settings, command=command), out)
        click.echo(f"Report: {out}", err=True)
