"""A small deterministic engine, whole in itself, that writes down what it was asked."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tinymed.engines.protocol import Answer, EncodedImage, Pixels
from tinymed.images.prepare import Preprocessing


class ScriptedEngine:
    """Answers by what it sees: "black" where there is nothing, else a hash of both."""

    def __init__(
        self, journal: Path, *, seconds_an_answer: float = 0.0, weights_digest: str = "0" * 64
    ) -> None:
        self.name = "scripted"
        self.scheme = "scripted-f32"
        self.model = "tiny"
        self.preprocessing = Preprocessing(size_px=8)
        self.weights_digest = weights_digest
        self.num_threads = 1
        self.prompt_template = "{image}\n{question}\n"
        self._journal = journal
        self._seconds_an_answer = seconds_an_answer

    def _note(self, line: str) -> None:
        with self._journal.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def encode(self, pixels: Pixels, *, keep_stages: bool = False) -> EncodedImage:
        black = bool((pixels == pixels[:, :1, :1]).all())
        seen = "black" if black else hashlib.sha256(pixels.tobytes()).hexdigest()[:8]
        self._note(f"encode {seen}")
        return EncodedImage(state=seen, num_image_tokens=1, encode_ms=0.0, prefill_ms=0.0)

    def answer(
        self,
        image: EncodedImage,
        question: str,
        *,
        max_new_tokens: int = 64,
        on_text: Callable[[str], None] | None = None,
        keep_logits: bool = False,
    ) -> Answer:
        time.sleep(self._seconds_an_answer)
        self._note(f"answer {image.state} {question}")
        digest = hashlib.sha256(f"{image.state} {question}".encode()).digest()
        text = "no" if image.state == "black" else ("yes", "no", "left lung")[digest[0] % 3]
        return Answer(
            text=text[:max_new_tokens],
            confidence=digest[1] / 255,
            num_tokens=2,
            prefill_ms=0.0,
            decode_ms=0.0,
        )

    def answer_all(
        self, image: EncodedImage, questions: Sequence[str], *, max_new_tokens: int = 64
    ) -> list[Answer]:
        return [
            self.answer(image, question, max_new_tokens=max_new_tokens) for question in questions
        ]
