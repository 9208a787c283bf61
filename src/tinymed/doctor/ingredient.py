"""One thing that something needs: whether it is here, and the command that gets it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingredient:
    """An engine, a codec, a model or an optional package."""

    name: str
    is_here: bool
    purpose: str = ""
    """What it is for, where the name does not say it."""
    version: str | None = None
    note: str | None = None
    """What else is to be known of it."""
    get: str | None = None
    """The command that gets it; None where it is here, or where nothing gets it."""
