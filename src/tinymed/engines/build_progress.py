"""How far a build is: told by its process line by line, shown with the time left by its parent."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from tinymed.models.language_gguf import Array
from tinymed.models.tensors import StoredTensors
from tinymed.models.weights import ModelWeights
from tinymed.progress import Progress

OnProgress = Callable[[int, int], None]
"""Told how many weights of how many are in the build."""

_WORD = "built"
"""A line of progress begins with it; whatever else a library prints does not count."""


def watched(weights: ModelWeights, on_progress: OnProgress) -> ModelWeights:
    """The same weights, which tell how many of them are in the build.

    A tensor is taken to be in the build once another one is asked for: builders need not say
    anything. What stands in a file of its own (`vision_file`) is not counted. Tensors that are
    never asked for are not either, until whoever has the build made says that it is finished.
    """
    count = _Count(on_progress)
    seen = replace(
        weights,
        vision=_Watched(weights.vision, count),
        connector=_Watched(weights.connector, count),
        language=_Watched(weights.language, count),
    )
    on_progress(0, count.total)
    return seen


def print_progress(done: int, total: int) -> None:
    """Tell the parent process; (1, 1) says that the build is finished.

    Raises:
        BrokenPipeError: If it is gone: nobody waits for the build.
    """
    sys.stdout.write(f"{_WORD} {done} {total}\n")
    sys.stdout.flush()


def show_progress(lines: Iterable[str], label: str) -> None:
    """Show what `print_progress` tells, until there are no more lines."""
    told = _told(lines)
    first = next(told, None)
    if first is None:
        return
    millions = max(1, round(first[1] / 1e6))
    with Progress(label, total=millions, unit="million weight") as progress:
        for done, total in told:
            progress.reach(millions * done // total)


def _told(lines: Iterable[str]) -> Iterator[tuple[int, int]]:
    for line in lines:
        match line.split():
            case [word, done, total] if word == _WORD:
                yield int(done), int(total)


class _Count:
    """How many weights are in the build."""

    def __init__(self, on_progress: OnProgress) -> None:
        self.total = 0
        self._on_progress = on_progress
        self._done = self._latest = 0

    def ask(self, num_weights: int) -> None:
        """Note that a tensor is asked for the first time: the one before is in the build."""
        self._done += self._latest
        self._latest = num_weights
        self._on_progress(self._done, self.total)


class _Watched(Mapping[str, Array]):
    """Tensors by name, which tell of each that is asked for."""

    def __init__(self, tensors: Mapping[str, Array], count: _Count) -> None:
        self._tensors = tensors
        self._not_asked = _sizes(tensors)
        self._count = count
        count.total += sum(self._not_asked.values())

    def __getitem__(self, name: str) -> Array:
        values = self._tensors[name]
        if name in self._not_asked:
            self._count.ask(self._not_asked.pop(name))
        return values

    def __contains__(self, name: object) -> bool:
        return name in self._tensors  # not by reading it, as Mapping's own would

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def _sizes(tensors: Mapping[str, Array]) -> dict[str, int]:
    if isinstance(tensors, StoredTensors):
        return {name: int(np.prod(tensors.shape(name), dtype=np.int64)) for name in tensors}
    return {name: values.size for name, values in tensors.items()}
