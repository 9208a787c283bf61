"""`tinymed quantize`: a smaller build of a model, compared with the model before it is used."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tinymed.errors import ModelError
from tinymed.models.schemes import SCHEMES

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _list_schemes(context: click.Context, _: click.Parameter, value: object) -> None:
    if not value or context.resilient_parsing:
        return
    for scheme in SCHEMES.values():
        click.echo(f"{scheme.name:<14} {scheme.description}")
    context.exit()


def _thread_counts(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, ...]:
    counts = [] if value is None else value.split(",")
    if not all(count.strip().isdecimal() and int(count) > 0 for count in counts):
        raise click.BadParameter(f"'{value}' is no list of numbers from 1, such as 1,2.")
    return tuple(map(int, counts))


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("model")
@click.option(
    "--scheme",
    type=click.Choice(list(SCHEMES)),
    required=True,
    metavar="SCHEME",
    help="How weights are stored: a name that --list shows.",
)
@click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_schemes,
    help="Show every scheme, what it quantizes and what not.",
)
@click.option("--vision", metavar="PRECISION", help="Of the vision encoder, if not the scheme's.")
@click.option("--connector", metavar="PRECISION", help="Of the connector, if not the scheme's.")
@click.option("--language", metavar="PRECISION", help="Of the language model, if not the scheme's.")
@click.option("--out", type=click.Path(path_type=Path), help="The build's folder.")
@click.option("--samples", type=_FILE, help="Questions with references, to be asked as well.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many samples.")
@click.option("--reference", metavar="SCHEME", help="Full-precision scheme to compare with.")
@click.option(
    "--threads",
    callback=_thread_counts,
    metavar="N[,N]",
    help="Processor threads to run the build with; several are compared each.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def quantize(  # noqa: PLR0913 - one parameter an option
    model: str,
    *,
    scheme: str,
    vision: str | None,
    connector: str | None,
    language: str | None,
    out: Path | None,
    samples: Path | None,
    limit: int | None,
    reference: str | None,
    threads: tuple[int, ...],
    as_json: bool,
) -> None:
    """Make a smaller build of MODEL and compare it with MODEL before anything uses it.

    The parity gate asks both the same 240 questions about made-up pictures, and your own
    samples if you name some, and compares tensors and answers. Exit code 2 if the build fails;
    it then stays where it is, marked, and `ask` refuses it.

    \b
    Example:
        tinymed quantize nano --scheme openvino-int8
        tinymed quantize runs/mine/model --scheme openvino-int4 --samples validation.jsonl
        tinymed quantize nano --scheme openvino-int8 --vision f32 --out builds/sharp-eyes
    """
    from dataclasses import asdict

    from tinymed.models.schemes import find_scheme
    from tinymed.quantize.compare_build import GateSettings
    from tinymed.quantize.parts_text import parts_text
    from tinymed.quantize.quantize import QuantizeSettings
    from tinymed.quantize.quantize import quantize as quantize_model
    from tinymed.quantize.report import parity_text

    chosen = {"vision_encoder": vision, "connector": connector, "language_model": language}
    settings = QuantizeSettings(
        scheme=find_scheme(scheme),
        precisions={part: precision for part, precision in chosen.items() if precision},
        out=out,
        gate=GateSettings(reference=reference, threads=threads, samples=samples, limit=limit),
    )
    made = quantize_model(model, settings)
    build, report = made.build, made.report
    if as_json:
        parts = [{**asdict(part), "bits": part.bits} for part in build.parts]
        row = {"folder": str(build.folder), "num_bytes": build.num_bytes, "parts": parts}
        click.echo(json.dumps({**row, "parity": report}))
    else:
        click.echo(f"{parts_text(build)}\n\n{parity_text(report)}")
    wanted = language or settings.scheme.language_model
    if build.precision("language_model") != wanted:
        click.echo(
            f"note: the language model is kept in {build.precision('language_model')}, not in "
            f"{wanted}: {settings.scheme.description}",
            err=True,
        )
    if not report["passed"]:
        raise ModelError(
            f"The build '{build.name}' did not pass the parity gate: it is kept, "
            "marked, and refused."
        )
