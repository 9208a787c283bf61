"""How plots look: their colours by day and by night, and what each class is drawn like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files

# Six hues of about one lightness that people who confuse red and green tell apart (after
# Okabe and Ito, 2008, "Color universal design"), darker on white and lighter on black.
_PIECES = {
    "light": ("#8a9099", "#56a0d3", "#0b57a4", "#0f8a6d", "#d98a00", "#a8458c"),
    "dark": ("#7b838e", "#8cc4ec", "#4a93d9", "#3fb894", "#e6a53a", "#cf7fb8"),
}


def _colours(theme: str) -> dict[str, str]:
    return {f"piece-{number}": one for number, one in enumerate(_PIECES[theme], start=1)}


def _variables(colours: Mapping[str, str]) -> str:
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())


_RULES = """
.plot text, .bars-plot text { fill: var(--quiet); font-size: 12px; }
.plot .name, .bars-plot .name { fill: var(--ink); }
.plot .grid, .bars-plot .grid { stroke: var(--faint); stroke-width: 1; }
.plot .edge, .bars-plot .edge { stroke: var(--rule); stroke-width: 1; }
.plot .steps { fill: none; stroke: var(--model); stroke-width: 3; stroke-opacity: .3; }
.plot .agree { fill: none; stroke: var(--control); stroke-width: 1; }
.plot .band { fill: var(--control); fill-opacity: .14; }
.plot .bars line { stroke: var(--model); stroke-width: 1.25; stroke-opacity: .5; }
.plot .bars.untold line { stroke-opacity: .32; }
.plot .bars.dominated line, .plot .bars.refused line { stroke: var(--control); stroke-opacity: .4; }
.plot .bars.published line { stroke: var(--ink); stroke-opacity: .5; }
.plot .dot { stroke: var(--paper); stroke-width: 1.25; }
.plot .dot.front { fill: var(--model); }
.plot .dot.untold { fill: var(--model); fill-opacity: .5; }
.plot .dot.dominated { fill: var(--control); }
.plot .dot.refused { fill: none; stroke: var(--control); stroke-width: 2; }
.plot .dot.published { fill: var(--paper); stroke: var(--ink); stroke-width: 1.5; }
.plot .leader { stroke: var(--control); stroke-width: .75; stroke-opacity: .8; }
.plot .label { font-size: 11px; fill: var(--quiet); }
.plot .label, .bars-plot .label { stroke: var(--paper); stroke-width: 3; paint-order: stroke; }
.plot .label.front { fill: var(--ink); font-weight: 600; }
.plot .label.published { font-style: italic; }
"""
_PIECE_RULES = "".join(
    f".piece-{number} {{ fill: var(--piece-{number}); stroke: var(--paper); stroke-width: 1; }}\n"
    for number in range(1, 7)
)

PAGE_STYLE = (
    f":root {{ {_variables(_colours('light'))} }}\n"
    "@media screen and (prefers-color-scheme: dark) {\n"
    f"  :root {{ {_variables(_colours('dark'))} }}\n}}"
    f"{_RULES}{_PIECE_RULES}"
    ".plots { display: grid; gap: 2rem 3rem;\n"
    "  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }\n"
    ".plots figcaption { max-width: 30rem; }\n"
    ".plots svg.plot { width: 100%; max-width: 34rem; height: auto; }\n"
    "@media print { .plots { grid-template-columns: 1fr 1fr; gap: 1rem 1.2rem; } }\n"
)
"""For a page that shows plots, beside the page's own style."""


def standalone_style() -> str:
    """For a plot without a page: the same rules with the page's daytime colours in them."""
    colours = _page_colours() | _colours("light")
    rules = f"{_RULES}{_PIECE_RULES}"
    return re.sub(r"var\(--([\w-]+)\)", lambda found: colours[found[1]], rules)


def _page_colours() -> dict[str, str]:
    style = files(__package__).joinpath("style.html.jinja").read_text(encoding="utf-8")
    root = style[style.index(":root {") : style.index("}")]
    return dict(re.findall(r"--([\w-]+): (#\w+);", root))
