"""tinymed profile run: measure what models take on this machine."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import click

from tinymed.cli import model_options
from tinymed.cli.profile.options import CONTEXT, FILE


@click.command(context_settings=CONTEXT)
@click.argument("models", metavar="MODEL[:SCHEME]…", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Run folder.")
@click.option(
    "--image", type=FILE, help="PNG, JPEG or DICOM; else the demo's radiograph, or a drawn picture."
)
@click.option("--question", help="The first question about it.")
@click.option(
    "--runs",
    type=click.IntRange(min=2),
    default=10,
    show_default=True,
    help="Repetitions that count, after two that warm up.",
)
@model_options.threads
@click.option(
    "--device",
    default="auto",
    show_default=True,
    help="What torch computes on: auto, cpu, cuda, cuda:0, …",
)
@click.option(
    "--random-weights",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Measure known shapes with random weights, which are made in FOLDER and kept.",
)
@click.option("--busy", is_flag=True, help="Keep, and mark, figures of a busy machine.")
@click.option(
    "--max-spread",
    type=click.FloatRange(min=0),
    default=0.15,
    show_default=True,
    help="Most that a figure's 95th percentile may lie above its median, as a share of it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def run(  # noqa: PLR0913 - one parameter an option
    models: tuple[str, ...],
    *,
    out: Path,
    image: Path | None,
    question: str | None,
    runs: int,
    threads: int | None,
    device: str,
    random_weights: Path | None,
    busy: bool,
    max_spread: float,
    as_json: bool,
) -> None:
    """Measure time, memory and energy of each MODEL, beside what the plan had said.

    Every model runs in a process of its own: load, image decode, preprocess, vision encode,
    prefill and decode apart, warmed up, with median and 95th percentile. Builds that are not
    there are made first. A figure that a busy machine has spoilt is not written (exit code 3). A
    run that was stopped goes on where it was when started again with the same options.

    \b
    Example:
        tinymed profile run nano:openvino-int8 nano:native-int8 --out runs/profile
        tinymed profile run tinyllava-1.5b:native-int4 --random-weights shapes --out runs/shapes
    """
    from tinymed.profile.run.run import QUESTION, ProfileSettings, profile_json, profile_run
    from tinymed.profile.run.text import profile_text

    with tempfile.TemporaryDirectory() as drawn:
        settings = ProfileSettings(
            models=models,
            out=out,
            image=image or _usual_image(Path(drawn)),
            question=question or QUESTION,
            runs=runs,
            threads=threads,
            device=device,
            random_weights=random_weights,
            busy=busy,
            max_spread=max_spread,
        )
        profile = profile_run(settings)
    if as_json:
        click.echo(json.dumps(profile_json(profile), indent=2, ensure_ascii=False))
    else:
        click.echo(profile_text(profile))


def _usual_image(folder: Path) -> Path:
    """The demo's radiograph where its package is installed, else a drawn picture."""
    from tinymed.demo import demo_radiograph
    from tinymed.errors import MissingExtraError
    from tinymed.profile.run.picture import draw_picture

    try:
        return demo_radiograph()
    except MissingExtraError:
        return draw_picture(folder)
