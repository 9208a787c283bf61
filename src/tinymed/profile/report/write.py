"""Reports of profiles as files: a page, its tables, or each of its plots."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tinymed.errors import ConfigError, DataError
from tinymed.pages.document import Document
from tinymed.pages.html import report_html
from tinymed.pages.markdown import report_markdown
from tinymed.pages.picture import png_of, standalone_svg
from tinymed.profile.pareto.folders import read_folders
from tinymed.profile.pareto.join import join, named_points
from tinymed.profile.pareto.rows import fronts_json
from tinymed.profile.pareto.weigh import QUALITIES, front_of
from tinymed.profile.point import point_row
from tinymed.profile.report.content import ReportSettings, read_document
from tinymed.profile.report.points_csv import points_csv
from tinymed.records import NOTICE
from tinymed.runs import write_bytes

PAGES: dict[str, Callable[[Document], str]] = {"html": report_html, "markdown": report_markdown}
PLOTS: dict[str, Callable[[str], bytes]] = {
    "svg": lambda drawing: standalone_svg(drawing).encode(),
    "png": png_of,
}
FORMATS = (*PAGES, "json", "csv", *PLOTS)
"""How a report can be written; of SVG and PNG each plot is a file in a folder."""
_SUFFIXES = {
    ".html": "html",
    ".htm": "html",
    ".md": "markdown",
    ".json": "json",
    ".csv": "csv",
    ".svg": "svg",
    ".png": "png",
}


def write_report(
    settings: ReportSettings, out: Path, *, format_name: str | None = None
) -> list[Path]:
    """Write a report, each file whole or not at all.

    Args:
        settings: What it is made of.
        out: The file; for SVG and PNG the folder, which is made where it is not there.
        format_name: One of FORMATS; without it, as the suffix of `out` says.

    Returns:
        The files written.

    Raises:
        DataError: If a run folder cannot be used, or `out` cannot be written.
        ConfigError: If nothing tells the format, or a file is named where plots need a folder.
        MissingExtraError: If PNG is wanted and resvg is not installed.
        HardwareError: If PNG is wanted and this machine has no font.
    """
    format_name = format_name or _format_of(out)
    if format_name in PLOTS:
        return _write_plots(read_document(settings), out, format_name)
    if format_name in PAGES:
        return [_write(out, PAGES[format_name](read_document(settings)))]
    return [_write(out, _json(settings) if format_name == "json" else _csv(settings))]


def write_document(document: Document, out: Path) -> Path:
    """Write a page that is set out already, as HTML or Markdown by the suffix of `out`.

    Raises:
        ConfigError: If the suffix is neither.
        DataError: If it cannot be written.
    """
    format_name = _format_of(out)
    if format_name not in PAGES:
        raise ConfigError(f"'{out.name}' would be no page: end its name in .html or .md.")
    return _write(out, PAGES[format_name](document))


def _format_of(path: Path) -> str:
    found = _SUFFIXES.get(path.suffix.lower())
    if found is None:
        raise ConfigError(
            f"The name '{path.name}' does not tell a report's format: end it in "
            f"{', '.join(_SUFFIXES)}, or say --format."
        )
    return found


def _write_plots(document: Document, folder: Path, format_name: str) -> list[Path]:
    if folder.suffix.lower() in _SUFFIXES:
        raise ConfigError(
            f"Each plot is a file of its own: name a folder with --out, not '{folder.name}', and "
            f"say --format {format_name}."
        )
    if not document.plots:
        raise DataError("There is nothing to plot: name runs that were measured and evaluated.")
    written = []
    for figure in document.plots:
        path = folder / f"{figure.name}.{format_name}"
        written.append(_write_bytes(path, PLOTS[format_name](figure.svg)))
    return written


def report_json(settings: ReportSettings) -> dict[str, Any]:
    """Every profile, front and plan as JSON."""
    folders = read_folders(settings.folders)
    fronts = [
        front_of(one, QUALITIES.get(quality, quality), settings.costs)
        for one in join(folders)
        for quality in settings.qualities
    ]
    return {
        "notice": NOTICE,
        "profiles": [
            {
                **profile.run,
                "folder": str(profile.folder),
                "points": [point_row(point) for point in profile.points],
            }
            for profile in folders.profiles
        ],
        "fronts": fronts_json(fronts)["fronts"],
        "plans": [asdict(plan) for plan in settings.plans],
    }


def _json(settings: ReportSettings) -> str:
    return json.dumps(report_json(settings), indent=2, ensure_ascii=False) + "\n"


def _csv(settings: ReportSettings) -> str:
    return points_csv(named_points(read_folders(settings.folders)))


def _write(path: Path, text: str) -> Path:
    return _write_bytes(path, text.encode("utf-8", "replace"))


def _write_bytes(path: Path, content: bytes) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content)
    except OSError as error:
        raise DataError(f"Cannot write '{path}': {error.strerror}.") from error
    return path
