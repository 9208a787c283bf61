"""The command reference tells the truth."""

from __future__ import annotations

from pathlib import Path

from tinymed.cli import COMMANDS
from tinymed.cli.reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_reference_is_what_the_commands_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "run: make docs"


def test_every_command_has_a_heading() -> None:
    for command in COMMANDS:
        assert f"\n## tinymed {command}\n" in PAGE.read_text(encoding="utf-8")
