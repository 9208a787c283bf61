"""An answer as far as it is decoded."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection

from tinymed.engines.decoding import ChosenToken, Decoding, FinishReason
from tinymed.engines.protocol import Answer
from tinymed.engines.sampling import Choice
from tinymed.engines.stream import REPLACEMENT, TextStream
from tinymed.engines.token_texts import TokenTexts

OnText = Callable[[str, float], None]
"""Receives a new piece of text, and the probability of the answer so far."""


def with_chance(on_text: Callable[[str], None] | None) -> OnText | None:
    """One that does not care for the probability."""
    return None if on_text is None else lambda piece, _probability: on_text(piece)


class Draft:
    """Takes token after token until the answer ends: by its end token, a stop text, or for room."""

    def __init__(
        self,
        texts: TokenTexts,
        end_ids: Collection[int],
        decoding: Decoding,
        *,
        num_prompt_tokens: int,
        on_text: OnText | None = None,
    ) -> None:
        """Begin an answer.

        Args:
            texts: Turns tokens into text.
            end_ids: Tokens that end an answer.
            decoding: When to stop, at the latest.
            num_prompt_tokens: Read before it.
            on_text: Receives each new piece of text, and the probability of the answer so far.
        """
        send = None if on_text is None else lambda piece: on_text(piece, self.probability)
        self.last_token = 0
        """The token taken last; nothing is known of it before the first."""
        self._stream = TextStream(texts.decode, send, decoding.stop)
        self._texts = texts
        self._end_ids = end_ids
        self._num_prompt_tokens = num_prompt_tokens
        self._decoding = decoding
        self._ids: list[int] = []
        self._tokens: list[ChosenToken] = []
        self._log_probability = 0.0
        self._finish_reason: FinishReason | None = None

    @property
    def probability(self) -> float:
        """The model's own of exactly the tokens so far."""
        return math.exp(self._log_probability)

    def goes_on_after(self, choice: Choice) -> bool:
        """Write one token down; whether another one follows."""
        self.last_token = choice.token
        self._tokens.append(self._texts.chosen(*choice))
        self._log_probability += choice.log_probability
        if choice.token in self._end_ids:
            self._finish_reason = "stop"
            return False
        self._ids.append(choice.token)
        if self._stream.push(self._ids):
            self._finish_reason = "stop"
        elif len(self._tokens) == self._decoding.max_new_tokens:
            self._finish_reason = "length"
        return self._finish_reason is None

    def finish(self, *, prefill_ms: float, decode_ms: float) -> Answer:
        """The answer, once it has ended; sends the rest of its text."""
        assert self._finish_reason is not None
        text = self._stream.finish(self._ids)
        return Answer(
            text=text,
            confidence=self.probability,
            num_tokens=len(self._tokens),
            prefill_ms=prefill_ms,
            decode_ms=decode_ms,
            finish_reason=self._finish_reason,
            tokens=tuple(self._tokens[: self._num_shown(text)]),
            num_prompt_tokens=self._num_prompt_tokens,
        )

    def _num_shown(self, text: str) -> int:
        """How many of the tokens are not of a stop text alone."""
        if len(self._texts.decode(self._ids)) == len(text):
            return len(self._tokens)
        counts = range(len(self._ids))
        # The first tokens that reach the text's end; a last half character reaches nothing.
        return next(
            (
                n
                for n in counts
                if len(self._texts.decode(self._ids[:n]).rstrip(REPLACEMENT)) >= len(text)
            ),
            len(self._tokens),
        )
