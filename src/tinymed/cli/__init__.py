"""The command line: parse, call one function, print."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from dataclasses import dataclass
from typing import NoReturn

import click

from tinymed import __version__
from tinymed.errors import TinymedError, UserError

_EXIT_INTERRUPTED = 130
"""What a shell expects after Ctrl-C."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LazyCommand:
    """A command that is imported when it is called, not to list it."""

    module: str
    attribute: str
    help: str
    """The first line of the command's own help; a test compares them."""


COMMANDS = {
    "demo": LazyCommand(
        module="tinymed.cli.demo",
        attribute="demo",
        help="Answer three questions about a real radiograph.",
    ),
    "ask": LazyCommand(
        module="tinymed.cli.ask",
        attribute="ask",
        help="Ask one question about a medical image.",
    ),
    "models": LazyCommand(
        module="tinymed.cli.models",
        attribute="models",
        help="List, fetch and check models.",
    ),
    "data": LazyCommand(
        module="tinymed.cli.data",
        attribute="data",
        help="Fetch, import and check data sets.",
    ),
    "train": LazyCommand(
        module="tinymed.cli.train",
        attribute="train",
        help="Fine-tune a model by RECIPE, a TOML file.",
    ),
    "quantize": LazyCommand(
        module="tinymed.cli.quantize",
        attribute="quantize",
        help="Make a smaller build of MODEL and compare it with MODEL before anything uses it.",
    ),
    "evaluate": LazyCommand(
        module="tinymed.cli.evaluate",
        attribute="evaluate",
        help="Measure how well a model answers, next to what it must beat.",
    ),
    "profile": LazyCommand(
        module="tinymed.cli.profile",
        attribute="profile",
        help="Know what a model takes: before a download, on this machine, and for its quality.",
    ),
    "serve": LazyCommand(
        module="tinymed.cli.serve",
        attribute="serve",
        help="Serve a local web page and API that answer about medical images.",
    ),
    "users": LazyCommand(
        module="tinymed.cli.users",
        attribute="users",
        help="Say who may sign in to a server.",
    ),
    "logs": LazyCommand(
        module="tinymed.cli.logs",
        attribute="logs",
        help="Verify, export and purge the audit of served answers.",
    ),
    "doctor": LazyCommand(
        module="tinymed.cli.doctor",
        attribute="doctor",
        help="Tell what this machine is, what runs on it and how fast, and what is missing.",
    ),
}


class LazyGroup(click.Group):
    """A group whose commands stand in COMMANDS, so that its help imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command by its exact name."""
        if cmd_name not in COMMANDS:
            return None
        entry = COMMANDS[cmd_name]
        command = getattr(importlib.import_module(entry.module), entry.attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.module}:{entry.attribute} is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tinymed")
def tinymed() -> None:
    """Answer questions about medical images on the computer at hand, offline.

    Research and education only, never a diagnosis.

    \b
    Example:
        tinymed ask chest.dcm "Is there an abnormality?"
    """


def main() -> NoReturn:
    """Run the command line: one sentence for every error a person can mend."""
    try:
        code = tinymed(prog_name="tinymed", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(_EXIT_INTERRUPTED)
    except TinymedError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader has left; Python would complain again when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        click.echo("error: The disk is full. Free some space, then try again.", err=True)
        sys.exit(UserError.exit_code)
    sys.exit(code if isinstance(code, int) else 0)
