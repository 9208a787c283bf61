"""Reports as files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tinymed.errors import ConfigError, DataError
from tinymed.evaluate.report.content import ReportSettings, read_document
from tinymed.evaluate.report.report import read_report, report_json
from tinymed.pages.html import report_html
from tinymed.pages.markdown import report_markdown
from tinymed.runs import write_bytes


def _html(settings: ReportSettings) -> str:
    return report_html(read_document(settings))


def _markdown(settings: ReportSettings) -> str:
    return report_markdown(read_document(settings))


def _json(settings: ReportSettings) -> str:
    report = read_report(settings.folder)
    return json.dumps(report_json(report), indent=2, ensure_ascii=False) + "\n"


FORMATS: dict[str, Callable[[ReportSettings], str]] = {
    "html": _html,
    "markdown": _markdown,
    "json": _json,
}
"""How a report can be written; JSON is what scores.json holds."""

SUFFIXES = {".html": "html", ".htm": "html", ".md": "markdown", ".json": "json"}


def format_of(path: Path) -> str:
    """The format that a file's name asks for.

    Raises:
        ConfigError: If its suffix is none of ours.

    Example:
        >>> format_of(Path("report.md"))
        'markdown'
    """
    found = SUFFIXES.get(path.suffix.lower())
    if found is None:
        raise ConfigError(
            f"The name '{path.name}' does not tell a report's format: end it in "
            f"{', '.join(SUFFIXES)}, or say --format."
        )
    return found


_SUFFIX_OF = {"html": ".html", "markdown": ".md", "json": ".json"}


def default_file(folder: Path, format_name: str | None) -> Path:
    """Where a report goes if nobody says: into its run folder.

    >>> default_file(Path("run"), "markdown").name, default_file(Path("run"), None).name
    ('report.md', 'report.html')
    """
    return folder / f"report{_SUFFIX_OF[format_name or 'html']}"


def write_report(settings: ReportSettings, out: Path, *, format_name: str | None = None) -> Path:
    """Write the report of a run folder, whole or not at all.

    The same files give the same bytes: nothing in a report tells when it was written.

    Args:
        settings: The files it is made of.
        out: Where to; what is there is replaced.
        format_name: One of FORMATS; without it, as the suffix of `out` says.

    Returns:
        `out`.

    Raises:
        DataError: If the run folder holds no finished run, or `out` cannot be written.
        ConfigError: If nothing tells the format.
    """
    text = FORMATS[format_name or format_of(out)](settings)
    _write(out, text)
    return out


def write_reports(folder: Path, *, with_images: bool = True) -> tuple[Path, Path]:
    """Write report.html and report.md into a finished run folder.

    Raises:
        DataError: If the folder holds no finished run or cannot be written to.
    """
    document = read_document(ReportSettings(folder=folder, with_images=with_images))
    pages = {"report.html": report_html(document), "report.md": report_markdown(document)}
    for name, text in pages.items():
        _write(folder / name, text)
    return folder / "report.html", folder / "report.md"


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, text.encode("utf-8", "replace"))
    except OSError as error:
        raise DataError(f"Cannot write '{path}': {error.strerror}.") from error
