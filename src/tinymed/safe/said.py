"""What a model says of one question: about the image, to the opposite, and without the image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from tinymed.engines.decoding import ChosenToken, FinishReason
from tinymed.engines.protocol import Answer, EncodedImage, Engine, prepared
from tinymed.evaluate.controls import black_image
from tinymed.safe.gate import Gates
from tinymed.safe.question_kind import ReadQuestion
from tinymed.safe.scored import Scored, score_choices

_QUESTIONS_KEPT = 256
"""Questions whose scores about the black image are kept: they are the same for every image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a model said of one question, under each condition in which it was asked."""

    text: str
    confidence: float
    """Of a choice among the choices, of exactly an open answer's words."""
    to_opposite: str | None = None
    """Its answer to the opposite question; None where that was not asked."""
    confidence_without: float | None = None
    """Of the same answer about a black image; None where that was not asked."""
    tokens: tuple[ChosenToken, ...] = ()
    num_tokens: int = 0
    num_prompt_tokens: int = 0
    finish_reason: FinishReason = "stop"
    is_cut: bool = False
    """Whether the answer was ended for it: of the whole the model may be less sure."""


class Asker:
    """Asks an engine what the gates behind the model need to know; samples nothing."""

    def __init__(self, engine: Engine, *, gates: Gates) -> None:
        """Read a black image once, unless that gate is off.

        Args:
            engine: What answers.
            gates: What is off is not asked.
        """
        self._engine = engine
        self._asks_opposite = gates.polarity != "off"
        self._black: EncodedImage | None = None
        if gates.blank != "off":
            black = black_image(size_px=engine.preprocessing.size_px)
            self._black = engine.encode(prepared(engine, black))
        self._scored_on_black = lru_cache(maxsize=_QUESTIONS_KEPT)(self._score_on_black)

    def closed(self, image: EncodedImage, question: ReadQuestion) -> Said:
        """Score the choices of a closed question under every condition.

        Raises:
            UserError: If the question does not fit the model.
        """
        scored = score_choices(self._engine, image, question.text, question.choices)
        said = scored.best
        to_opposite = None
        if question.opposite is not None and self._asks_opposite:
            opposite = score_choices(self._engine, image, question.opposite, question.choices)
            to_opposite = opposite.best
        without = None
        if self._black is not None:
            on_black = self._scored_on_black(question.text, question.choices)
            without = on_black.probabilities[said]
        return Said(
            text=said,
            confidence=scored.confidence,
            to_opposite=to_opposite,
            confidence_without=without,
            tokens=scored.tokens[said],
            num_tokens=len(scored.tokens[said]),
            num_prompt_tokens=scored.num_prompt_tokens,
        )

    def opened(self, question: str, answer: Answer, *, is_cut: bool = False) -> Said:
        """Ask how likely exactly the decoded words are without the image.

        Args:
            question: As it was asked.
            answer: What was decoded.
            is_cut: Whether the answer was ended for it; that it ends is then not asked either.
                At a stop text its words end within a token, and nothing can be asked of them.
        """
        without = None
        is_whole_tokens = not is_cut or answer.finish_reason == "length"
        if self._black is not None and answer.text.strip() and is_whole_tokens:
            (scored,) = self._engine.score(self._black, question, [answer.text])
            read = scored.tokens[:-1] if is_cut else scored.tokens
            without = math.exp(sum(token.log_probability for token in read))
        return Said(
            text=answer.text,
            confidence=answer.confidence,
            confidence_without=without,
            tokens=answer.tokens,
            num_tokens=answer.num_tokens,
            num_prompt_tokens=answer.num_prompt_tokens,
            finish_reason=answer.finish_reason,
            is_cut=is_cut,
        )

    def _score_on_black(self, question: str, choices: tuple[str, ...]) -> Scored:
        assert self._black is not None
        return score_choices(self._engine, self._black, question, choices)
