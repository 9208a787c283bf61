"""Optional packages: imported when needed, named when missing."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from types import ModuleType

from tinymed.errors import MissingExtraError


def require(module: str, *, extra: str, for_what: str) -> ModuleType:
    """Import an optional package, or say how to get it.

    Raises:
        MissingExtraError: If the package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"{for_what} needs the package '{module}'. "
            f"Install it with: pip install 'tinymed[{extra}]'"
        ) from error


def is_installed(*modules: str) -> bool:
    """Whether every one of these can be imported; imports none."""
    return all(find_spec(module) is not None for module in modules)
