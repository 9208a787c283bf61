"""tinymed evaluate report: a run as a page that people read."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tinymed.cli.evaluate.options import CONTEXT, FILE

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command(context_settings=CONTEXT)
@click.argument("run_folder", metavar="RUN", type=_FOLDER)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write; its suffix tells the format.  [default: RUN/report.html]",
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["html", "markdown", "json"]),
    help="HTML with plots and images, Markdown with the same tables, or the JSON of scores.json.",
)
@click.option("--samples", type=FILE, help="The run's samples, if its folder has no samples.jsonl.")
@click.option("--audit", type=_FOLDER, help="Folder of `tinymed evaluate audit` to include.")
@click.option("--judge", type=_FOLDER, help="Folder of `tinymed evaluate judge` to include.")
@click.option(
    "--no-images",
    is_flag=True,
    help="Leave the patients' images out; else small copies are put into the HTML file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print where it was written as JSON.")
def report(  # noqa: PLR0913 - one parameter an option
    run_folder: Path,
    *,
    out: Path | None,
    format_name: str | None,
    samples: Path | None,
    audit: Path | None,
    judge: Path | None,
    no_images: bool,
    as_json: bool,
) -> None:
    """Write the report of RUN, a folder of `tinymed evaluate run`, as one file.

    The page needs no network and no JavaScript, and prints on A4. It shows the worst errors
    with their images: with images of patients in it, pass it on only where you may pass those
    on, or leave them out with --no-images.

    \b
    Example:
        tinymed evaluate report runs/nano --out nano.html
    """
    from tinymed.evaluate.report.content import ReportSettings
    from tinymed.evaluate.report.write import default_file, write_report

    settings = ReportSettings(
        folder=run_folder, samples=samples, audit=audit, judge=judge, with_images=not no_images
    )
    path = write_report(
        settings, out or default_file(run_folder, format_name), format_name=format_name
    )
    click.echo(json.dumps({"report": str(path)}) if as_json else path)
