"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tinymed.cli import COMMANDS, tinymed

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "src" / "tinymed").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

HEAVY = (
    "jinja2",
    "numpy",
    "openai",
    "openvino",
    "PIL",
    "pydicom",
    "tokenizers",
    "torch",
    "transformers",
    "tqdm",
)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _commands(
    command: click.Command, words: tuple[str, ...]
) -> Iterator[tuple[str, click.Command]]:
    yield " ".join(words), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _commands(below, (*words, name))


ALL_COMMANDS = dict(_commands(tinymed, ("tinymed",)))


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=_name)
def test_a_file_is_a_few_pages_at_most(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= (500 if path in SOURCES else 600)


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_a_modules_name_is_its_idea(path: Path) -> None:
    assert path.stem not in {"utils", "common", "helpers", "misc"}
    assert not path.stem.endswith("_old")


@pytest.mark.parametrize("folder", sorted({path.parent for path in SOURCES}), ids=_name)
def test_a_folder_of_modules_is_a_package(folder: Path) -> None:
    assert (folder / "__init__.py").is_file()


@pytest.mark.parametrize("words", sorted(ALL_COMMANDS))
def test_a_commands_help_opens_with_what_it_is_for_and_ends_with_an_example(words: str) -> None:
    text = ALL_COMMANDS[words].help or ""
    assert text.splitlines()[0].endswith(".")
    examples = [line.strip() for line in text.rpartition("Example:")[2].splitlines()]
    assert any(line == words or line.startswith(f"{words} ") for line in examples)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_table_of_commands_says_what_each_says_of_itself(name: str) -> None:
    text = ALL_COMMANDS[f"tinymed {name}"].help or ""
    assert COMMANDS[name].help == text.splitlines()[0]


def test_every_module_of_commands_is_in_the_table() -> None:
    listed = {entry.module.rpartition(".")[2] for entry in COMMANDS.values()}
    in_folder = {path.stem for path in SOURCES if path.parent.name == "cli"}
    assert in_folder - listed == {"__init__", "model_options", "show_answer", "reference"}


def test_help_loads_nothing_heavy_and_answers_at_once() -> None:
    program = (
        "import sys; sys.argv = ['tinymed', '-h']\n"
        "from tinymed.cli import main\n"
        "try:\n    main()\n"
        f"finally:\n    print(sorted(set({HEAVY}) & set(sys.modules)), file=sys.stderr)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert finished.stderr == "[]\n"
    assert "Example:" in finished.stdout
    # Processor time, because other programs may keep the machine busy.
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert used_s < 0.3
