"""The OpenVINO engine: runs a build on the CPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinymed.engines.answering import BuildEngine
from tinymed.engines.embedding import EMBEDDING, look_up
from tinymed.engines.openvino.cached_language import CachedLanguage
from tinymed.engines.openvino.compiling import compile_graph, plain_settings
from tinymed.engines.openvino.mapped import released
from tinymed.engines.openvino.state_lanes import StateLanes
from tinymed.engines.openvino.vision_file import VisionGraph
from tinymed.engines.reading import Reading
from tinymed.engines.rows import Integers, padded, rows_of

Floats = npt.NDArray[np.float32]

PREFIX_TOKENS_AT_ONCE = 128
"""Tokens of a prompt's prefix that are read in one go. Each takes memory while it is read:
775 at once take 117 MiB more in a model of 1.1 B weights, and no less time."""

SETTINGS: dict[str, dict[str, Any]] = {
    "f32": {"KV_CACHE_PRECISION": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0},
    "f16": {"KV_CACHE_PRECISION": "f16", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0},
    "int8": {"KV_CACHE_PRECISION": "f16"},
    "int4": {"KV_CACHE_PRECISION": "f16"},
}
"""What each precision asks of the plugin, beside what all ask."""

LANGUAGE_SETTINGS: dict[str, dict[str, Any]] = {"int8": {"DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}}
"""And what it asks for the language model alone. The plugin's own choice, 8-bit activations
beside 8-bit weights, takes two thirds of the time but makes three times the error
(decision 0006); beside 4-bit weights it is lost in theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReadImage:
    """The language model's key-value cache after the prompt's prefix."""

    cache: list[Floats]
    num_tokens: int


class OpenVinoEngine(BuildEngine):
    """Answers from a build; fulfils the Engine protocol."""

    name = "openvino"

    def __init__(self, folder: Path, *, threads: int | None = None) -> None:
        """Load a build.

        Args:
            folder: Where `build_openvino` put it.
            threads: Threads to compute with; None for one a physical core.

        Raises:
            ModelError: If the build is missing or damaged.
        """
        super().__init__(folder)
        vision = _settings(self._build.precision("vision_encoder"), threads)
        precision = self._build.precision("language_model")
        language = _settings(precision, threads) | LANGUAGE_SETTINGS.get(precision, {})
        self._vision = VisionGraph(folder, vision)
        self._language = CachedLanguage(compile_graph(folder / "language.xml", language))
        compiled = self._language.compiled
        self.num_threads = int(compiled.get_property("INFERENCE_NUM_THREADS"))
        self._embedding = np.load(folder / EMBEDDING, mmap_mode="r")
        # The plugin repacks the language model when it first reads many tokens, and some
        # matrices once more when it first reads few.
        self._to_repack = {"prefix", "question"}

    def _read_image(self, tokens: Floats) -> _ReadImage:
        embeds = np.concatenate([self._embed(self._prompt.prefix_ids), tokens[None]], axis=1)
        self._language.forget()
        self._read_prefix(embeds)
        return _ReadImage(cache=self._language.caches(), num_tokens=embeds.shape[1])

    @contextmanager
    def _reading(
        self,
        image: _ReadImage,
        asked: list[list[int]],
        max_new_tokens: int,  # noqa: ARG002 (a state grows as it is filled)
    ) -> Iterator[Reading]:
        """Each question gets a row of the cache that begins as the image's."""
        rows = rows_of([len(ids) for ids in asked], num_cached=image.num_tokens)

        def first() -> Floats:
            self._language.resume(image.cache)
            with self._repacking("question"):
                embeds = self._embed(padded(asked))
                return self._language.read(embeds, rows, continued=[0] * len(asked))

        def following(kept: list[int], tokens: list[int]) -> Floats:
            nonlocal rows
            rows = rows.following(kept)
            embeds = self._embed(np.array(tokens)[:, None])
            return self._language.read(embeds, rows, continued=kept)

        yield Reading(first=first, following=following)

    def _open_lanes(self) -> StateLanes:
        """Rows of a second request, whose state `encode` and `score` leave alone.

        It shares everything else with the first. Saving the rows in the first one's place, and
        putting them back, would cost as much as a step whenever somebody comes in between.
        """

        def read_question(image: _ReadImage, asked: list[int]) -> tuple[Floats, list[Floats]]:
            with self._lock, self._reading(image, [asked], 1) as reading:
                return reading.first()[0].copy(), self._language.caches()

        def embed(tokens: Sequence[int]) -> Floats:
            return look_up(self._embedding, tokens)

        return StateLanes(self._language.another(), read_question, embed)

    def _embed(self, ids: Sequence[int] | Integers) -> Floats:
        """Embeddings of one row of ids, or of several of one length: (rows, tokens, hidden)."""
        return look_up(self._embedding, np.atleast_2d(ids))

    def _read_prefix(self, embeds: Floats) -> None:
        """Read tokens into an empty cache, part by part."""
        with self._repacking("prefix"):
            for start in range(0, embeds.shape[1], PREFIX_TOKENS_AT_ONCE):
                part = embeds[:, start : start + PREFIX_TOKENS_AT_ONCE]
                rows = rows_of([part.shape[1]], num_cached=start)
                self._language.read(part, rows, continued=[0])

    @contextmanager
    def _repacking(self, what: str) -> Iterator[None]:
        """Give the file's pages back while one of `_to_repack` is read for the first time."""
        if what not in self._to_repack:
            yield
            return
        self._to_repack.remove(what)
        with released(self._build.folder / "language.bin"):
            yield


def _settings(precision: str, threads: int | None) -> dict[str, Any]:
    # Quantized products round activations to 8 bits all the same, but for LANGUAGE_SETTINGS.
    return plain_settings(threads) | SETTINGS[precision]
