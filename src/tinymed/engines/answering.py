"""What engines that run a build share: the way from questions to answers."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tinymed.engines.batch import Batch
from tinymed.engines.batching import LaneBatch
from tinymed.engines.decoding import Decoding, ScoredChoice, check_decoding
from tinymed.engines.draft import Draft, OnText, with_chance
from tinymed.engines.greedy import check_room
from tinymed.engines.lanes import Lanes
from tinymed.engines.protocol import Answer, EncodedImage, Pixels, Stages
from tinymed.engines.reading import Reading, answer_along
from tinymed.engines.rows import answer_in_rounds
from tinymed.engines.scoring import CHOICES_AT_ONCE, check_choices, score_along, scored
from tinymed.engines.token_texts import TokenTexts
from tinymed.models.build import load_prompt, read_build

Floats = npt.NDArray[np.float32]


class Vision(Protocol):
    """What turns pixels into what the language model reads."""

    def look(self, pixels: Pixels) -> tuple[Floats, Floats]:
        """Features, (patches, width), and image tokens, (tokens, hidden), of one image."""
        ...


class BuildEngine(ABC):
    """Answers from a build; calls take turns across threads."""

    name: str
    num_threads: int
    _vision: Vision

    def __init__(self, folder: Path) -> None:
        """Read what a build says of itself.

        Raises:
            ModelError: If the build is missing or damaged.
        """
        build = read_build(folder)
        self.scheme = build.scheme
        self.model = build.model
        self.preprocessing = build.preprocessing
        self.prompt_template = build.template.in_words()
        self.weights_digest = build.digest
        self._build = build
        self._prompt = load_prompt(build)
        self._texts = TokenTexts(self._prompt.tokenizer)
        self._context_tokens = build.context_tokens
        self._lock = threading.Lock()

    @abstractmethod
    def _open_lanes(self) -> Lanes:
        """Where the answers of a new batch are read."""

    @abstractmethod
    def _read_image(self, tokens: Floats) -> Any:
        """Read the prompt up to the question: an image's state, which knows `num_tokens`."""

    @abstractmethod
    def _reading(
        self, image: Any, asked: list[list[int]], max_new_tokens: int
    ) -> AbstractContextManager[Reading]:
        """Begin to answer questions side by side.

        Args:
            image: What `encode` gave as an image's state.
            asked: The questions' token ids.
            max_new_tokens: How long answers may become.
        """

    def encode(self, pixels: Pixels, *, keep_stages: bool = False) -> EncodedImage:
        """Read an image: vision encoder, connector, and the prompt up to the question."""
        with self._lock:
            start = time.perf_counter()
            features, tokens = self._vision.look(pixels)
            encoded = time.perf_counter()
            image = self._read_image(tokens)
            prefilled = time.perf_counter()
        stages = Stages(vision_features=features, image_tokens=tokens) if keep_stages else None
        return EncodedImage(
            state=image,
            num_image_tokens=len(tokens),
            encode_ms=1000 * (encoded - start),
            prefill_ms=1000 * (prefilled - encoded),
            stages=stages,
        )

    def answer(
        self,
        image: EncodedImage,
        question: str,
        *,
        max_new_tokens: int = 64,
        on_text: Callable[[str], None] | None = None,
        keep_logits: bool = False,
    ) -> Answer:
        """Answer one question; `on_text` receives each new piece of text as it is decoded.

        Raises:
            UserError: If the question or `max_new_tokens` does not fit the model.
        """
        with self._lock:
            asked = self._asked(image, [question], max_new_tokens)
            (answer,) = self._answer(
                image.state, asked, max_new_tokens, on_text=on_text, keep_logits=keep_logits
            )
        return answer

    def answer_all(
        self, image: EncodedImage, questions: Sequence[str], *, max_new_tokens: int = 64
    ) -> list[Answer]:
        """Answer several questions about one image together; the answers are those of `answer`.

        Raises:
            UserError: If a question or `max_new_tokens` does not fit the model.
        """
        with self._lock:
            asked = self._asked(image, questions, max_new_tokens)
            return answer_in_rounds(
                asked, lambda together: self._answer(image.state, together, max_new_tokens)
            )

    def score(
        self, image: EncodedImage, question: str, choices: Sequence[str]
    ) -> list[ScoredChoice]:
        """How likely the model finds each of several answers to a question, in their order.

        Raises:
            UserError: If the question or a choice does not fit the model.
        """
        with self._lock:
            asked = self._asked(image, [question], 1)
            wanted = [self._prompt.answer_ids(choice) for choice in choices]
            num_prompt_tokens = image.state.num_tokens + len(asked[0])
            room = self._context_tokens - num_prompt_tokens
            check_choices(choices, wanted, room=room)
            longest = max(map(len, wanted), default=1)
            count = self._choices_at_once(room // longest)
            scores: list[list[float]] = []
            for start in range(0, len(wanted), count):
                with self._reading(image.state, asked, longest) as reading:
                    scores += score_along(reading, wanted[start : start + count])
        return [
            scored(choice, ids, found, self._texts, num_prompt_tokens=num_prompt_tokens)
            for choice, ids, found in zip(choices, wanted, scores, strict=True)
        ]

    def open_batch(self) -> Batch:
        """A batch with no answers in it."""
        return LaneBatch(self._open_lanes(), self._ask)

    def _ask(
        self, image: EncodedImage, question: str, decoding: Decoding, on_text: OnText
    ) -> tuple[list[int], Draft]:
        check_decoding(decoding)
        (asked,) = self._asked(image, [question], decoding.max_new_tokens)
        return asked, self._draft(image.state, asked, decoding, on_text)

    def _choices_at_once(self, fitting: int) -> int:  # noqa: ARG002 (each has its own context)
        """How many choices are read side by side, where `fitting` of them fit one context."""
        return CHOICES_AT_ONCE

    def _asked(
        self, image: EncodedImage, questions: Sequence[str], max_new_tokens: int
    ) -> list[list[int]]:
        """The questions' token ids, once it is clear that all of them fit."""
        asked = [self._prompt.question_ids(question) for question in questions]
        for ids in asked:
            num_tokens = image.state.num_tokens + len(ids)
            check_room(num_tokens, max_new_tokens, context_tokens=self._context_tokens)
        return asked

    def _answer(
        self,
        image: Any,
        asked: list[list[int]],
        max_new_tokens: int,
        *,
        on_text: Callable[[str], None] | None = None,
        keep_logits: bool = False,
    ) -> list[Answer]:
        """Answer questions side by side."""
        drafts = [
            self._draft(image, ids, Decoding(max_new_tokens=max_new_tokens), with_chance(on_text))
            for ids in asked
        ]
        with self._reading(image, asked, max_new_tokens) as reading:
            return answer_along(reading, drafts, keep_logits=keep_logits)

    def _draft(
        self, image: Any, asked: list[int], decoding: Decoding, on_text: OnText | None
    ) -> Draft:
        return Draft(
            self._texts,
            {self._prompt.end_id},
            decoding,
            num_prompt_tokens=image.num_tokens + len(asked),
            on_text=on_text,
        )
