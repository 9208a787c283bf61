"""Running the gate on a build: both engines asked, one after the other, and the verdict kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinymed.engines.building import ensure_build
from tinymed.engines.choose import has_files, open_as_it_is, open_build
from tinymed.engines.protocol import Engine
from tinymed.errors import ModelError
from tinymed.evaluate.asking import samples_to_ask
from tinymed.jsonl import samples_digest
from tinymed.models.build import Build, read_build
from tinymed.models.catalog import Checkpoint, Source, source_digest
from tinymed.models.fetch import require_parts
from tinymed.models.parity_mark import read_parity, write_parity
from tinymed.models.schemes import Scheme
from tinymed.quantize.accuracy import SampleParity, ask_samples, sample_parity
from tinymed.quantize.fixed_set import fixed_cases
from tinymed.quantize.gate import compare
from tinymed.quantize.observe import observe
from tinymed.quantize.reference import reference_for
from tinymed.quantize.report import Parity, parity_row
from tinymed.records import Prediction, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """How a build is compared."""

    reference: str | None = None
    """A full-precision scheme; None chooses one."""
    threads: tuple[int, ...] = ()
    """Numbers of threads to run the build with, the usual one first; empty lets the engine
    choose. With 8-bit weights some answers depend on it."""
    samples: Path | None = None
    """JSON lines of samples that both are asked as well."""
    limit: int | None = None
    """Only the first so many samples."""


def samples_of(settings: GateSettings) -> list[Sample]:
    """The samples to ask, read before anything is built.

    Raises:
        DataError: If they cannot be used.
    """
    if settings.samples is None:
        return []
    return samples_to_ask(settings.samples, settings.limit).samples


def compare_build(
    build: Build, source: Source, settings: GateSettings, samples: Sequence[Sample] = ()
) -> dict[str, Any]:
    """Compare a build with the model it was made from, and keep the verdict beside it.

    One engine is open at a time, so that the two never share the memory.

    Args:
        build: What is judged; read from its folder.
        source: The model it was made from.
        settings: How.
        samples: What `samples_of` read.

    Returns:
        The report, as `write_parity` keeps it.

    Raises:
        ModelError: If the build was made from another model, or one of them is damaged.
        ConfigError: If there is no reference to compare with.
    """
    if build.source_digest != source_digest(source):
        raise ModelError(
            f"The build '{build.folder}' was not made from '{source.address}' as it is now; "
            "build it again."
        )
    reference = reference_for(build, settings.reference)
    cases = fixed_cases()
    counts = settings.threads or (None,)
    engine = _open_reference(source, reference, threads=counts[0])
    theirs = observe(engine, cases, label=f"{reference.name} (reference)")
    their_answers = _ask(engine, samples)
    del engine
    comparisons = []
    our_answers: list[Prediction] = []
    for place, threads in enumerate(counts):
        engine = open_build(build, threads=threads)
        ours = observe(engine, cases, label=build.scheme)
        if place == 0:
            our_answers = _ask(engine, samples)
        del engine
        precisions = {part.name: part.precision for part in build.parts}
        comparisons.append(compare(theirs, ours, cases, precisions=precisions))
    parity = Parity(
        build=build,
        cases=cases,
        comparisons=comparisons,
        samples=_sample_parity(samples, their_answers, our_answers),
    )
    row = parity_row(parity)
    if samples and settings.samples is not None:
        row["samples"] |= {"file": settings.samples.name, "sha256": samples_digest(samples)}
    write_parity(build, row)
    kept = read_parity(build)
    assert kept is not None
    return kept


def _open_reference(source: Source, scheme: Scheme, *, threads: int | None) -> Engine:
    if not isinstance(source, Checkpoint):
        require_parts(source)
    if not has_files(scheme):
        return open_as_it_is(source, scheme, threads=threads)
    return open_build(read_build(ensure_build(source, scheme)), threads=threads)


def _ask(engine: Engine, samples: Sequence[Sample]) -> list[Prediction]:
    if not samples:
        return []
    return ask_samples(engine, samples, label=f"{engine.scheme}, samples")


def _sample_parity(
    samples: Sequence[Sample], theirs: list[Prediction], ours: list[Prediction]
) -> SampleParity | None:
    return sample_parity(samples, theirs, ours) if samples else None
