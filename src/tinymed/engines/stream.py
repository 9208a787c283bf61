"""Text as it is decoded, never half a character."""

from __future__ import annotations

from collections.abc import Callable, Sequence

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
"""What a tokenizer puts for bytes that are no whole character (yet)."""


class TextStream:
    """Hands on each new piece of an answer as soon as its last character is whole.

    A byte-level token can end inside a character; that character waits for its rest.
    """

    def __init__(
        self, decode: Callable[[list[int]], str], on_text: Callable[[str], None] | None
    ) -> None:
        self._decode = decode
        self._on_text = on_text
        self._sent = ""

    def push(self, ids: Sequence[int]) -> None:
        """Send what the answer's tokens so far add."""
        if self._on_text is not None:
            self._send(self._decode(list(ids)).rstrip(REPLACEMENT))

    def finish(self, ids: Sequence[int]) -> str:
        """Send the rest and return the whole text."""
        text = self._decode(list(ids))
        self._send(text)
        return text

    def _send(self, text: str) -> None:
        piece = text[len(self._sent) :]
        if self._on_text is not None and piece and text.startswith(self._sent):
            self._sent = text
            self._on_text(piece)
