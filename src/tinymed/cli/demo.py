"""`tinymed demo`: the whole path, from a bare install."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

import click

from tinymed.cli import show_answer


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list of three answers.")
def demo(*, as_json: bool) -> None:
    """Answer three questions about a real radiograph.

    Fetches the parts of the model 'nano' if they are not there yet (110 MiB, once). The
    radiograph is a chest X-ray of the package 'pydicom-data'; no network is needed for it.

    \b
    Example:
        tinymed demo
    """
    from tinymed.ask import ask_each  # the engine loads here, not for --help
    from tinymed.demo import QUESTIONS, demo_radiograph
    from tinymed.models.catalog import DEFAULT_MODEL, find_model
    from tinymed.models.fetch import fetch_parts
    from tinymed.quantize.first_use import make_ready

    radiograph = demo_radiograph()
    fetch_parts(find_model(DEFAULT_MODEL))
    make_ready(DEFAULT_MODEL)
    results = ask_each(radiograph, QUESTIONS, on_text=None if as_json else show_answer.stream)
    if as_json:
        show_answer.show_json([show_answer.as_row(result) for result in results])
        return
    click.echo(f"A chest X-ray: {radiograph}")
    for question in QUESTIONS:
        click.echo(f"\n{question}\n> ", nl=False)
        result = next(results)
        click.echo()
        show_answer.show_costs(result)
    show_answer.show_notes(result.image_notes)
    click.echo(f"\n{result.notice}")
    _show_next_steps(radiograph)


def _show_next_steps(radiograph: Path) -> None:
    tool, image = shlex.quote(_tool()), shlex.quote(str(radiograph))
    click.echo(
        "\nTry next:\n"
        f'  {tool} ask {image} "Is the heart enlarged?"\n'
        f'  {tool} ask {image} "Is this a CT scan?" --json\n'
        f"  {tool} serve --open\n"
        f"  {tool} models show nano\n"
        f"  {tool} --help"
    )


def _tool() -> str:
    """How this program was called, so that the commands shown can be pasted."""
    return "tinymed" if shutil.which("tinymed") == sys.argv[0] else sys.argv[0]
