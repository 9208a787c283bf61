"""tinymed profile report: measured, planned and published figures as one page."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tinymed.cli.profile.options import CONTEXT

if TYPE_CHECKING:
    from tinymed.profile.plan.plan import Plan

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command(context_settings=CONTEXT)
@click.argument("runs", metavar="[RUN]...", nargs=-1, type=_FOLDER)
@click.option(
    "--plan",
    "models",
    metavar="MODEL",
    multiple=True,
    help="Also show what MODEL would take: in each scheme that runs there, or in MODEL:SCHEME.",
)
@click.option(
    "--device",
    "devices",
    metavar="NAME",
    multiple=True,
    help="Device to plan for.  [default: this machine]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="File to write; its suffix tells the format. For svg and png a folder.",
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["html", "markdown", "json", "csv", "svg", "png"]),
    help="A page; its tables; every figure as JSON or CSV; or each plot as a file.",
)
@click.option(
    "--published/--no-published",
    default=True,
    show_default=True,
    help="Show what others printed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print where it was written as JSON.")
def report(  # noqa: PLR0913 - one parameter an option
    runs: tuple[Path, ...],
    *,
    models: tuple[str, ...],
    devices: tuple[str, ...],
    out: Path,
    format_name: str | None,
    published: bool,
    as_json: bool,
) -> None:
    """Write a page of RUNs: fronts, phases, predicted against measured, every figure.

    RUNs are folders of `tinymed profile run` and of `tinymed evaluate run`. The page needs no
    network and no JavaScript, and prints on A4. Its plots can be written as SVG or PNG for a
    paper; PNG needs the extra "plots".

    \b
    Example:
        tinymed profile report runs/profile runs/eval-* --out profile.html
        tinymed profile report runs/profile --format svg --out figures
        tinymed profile report --plan llava-med-7b --device rtx-3050-4gb --out plan.html
    """
    from tinymed.profile.report.content import ReportSettings
    from tinymed.profile.report.write import write_report

    if not runs and not models:
        raise click.UsageError("There is nothing to report: name a RUN, or a MODEL with --plan.")
    if devices and not models:
        raise click.UsageError("--device says where --plan is for: name a MODEL with --plan.")
    settings = ReportSettings(
        folders=runs,
        plans=_plans(models, devices),
        with_published=published,
        command=shlex.join(["tinymed", *sys.argv[1:]]),
    )
    written = write_report(settings, out, format_name=format_name)
    if as_json:
        click.echo(json.dumps({"files": [str(path) for path in written]}))
    else:
        click.echo("\n".join(map(str, written)))


def _plans(models: tuple[str, ...], devices: tuple[str, ...]) -> tuple[Plan, ...]:
    if not models:
        return ()
    from tinymed.profile.report.planned import plans_for

    return plans_for(models, devices)
