"""Text as it is decoded, never half a character, and none of a stop text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
"""What a tokenizer puts for bytes that are no whole character (yet)."""


class TextStream:
    """Hands on each new piece of an answer as soon as it is sure to belong to it.

    A byte-level token can end inside a character; that character waits for its rest. So does
    what may turn out to be the beginning of a stop text.
    """

    def __init__(
        self,
        decode: Callable[[list[int]], str],
        on_text: Callable[[str], None] | None,
        stop: Sequence[str] = (),
    ) -> None:
        self._decode = decode
        self._on_text = on_text
        self._stop = stop
        self._sent = ""

    def push(self, ids: Sequence[int]) -> bool:
        """Send what the answer's tokens so far add; whether a stop text has come."""
        if self._on_text is None and not self._stop:
            return False
        text = self._decode(list(ids)).rstrip(REPLACEMENT)
        until = self._stop_at(text)
        if until is not None:
            self._send(text[:until])
            return True
        self._send(text[: len(text) - _num_pending(text, self._stop)])
        return False

    def finish(self, ids: Sequence[int]) -> str:
        """Send the rest and return the whole text."""
        text = self._decode(list(ids))
        text = text[: self._stop_at(text)]
        self._send(text)
        return text

    def _stop_at(self, text: str) -> int | None:
        """Where the first stop text begins."""
        return min((at for stop in self._stop if (at := text.find(stop)) >= 0), default=None)

    def _send(self, text: str) -> None:
        piece = text[len(self._sent) :]
        if self._on_text is not None and piece and text.startswith(self._sent):
            self._sent = text
            self._on_text(piece)


def _num_pending(text: str, stop: Sequence[str]) -> int:
    """How many of a text's last characters may be the beginning of a stop text.

    >>> _num_pending("left lung\\nQ", ["\\nQuestion", "Q!"])
    2
    """
    return max(
        (
            length
            for wanted in stop
            for length in range(1, min(len(wanted), len(text) + 1))
            if text.endswith(wanted[:length])
        ),
        default=0,
    )
