"""What a client may see of an answer before it is complete."""

from __future__ import annotations

from collections.abc import Callable


class ShownText:
    """Hands text on while it may be shown, and takes it back when it may no longer."""

    def __init__(
        self,
        *,
        least_confidence: float | None,
        is_held: bool,
        show: Callable[[str], None],
        withdraw: Callable[[], None],
    ) -> None:
        """Nothing shown yet.

        Args:
            least_confidence: Below this probability of the answer so far, it will be withheld.
            is_held: Whether nothing is to be shown before the answer is complete.
            show: Receives each piece that may be shown.
            withdraw: Called once, if pieces were shown that do not hold.
        """
        self._least_confidence = least_confidence
        self._is_over = is_held
        self._show = show
        self._withdraw = withdraw
        self._has_shown = False

    def push(self, piece: str, probability: float) -> None:
        """Take a new piece of the answer, and the answer's probability up to its end."""
        if self._is_over:
            return
        if self._least_confidence is None or probability >= self._least_confidence:
            self._has_shown = True
            self._show(piece)
            return
        self._is_over = True
        if self._has_shown:
            self._withdraw()


def rest_of(answer: str, *, shown: str) -> str | None:
    """What is still to be shown of an answer; None if what was shown has to be taken back.

    >>> rest_of("right lung", shown="right")
    ' lung'
    >>> rest_of("right lung", shown="right lung ")
    ''
    >>> rest_of("cannot tell", shown="right") is None
    True
    """
    if answer.startswith(shown):
        return answer[len(shown) :]
    return "" if answer == shown.rstrip() else None
