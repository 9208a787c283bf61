"""What quantizing did to the size of each part, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from tinymed.models.build import Build

_FULL_BITS = 32
"""What weights are compared with: float32, as they are computed with when nothing is quantized."""


def parts_text(build: Build) -> str:
    """A line a part: weights, size as float32 and in the build, bits a weight, what was kept."""
    return "\n".join(_lines(build))


def _lines(build: Build) -> Iterator[str]:
    yield f"{'part':<16}{'weights':>12}{'f32 MiB':>10}{'MiB':>10}{'bits':>7}  precision"
    for part in build.parts:
        yield (
            f"{part.name.replace('_', ' '):<16}{part.num_weights:>12,}"
            f"{part.num_weights * _FULL_BITS / 8 / 2**20:>10.1f}{part.num_bytes / 2**20:>10.1f}"
            f"{part.bits:>7.2f}  {part.precision}{_kept(part.kept)}"
        )
    yield f"{build.num_bytes / 2**20:.1f} MiB in all: {build.folder}"


def _kept(names: tuple[str, ...]) -> str:
    if not names:
        return ""
    return f", {len(names)} matrices kept in 16 or 32 bits (first: {names[0]})"
