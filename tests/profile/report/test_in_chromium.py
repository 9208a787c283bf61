"""The page in a real browser: nothing wrong on its console, nothing wider than a phone."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from made_up_plan import made_up_plan

from tinymed.profile.report.content import ReportSettings
from tinymed.profile.report.write import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
# The page forbids itself scripts, so another one looks at it through a frame.
FRAME = """<!DOCTYPE html><meta charset="utf-8"><body><iframe id="f" src="page.html" width="{width}"
height="900" style="border:0"></iframe><script>
document.getElementById("f").onload = event => {{
  const page = event.target.contentDocument, whole = page.documentElement;
  const style = event.target.contentWindow.getComputedStyle(page.querySelector(".dot.front"));
  document.body.dataset.found = JSON.stringify([whole.scrollWidth, whole.clientWidth, style.fill]);
}};</script>"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium to open the page in")


def opened(folder: Path, *, width: int) -> tuple[list[str], str]:
    """What a browser says of page.html: widths and a dot's colour, and its log."""
    assert CHROMIUM is not None
    (folder / "frame.html").write_text(FRAME.format(width=width))
    finished = subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"),
            *("--allow-file-access-from-files", f"--user-data-dir={folder / 'profile'}"),
            *("--dump-dom", f"{(folder / 'frame.html').as_uri()}"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    found = re.search(r'data-found="([^"]*)"', finished.stdout)
    assert found is not None, finished.stderr
    return found[1].replace("&quot;", '"').strip("[]").split(",", 2), finished.stderr


@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_opens_without_a_word_on_the_console_and_scrolls_only_down(
    runs: tuple[Path, ...], tmp_path: Path, width: int
) -> None:
    settings = ReportSettings(folders=runs, plans=(made_up_plan(),), command="tinymed " + "x" * 300)
    write_report(settings, tmp_path / "page.html")
    (whole, seen, fill), log = opened(tmp_path, width=width)
    # The browser's own bar for scrolling down takes a little.
    assert int(whole) == int(seen) > width - 20
    assert "rgb(11, 87, 164)" in fill
    assert "CONSOLE" not in log
