"""The command reference, written from the commands themselves: `docs/cli.md`."""

from __future__ import annotations

import click

from tinymed.cli import COMMANDS, tinymed

INTRODUCTION = """\
# Commands

Made from the commands' own help by `make docs`; a test compares. Errors that a person can mend
are one sentence on standard error, exit code 2; results go to standard output, progress and
remarks to standard error.
"""


def reference() -> str:
    """Every command's help, as Markdown."""
    sections = [INTRODUCTION]
    for name in COMMANDS:
        command = tinymed.get_command(click.Context(tinymed), name)
        assert command is not None  # COMMANDS is where the group looks
        sections += _sections(command, f"tinymed {name}")
    return "\n".join(sections)


def _sections(command: click.Command, path: str) -> list[str]:
    context = click.Context(
        command,
        info_name=path,
        terminal_width=100,
        max_content_width=100,
        help_option_names=["-h", "--help"],
    )
    sections = [f"## {path}\n\n```text\n{command.get_help(context)}\n```\n"]
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            sections += _sections(child, f"{path} {name}")
    return sections


if __name__ == "__main__":
    click.echo(reference(), nl=False)
