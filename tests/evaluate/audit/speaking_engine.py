"""An engine that knows which image it sees and speaks as it is told: known truths, known lies."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tinymed.engines.protocol import Answer, EncodedImage, Pixels
from tinymed.images.prepare import Preprocessing
from tinymed.jsonl import write_samples
from tinymed.records import Sample

Speaker = Callable[[str, str], tuple[str, float]]
"""From what is seen ("0", "1", …, "black", "noise") and the question to answer and confidence."""


class SpeakingEngine:
    """Answers with what a speaker says; writes down what it was asked."""

    def __init__(
        self,
        speaker: Speaker,
        *,
        journal: Path | None = None,
        seconds_an_answer: float = 0.0,
        weights_digest: str = "0" * 64,
    ) -> None:
        self.name = "speaking"
        self.scheme = "speaking-f32"
        self.model = "tiny"
        self.preprocessing = Preprocessing(size_px=8)
        self.weights_digest = weights_digest
        self.num_threads = 1
        self.prompt_template = "{image}\n{question}\n"
        self._speaker = speaker
        self._journal = journal
        self._seconds_an_answer = seconds_an_answer

    def encode(self, pixels: Pixels, *, keep_stages: bool = False) -> EncodedImage:
        level = pixels[0] * self.preprocessing.std[0] + self.preprocessing.mean[0]
        grey = round(float(level.mean()) * 255)
        seen = "black" if grey == 0 else str(grey - 1)
        if np.ptp(pixels[0]) > 0:
            seen = "noise"
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
        if self._seconds_an_answer:
            time.sleep(self._seconds_an_answer)
        if self._journal is not None:
            with self._journal.open("a", encoding="utf-8") as file:
                file.write(f"{image.state} {question}\n")
        text, confidence = self._speaker(image.state, question)
        return Answer(
            text=text[:max_new_tokens],
            confidence=confidence,
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


PRESENCE = "Is there a mass?"
ABSENCE = "Is there no mass?"
OPEN = "Where is it?"


def truth(seen: str, question: str) -> str:
    """Even images hold a mass on the left; odd ones none, and something on the right."""
    is_even = seen.isdigit() and int(seen) % 2 == 0
    if question == OPEN:
        return "left lung" if is_even else "right lung"
    return "yes" if is_even == (question == PRESENCE) else "no"


def truth_teller(seen: str, question: str) -> tuple[str, float]:
    return truth(seen, question), 0.9


def yes_sayer(seen: str, question: str) -> tuple[str, float]:
    return "Yes.", 0.9


def no_sayer(seen: str, question: str) -> tuple[str, float]:
    return "no", 0.9


def image_ignorer(seen: str, question: str) -> tuple[str, float]:
    return {PRESENCE: "yes", ABSENCE: "no", OPEN: "left lung"}[question], 0.9


def decliner(seen: str, question: str) -> tuple[str, float]:
    return "I cannot tell." if question == PRESENCE else "perhaps", 0.9


def write_set(folder: Path, name: str, *, images: range) -> Path:
    """One closed and one open question about each image, whose number is its grey level."""
    folder.mkdir(exist_ok=True)
    samples = []
    for number in images:
        image = folder / f"{number}.png"
        Image.new("RGB", (16, 16), (number + 1,) * 3).save(image)
        samples += [
            Sample(
                id=f"{name}-{number}-{question}",
                question=question,
                reference=truth(str(number), question),
                answer_type="open" if question == OPEN else "closed",
                image=image,
                group=f"image-{number}",
            )
            for question in (PRESENCE, OPEN)
        ]
    path = folder / f"{name}.jsonl"
    write_samples(path, samples)
    return path
