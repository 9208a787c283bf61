"""The native engine: runs a build's packed matrices on the CPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from tinymed.engines.answering import BuildEngine, Vision
from tinymed.engines.embedding import EMBEDDING, look_up
from tinymed.engines.native.arena import load_arena
from tinymed.engines.native.build import LANGUAGE, VISION_FILE
from tinymed.engines.native.cache_lanes import CacheLanes
from tinymed.engines.native.choose_ops import load_ops
from tinymed.engines.native.language import LanguageModel, Read, Shared, language_layout
from tinymed.engines.native.layout import placed
from tinymed.engines.native.ops import Cache, Floats, Ops
from tinymed.engines.native.tensor_file import read_config
from tinymed.engines.native.vision import (
    VisionConfig,
    VisionModel,
    connector_layout,
    encoder_layout,
)
from tinymed.engines.reading import Reading
from tinymed.errors import ModelError
from tinymed.hardware.processor import physical_cores
from tinymed.models.language_gguf import LanguageConfig

_NOBODY = np.empty(0, np.int32)


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReadImage:
    """The language model's caches after the prompt's prefix; nobody writes to them again."""

    caches: Sequence[Cache]
    num_tokens: int


class NativeEngine(BuildEngine):
    """Answers from a build; fulfils the Engine protocol. Calls take turns across threads."""

    name = "native"

    def __init__(self, folder: Path, *, threads: int | None = None) -> None:
        """Load a build.

        Args:
            folder: Where `build_native` put it.
            threads: Threads to compute with; None for one a physical core.

        Raises:
            ModelError: If the build is missing or damaged.
        """
        super().__init__(folder)
        self.num_threads = threads or physical_cores()
        ops = load_ops(self.num_threads)
        self._language = _load_language(folder / LANGUAGE, ops, self._context_tokens)
        self._vision = _load_vision(folder, ops)
        self._embedding = np.load(folder / EMBEDDING, mmap_mode="r")

    def _read_image(self, tokens: Floats) -> _ReadImage:
        embeds = np.concatenate([look_up(self._embedding, self._prompt.prefix_ids), tokens])
        num_tokens = len(embeds)
        caches = self._language.new_caches(rows=1, tokens=num_tokens)
        places = np.arange(num_tokens, dtype=np.int32)
        where = Read(rows=np.zeros_like(places), places=places, wanted=_NOBODY)
        self._language.read(embeds, where, caches)
        return _ReadImage(caches=caches, num_tokens=num_tokens)

    def _open_lanes(self) -> CacheLanes:
        return CacheLanes(self._language, partial(look_up, self._embedding), self._lock)

    @contextmanager
    def _reading(
        self, image: _ReadImage, asked: list[list[int]], max_new_tokens: int
    ) -> Iterator[Reading]:
        """Each question gets a row of a cache of their own, behind the image's."""
        shared = Shared(caches=image.caches, num_tokens=image.num_tokens)
        lengths = np.array([len(ids) for ids in asked], np.int32)
        going = np.arange(len(asked), dtype=np.int32)
        caches: list[Cache] = []

        def read(ids: list[int], where: Read) -> Floats:
            return self._language.read(look_up(self._embedding, ids), where, caches, shared)

        def first() -> Floats:
            room = int(lengths.max()) + max_new_tokens
            caches.extend(self._language.new_caches(rows=len(asked), tokens=room))
            where = Read(
                rows=np.repeat(going, lengths),
                places=np.concatenate([np.arange(n, dtype=np.int32) for n in lengths]),
                wanted=np.cumsum(lengths, dtype=np.int32) - np.int32(1),
            )
            return read([token for ids in asked for token in ids], where)

        def following(kept: list[int], tokens: list[int]) -> Floats:
            nonlocal going, lengths
            if len(set(kept)) < len(kept):
                taken = going[kept]
                caches[:] = [cache.taken(taken.tolist()) for cache in caches]
                lengths, going = lengths[taken], np.arange(len(kept), dtype=np.int32)
            else:
                going = going[kept]
            wanted = np.arange(len(kept), dtype=np.int32)
            where = Read(rows=going, places=lengths[going], wanted=wanted)
            lengths[going] += 1
            return read(tokens, where)

        yield Reading(first=first, following=following)


def _load_language(path: Path, ops: Ops, context_tokens: int) -> LanguageModel:
    loaded = load_arena(path)
    row = read_config(loaded.metadata, path)
    try:
        config, bits = LanguageConfig(**row["language"]), int(row["bits"])
        layout = language_layout(config, bits)
    except (KeyError, TypeError, ValueError) as error:
        raise _unknown(path) from error
    tensors = placed(loaded.tensors, layout, path)
    return LanguageModel(tensors, config, ops, context_tokens=context_tokens)


def _load_vision(folder: Path, ops: Ops) -> Vision:
    path = folder / VISION_FILE
    if not path.is_file():
        from tinymed.engines.openvino.compiling import plain_settings
        from tinymed.engines.openvino.vision_file import VisionGraph

        return VisionGraph(folder, plain_settings(ops.num_threads))
    loaded = load_arena(path)
    try:
        config = VisionConfig.from_row(read_config(loaded.metadata, path))
        layout = {**encoder_layout(config.vit, config.encoder_bits), **connector_layout(config)}
    except (KeyError, TypeError, ValueError) as error:
        raise _unknown(path) from error
    return VisionModel(placed(loaded.tensors, layout, path), config, ops)


def _unknown(path: Path) -> ModelError:
    return ModelError(
        f"'{path}' says of its model what this version does not know; build it again."
    )
