"""A report as one HTML file that asks no other host for anything and runs no script."""

from __future__ import annotations

from functools import cache

import jinja2
from markupsafe import Markup

from tinymed.pages.charts import strip, strip_axis
from tinymed.pages.document import Document
from tinymed.pages.plot_style import PAGE_STYLE

_TEMPLATE = "page.html.jinja"
# What HTML forbids in text, whatever a data set holds.
_FORBIDDEN = {code: "�" for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in (9, 10)}


def report_html(document: Document) -> str:
    """A report as HTML; everything in it is escaped but the drawings, which are ours."""
    page = _environment().get_template(_TEMPLATE).render(document=document)
    # A lone half of a surrogate pair, which JSON can hold, is no character and cannot be written.
    return page.translate(_FORBIDDEN).encode("utf-8", "replace").decode("utf-8")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tinymed.pages", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["strip"] = lambda marks: Markup(strip(marks))  # noqa: S704 - numbers
    environment.filters["drawing"] = Markup
    environment.globals["axis"] = Markup(strip_axis())  # noqa: S704 - no data in it
    environment.globals["plot_style"] = Markup(PAGE_STYLE)  # noqa: S704 - no data in it
    return environment
