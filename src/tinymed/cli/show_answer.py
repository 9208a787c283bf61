"""How an answer is shown: text on standard output, the rest on standard error."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tinymed.ask import AskResult


def stream(piece: str) -> None:
    """Show a piece of an answer as it is decoded."""
    click.echo(piece, nl=False)


def show_costs(result: AskResult) -> None:
    """How sure the model is, and how long it took."""
    times = {
        "load": result.load_ms,
        "encode": result.encode_ms,
        "prefill": result.prefill_ms,
        "decode": result.decode_ms,
    }
    told = [f"confidence {100 * result.confidence:.0f} % (the model's own, not calibrated)"]
    # A further question on the same image pays neither load nor encode.
    told += [f"{name} {time_ms:.0f} ms" for name, time_ms in times.items() if time_ms > 0]
    if result.peak_memory_mib is not None:
        told.append(f"peak memory {result.peak_memory_mib:.0f} MiB")
    click.echo("  " + ", ".join(told), err=True)


def show_notes(notes: Iterable[str]) -> None:
    """What was done to the image."""
    for note in notes:
        click.echo(f"  image: {note}", err=True)


def show_json(results: object) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(results, ensure_ascii=False))


def as_row(result: AskResult) -> dict[str, object]:
    """A result as JSON holds it."""
    return asdict(result)
