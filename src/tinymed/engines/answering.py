"""What engines that run a build share: the way from questions to answers."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tinymed.engines.greedy import Choice, answer_greedily, check_room, likeliest
from tinymed.engines.protocol import Answer, EncodedImage, Pixels, Stages
from tinymed.engines.rows import answer_in_rounds
from tinymed.models.build import load_prompt, read_build

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Some questions about one image, while they are answered side by side.

    Both give logits of shape (questions or answers, vocabulary), good until the next call.
    """

    first: Callable[[], Floats]
    """Reads the questions."""
    following: Callable[[list[int], list[int]], Floats]
    """Reads one token of each answer that goes on. It is given which of the answers read last
    these are, by their places, and the tokens."""


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
        self._context_tokens = build.context_tokens
        self._lock = threading.Lock()

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
        first_logits: list[Floats] = []
        with self._reading(image, asked, max_new_tokens) as reading:

            def first() -> list[Choice]:
                logits = reading.first()
                if keep_logits:
                    first_logits.extend(logits.copy())
                return [likeliest(row) for row in logits]

            def following(kept: list[int], tokens: list[int]) -> list[Choice]:
                return [likeliest(row) for row in reading.following(kept, tokens)]

            answers = answer_greedily(
                first, following, self._prompt, max_new_tokens=max_new_tokens, on_text=on_text
            )
        if not keep_logits:
            return answers
        return [
            replace(answer, first_token_logits=logits)
            for answer, logits in zip(answers, first_logits, strict=True)
        ]
