"""The llama.cpp engine: reads images with OpenVINO and answers with llama.cpp's library."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tinymed.engines.answering import BuildEngine
from tinymed.engines.lanes import OneLane
from tinymed.engines.llamacpp.build import ADAPTER, LANGUAGE
from tinymed.engines.llamacpp.library import F16, F32
from tinymed.engines.llamacpp.sequences import MAX_SEQUENCES, Sequences, Text
from tinymed.engines.openvino.compiling import plain_settings
from tinymed.engines.openvino.vision_file import VisionGraph
from tinymed.engines.protocol import Answer
from tinymed.engines.reading import Reading

Floats = npt.NDArray[np.float32]

BEGINNING = 0
"""The sequence that holds what is kept; those after it hold questions that go on from there."""


class _ReadText:
    """A prompt up to behind its image, or further, that was read, and where that reading is."""

    def __init__(self, num_tokens: int) -> None:
        self.num_tokens = num_tokens
        self.saved: bytes | None = None
        """Its part of the cache, once another text has taken its place there."""


class LlamaCppEngine(BuildEngine):
    """Answers from a build; fulfils the Engine protocol."""

    name = "llamacpp"

    def __init__(self, folder: Path, *, threads: int | None = None) -> None:
        """Load a build.

        Args:
            folder: Where `build_gguf` put it.
            threads: Threads to compute with; None for one a physical core.

        Raises:
            ModelError: If the build is missing or damaged.
            MissingExtraError: If the extra "gguf" is not installed.
        """
        super().__init__(folder)
        vision = VisionGraph(folder, plain_settings(threads))
        self._vision = vision
        self.num_threads = vision.num_threads
        # 16 bits in the cache cost nothing where activations have no more: 6e-4 of the logits'
        # range either way with 16-bit weights, but 2e-4 against 7e-7 with 32-bit ones.
        is_exact = self._build.precision("language_model") == "f32"
        self._sequences = Sequences(
            folder / LANGUAGE,
            threads=self.num_threads,
            num_tokens=self._context_tokens,
            cache_type=F32 if is_exact else F16,
            adapter=folder / ADAPTER if (folder / ADAPTER).is_file() else None,
        )
        self._resident: weakref.ref[_ReadText] | None = None

    def close(self) -> None:
        """Free the model; the engine cannot be used afterwards."""
        with self._lock:
            self._sequences.close()

    def _read_image(self, tokens: Floats) -> _ReadText:
        """Read the prompt up to the question, in place of the image that was read before."""
        self._keep_resident()
        prefix = self._prompt.prefix_ids
        if prefix:
            self._sequences.read([Text(sequence=BEGINNING, start=0, ids=prefix)])
        self._sequences.read_embeddings(tokens, sequence=BEGINNING, start=len(prefix))
        image = _ReadText(len(prefix) + len(tokens))
        self._resident = weakref.ref(image)
        return image

    def _bring_back(self, text: _ReadText) -> None:
        """Have a text in the cache."""
        if self._resident is not None and self._resident() is text:
            return
        self._keep_resident()
        assert text.saved is not None
        self._sequences.restore(BEGINNING, text.saved)
        self._resident = weakref.ref(text)

    def _keep_resident(self) -> None:
        """Empty the cache; the text in it is saved if anybody may still go on from it."""
        resident = self._resident() if self._resident is not None else None
        if resident is not None and resident.saved is None:
            resident.saved = self._sequences.save(BEGINNING)
        self._resident = None
        self._sequences.forget_all()

    def _answer(
        self,
        image: _ReadText,
        asked: list[list[int]],
        max_new_tokens: int,
        *,
        on_text: Callable[[str], None] | None = None,
        keep_logits: bool = False,
    ) -> list[Answer]:
        """Answer questions, as many at once as the cache has room for."""
        room = self._context_tokens - image.num_tokens
        longest = max(map(len, asked)) + max_new_tokens
        count = min(MAX_SEQUENCES - 1, room // longest)
        answers: list[Answer] = []
        for start in range(0, len(asked), count):
            answers += super()._answer(
                image,
                asked[start : start + count],
                max_new_tokens,
                on_text=on_text,
                keep_logits=keep_logits,
            )
        return answers

    def _open_lanes(self) -> OneLane:
        """One lane: the cache has room for a single context."""
        return OneLane(self._reading_apart)

    @contextmanager
    def _reading_apart(
        self, image: _ReadText, asked: list[list[int]], max_new_tokens: int
    ) -> Iterator[Reading]:
        """A question that becomes a text of its own, kept while others take its place."""
        text = _ReadText(image.num_tokens + len(asked[0]))

        def first() -> Floats:
            with self._lock, self._reading(image, asked, max_new_tokens) as reading:
                logits = reading.first().copy()
                text.saved = self._sequences.save(BEGINNING + 1)
            return logits

        def following(_kept: list[int], tokens: list[int]) -> Floats:
            with self._lock:
                self._bring_back(text)
                more = Text(sequence=BEGINNING, start=text.num_tokens, ids=tokens)
                text.num_tokens, text.saved = text.num_tokens + 1, None
                return self._sequences.read([more]).copy()

        yield Reading(first=first, following=following)

    def _choices_at_once(self, fitting: int) -> int:
        """How many choices are read side by side: they share one context."""
        return min(MAX_SEQUENCES - 1, fitting)

    @contextmanager
    def _reading(
        self,
        image: _ReadText,
        asked: list[list[int]],
        max_new_tokens: int,  # noqa: ARG002 (`_answer` saw to the room)
    ) -> Iterator[Reading]:
        """Each question gets a sequence that begins as the image's."""
        going = list(range(BEGINNING + 1, BEGINNING + 1 + len(asked)))
        starts = dict.fromkeys(going, image.num_tokens)

        def read(rows: Sequence[Sequence[int]]) -> Floats:
            texts = [
                Text(sequence=sequence, start=starts[sequence], ids=ids)
                for sequence, ids in zip(going, rows, strict=True)
            ]
            logits = self._sequences.read(texts)
            for text in texts:
                starts[text.sequence] += len(text.ids)
            return logits

        def branched(sequences: list[int]) -> list[int]:
            """The same, but with a copy in place of each that came before."""
            apart: list[int] = []
            for sequence in sequences:
                new = sequence
                if sequence in apart:
                    new = max(starts) + 1
                    self._sequences.continue_from(sequence, new)
                    starts[new] = starts[sequence]
                apart.append(new)
            return apart

        def first() -> Floats:
            self._bring_back(image)
            for sequence in going:
                self._sequences.continue_from(BEGINNING, sequence)
            return read(asked)

        def following(kept: list[int], tokens: list[int]) -> Floats:
            nonlocal going
            going = branched([going[place] for place in kept])
            return read([[token] for token in tokens])

        try:
            yield Reading(first=first, following=following)
        finally:
            for sequence in starts:
                self._sequences.forget(sequence)
