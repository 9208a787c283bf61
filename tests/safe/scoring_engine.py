"""An engine that finds answers as likely as it is told, and writes down what it was asked."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tinymed.engines.decoding import ChosenToken, ScoredChoice
from tinymed.engines.protocol import Answer, EncodedImage, Pixels, Stages
from tinymed.images.prepare import Preprocessing
from tinymed.jsonl import write_samples
from tinymed.records import Sample

Likely = Callable[[str, str], Mapping[str, float]]
"""From what is seen ("0", "1", …, "black") and the question to the probability of each answer."""

LEAST = 1e-9
"""Of an answer that is not told."""


class ScoringEngine:
    """Fulfils the Engine protocol; an image is known by its grey level."""

    def __init__(
        self,
        likely: Likely,
        *,
        weights_digest: str = "0" * 64,
        dies_after: int | None = None,
    ) -> None:
        self.name = "scoring"
        self.scheme = "scoring-f32"
        self.model = "tiny"
        half = (0.5, 0.5, 0.5)
        self.preprocessing = Preprocessing(size_px=8, mean=half, std=half)
        self.weights_digest = weights_digest
        self.num_threads = 1
        self.prompt_template = "{image}\n{question}\n"
        self.asked: list[tuple[str, str, str]] = []
        """What was asked: "score" or "answer", of what, and the question."""
        self.num_encoded = 0
        self._likely = likely
        self._dies_after = dies_after

    def encode(self, pixels: Pixels, *, keep_stages: bool = False) -> EncodedImage:
        self.num_encoded += 1
        level = pixels[0] * self.preprocessing.std[0] + self.preprocessing.mean[0]
        grey = round(float(level.mean()) * 255)
        seen = "black" if grey == 0 else str(grey - 1)
        stages = None
        if keep_stages:
            # Grey images differ in what grey they are, and coloured ones in more than that.
            parts = np.array([[grey, grey**2 / 255, 100 * np.ptp(pixels.mean(axis=(1, 2)))]])
            directions = np.random.default_rng(0).standard_normal((3, 400))
            stages = Stages(
                vision_features=(parts @ directions).astype(np.float32),
                image_tokens=np.zeros((1, 1), np.float32),
            )
        return EncodedImage(
            state=seen, num_image_tokens=1, encode_ms=0.0, prefill_ms=0.0, stages=stages
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
        self._note("answer", image, question)
        likely = self._likely(image.state, question)
        text = max(likely, key=likely.__getitem__)
        return Answer(
            text=text,
            confidence=likely[text],
            num_tokens=2,
            prefill_ms=0.0,
            decode_ms=0.0,
            tokens=(_token(text, likely[text]),),
            num_prompt_tokens=9,
        )

    def answer_all(
        self, image: EncodedImage, questions: Sequence[str], *, max_new_tokens: int = 64
    ) -> list[Answer]:
        return [self.answer(image, question) for question in questions]

    def score(
        self, image: EncodedImage, question: str, choices: Sequence[str]
    ) -> list[ScoredChoice]:
        self._note("score", image, question)
        likely = self._likely(image.state, question)
        return [
            ScoredChoice(
                text=choice,
                log_probability=math.log(likely.get(choice, LEAST)),
                tokens=(_token(choice, likely.get(choice, LEAST)), _END),
            )
            for choice in choices
        ]

    def _note(self, how: str, image: EncodedImage, question: str) -> None:
        self.asked.append((how, image.state, question))
        if self._dies_after is not None and len(self.asked) > self._dies_after:
            os._exit(9)


def _token(text: str, probability: float) -> ChosenToken:
    return ChosenToken(text=text, token_bytes=text.encode(), log_probability=math.log(probability))


_END = ChosenToken(text="", token_bytes=b"", log_probability=0.0)
"""It ends an answer, and has no text."""

PRESENCE = "Is there a mass?"
ABSENCE = "Is there no mass?"
SIDE = "Is it in the left or right lung?"
OPEN = "Where is it?"


def yes(probability: float) -> dict[str, float]:
    return {"Yes": probability, "No": 1 - probability}


def truthful(seen: str, question: str) -> Mapping[str, float]:
    """Even images hold a mass on the left, odd ones none; surer the higher the number is."""
    if seen == "black":
        return {"Yes": 0.5, "No": 0.5, "left": 0.5, "right": 0.5, "left lung": 0.1}
    is_even = int(seen) % 2 == 0
    sure = 0.6 + min(int(seen), 30) / 100
    if question == SIDE:
        return {"left": sure if is_even else 1 - sure, "right": 1 - sure if is_even else sure}
    if question == OPEN:
        return {"left lung" if is_even else "right lung": sure}
    return yes(sure if is_even == (question == PRESENCE) else 1 - sure)


def yes_sayer(seen: str, question: str) -> Mapping[str, float]:
    return {"left lung": 0.9, "left": 0.9, "right": 0.1, **yes(0.1 if seen == "black" else 0.9)}


def write_set(folder: Path, name: str, *, images: range, wrong_below: int = 0) -> Path:
    """A yes-no, a choice and an open question of each image, whose number is its grey level.

    References of images below `wrong_below` are not what `truthful` says.
    """
    folder.mkdir(exist_ok=True)
    samples = []
    for number in images:
        image = folder / f"{number}.png"
        Image.fromarray(np.full((16, 16, 3), number + 1, dtype=np.uint8)).save(image)
        is_even = (number % 2 == 0) == (number >= wrong_below)
        references = {
            PRESENCE: "yes" if is_even else "no",
            SIDE: "Left" if is_even else "Right",
            OPEN: "left lung" if is_even else "right lung",
        }
        samples += [
            Sample(
                id=f"{name}-{number}-{question}",
                question=question,
                reference=reference,
                answer_type="open" if question == OPEN else "closed",
                image=image,
                group=f"image-{number}",
            )
            for question, reference in references.items()
        ]
    path = folder / f"{name}.jsonl"
    write_samples(path, samples)
    return path
