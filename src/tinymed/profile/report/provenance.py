"""On what machine a profile was made, and the commands that make it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tinymed.pages.document import Block, Cell, Code, Column, Row, RowGroup, Section, Table, Text
from tinymed.profile.pareto.folders import Evaluation, Folders, Profile

_FILES = "Files stand here without their folders; the run folders hold the sha256 of each."
_EVALUATION_OPTIONS = ("samples", "train", "limit")


def machine_section(profiles: Sequence[Profile]) -> Section | None:
    """What each profile says of the machine and of how it was measured; None without any."""
    if not profiles:
        return None
    return Section(
        id="machine",
        title="The machine",
        blocks=tuple(
            _facts_table(profile.run, f"{profile.folder.name}: how and on what it was measured")
            for profile in profiles
        ),
    )


def commands_section(folders: Folders, *, this_page: str) -> Section:
    """The commands that measured, evaluated and wrote this page."""
    commands = [line for profile in folders.profiles for line in profile_commands(profile)]
    commands += [evaluation_command(one) for one in folders.evaluations]
    blocks: list[Block] = [
        Text(paragraphs=(_FILES,)),
        Code(text="\n".join([*commands, this_page])),
    ]
    return Section(id="again", title="To make this again", blocks=tuple(blocks))


def profile_commands(profile: Profile) -> list[str]:
    """The shell commands that measured a profile's points: real weights, then random ones."""
    run = profile.run
    options = []
    for name in ("image", "question", "runs", "threads", "device"):
        value = run.get(name)
        if value is not None:
            # The file's name; behind it stand its kind and size in brackets.
            shown = str(value).rpartition(" (")[0] if name == "image" else str(value)
            options += [f"--{name}", shown]
    if any(point.conditions.is_busy for point in profile.points):
        options.append("--busy")
    commands = []
    for is_random in (False, True):
        names = [point.name for point in profile.points if point.is_random == is_random]
        if names:
            weights = ["--random-weights", "FOLDER"] if is_random else []
            words = ["tinymed", "profile", "run", *names, *weights, *options]
            commands.append(shlex.join([*words, "--out", str(profile.folder)]))
    return commands


def evaluation_command(one: Evaluation) -> str:
    """The shell command that evaluated a build."""
    words = ["tinymed", "evaluate", "run", one.name]
    for name in _EVALUATION_OPTIONS:
        if one.run.get(name) is not None:
            words += [f"--{name}", str(one.run[name])]
    return shlex.join([*words, "--out", str(one.folder)])


def _facts_table(facts: Mapping[str, Any], caption: str) -> Table:
    rows = tuple(Row(cells=(Cell(text=name), Cell(text=value))) for name, value in _flat(facts, ""))
    return Table(
        caption=caption,
        columns=(Column(title="", kind="text"), Column(title="", kind="code")),
        groups=(RowGroup(rows=rows),),
    )


def _flat(facts: Mapping[str, Any], above: str) -> Iterator[tuple[str, str]]:
    for name, value in facts.items():
        words = f"{above}{name.replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{words}: ")
        elif value is not None:
            shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            yield words, shown
