"""tinymed models check: whether a model is whole, answers as it should, and looks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tinymed.cli.show_answer import show_json
from tinymed.errors import ModelError

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("model")
@click.option("--files-only", is_flag=True, help="Compare hashes and stop: nothing is computed.")
@click.option("--samples", type=_FILE, help="Questions with references, to be asked as well.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many samples.")
@click.option("--reference", metavar="SCHEME", help="Full-precision scheme to compare with.")
@click.option("--threads", type=click.IntRange(min=1), help="Processor threads to use.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(  # noqa: PLR0913 - one parameter an option
    model: str,
    *,
    files_only: bool,
    samples: Path | None,
    limit: int | None,
    reference: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Check MODEL: every byte, every tensor, its answers beside its original's, and its eyes.

    MODEL is a name or folder, with :SCHEME or without, or a build's folder. Every file is read
    anew and hashed; the build is loaded twice and must answer alike; the parity gate compares
    it with the model that it was made from, and the verdict is kept; the questions are
    asked once more about black images. Exit code 2 if anything is amiss.

    \b
    Example:
        tinymed models check nano
        tinymed models check nano:gguf-q8_0 --samples validation.jsonl
        tinymed models check nano --files-only
    """
    files = _files(model)
    if not as_json:
        for file, state in files.items():
            click.echo(f"{file}: {state}")
    elif files_only:
        show_json(files)
    _refuse_incomplete(model, files)
    if files_only:
        return
    from tinymed.quantize.check import check_model, checked_row, checked_text
    from tinymed.quantize.compare_build import GateSettings

    checked = check_model(
        model,
        GateSettings(
            reference=reference,
            threads=() if threads is None else (threads,),
            samples=samples,
            limit=limit,
        ),
    )
    if as_json:
        show_json({"files": files, **checked_row(checked)})
    else:
        click.echo(checked_text(checked))
    if checked.problems:
        raise ModelError(f"'{model}' should not be used: {'; '.join(checked.problems)}.")


def _files(model: str) -> dict[str, Any]:
    """The state of each of a model's own files, read anew; of a checkpoint its tensors.

    Raises:
        ModelError: If there is no such model, or a build or checkpoint is not whole.
    """
    from tinymed.models.build import Build, check_build
    from tinymed.models.catalog import Checkpoint, find, load_source, split_address
    from tinymed.models.fetch import check_files

    base, _ = split_address(model)
    found = find(base)
    if isinstance(found, Build):
        return {file.name: "intact" for file in check_build(found.folder).files}
    if isinstance(found, Checkpoint):
        weights = load_source(found)  # every tensor has a place, or this fails with the names
        counts = {"language_model": len(weights.language), "connector": len(weights.connector)}
        counts["vision_encoder"] = len(weights.vision)
        return {part: f"{number} tensors, all placed" for part, number in counts.items()}
    return dict(check_files(found))


def _refuse_incomplete(model: str, states: dict[str, Any]) -> None:
    bad = {file for file, state in states.items() if state in ("missing", "damaged")}
    if "trained" in bad:
        raise ModelError(
            f"The trained weights of '{model}', which come with tinymed, are missing or damaged. "
            "Install tinymed again."
        )
    if bad:
        raise ModelError(f"The model '{model}' is not whole. Run: tinymed models pull {model}")
