"""tinymed users add: let somebody sign in."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tinymed.cli.show_answer import show_json
from tinymed.cli.users import options
from tinymed.errors import ConfigError


@click.command()
@click.argument("name")
@options.file
@click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input, one line."
)
@options.as_json
def add(name: str, *, file: Path, password_stdin: bool, as_json: bool) -> None:
    """Let NAME sign in, with a password of 10 characters or more.

    It is asked for twice and not shown. The file is made where there is none; it holds a
    scrypt hash and never the password. A running server needs no restart.

    \b
    Example:
        tinymed users add amina --file users.json
    """
    from tinymed.serve.access.users import add_user

    add_user(file, name, _password_of_stdin() if password_stdin else _password_asked())
    if as_json:
        show_json({"added": name, "file": str(file)})
        return
    click.echo(f"{name} can sign in to: tinymed serve --users {file}")


def _password_of_stdin() -> str:
    try:
        return sys.stdin.readline().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise ConfigError("The password is no text in UTF-8: send it in UTF-8.") from error


def _password_asked() -> str:
    first: str = click.prompt("Password", hide_input=True, err=True)
    if click.prompt("Once more", hide_input=True, err=True) != first:
        raise ConfigError("The two passwords differ: run the command again.")
    return first
