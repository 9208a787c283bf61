"""What a chat request asks of a model that answers one question about one image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tinymed.engines.decoding import Decoding
from tinymed.serve.programs.checked import RequestError

_SAMPLING = {"temperature": 0, "top_p": 1, "seed": None}
"""By which value each asks for a greedy answer, if it can."""
_WHOLE = {"max_new_tokens", "seed", "top_logprobs"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A message, whatever the shape it came in."""

    role: str
    text: str
    images: tuple[str, ...] = ()
    """As sent: URLs or base64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The question, the image, and what of the conversation plays no part."""

    question: str
    image: str
    """As sent."""
    not_used: tuple[str, ...]


def last_question(turns: Sequence[Turn]) -> Asked:
    """The last turn's question about the latest image.

    Each question is answered by itself: earlier turns only say which image is meant.

    Raises:
        RequestError: If the last turn is no user's, asks nothing, or there is no image.
    """
    if not turns or turns[-1].role != "user":
        raise RequestError("The last message is not a user's. End 'messages' with the question.")
    last = turns[-1]
    if not last.text.strip():
        raise RequestError("The last message holds no question. Add it as text.")
    with_images = [turn for turn in turns if turn.images and turn.role == "user"]
    if not with_images:
        raise RequestError("There is no image to ask about. Add one to the question's message.")
    if len(with_images[-1].images) > 1:
        raise RequestError(
            f"There are {len(with_images[-1].images)} images in one message, and the model reads "
            "one. Ask about each by itself."
        )
    return Asked(
        question=last.text.strip(),
        image=with_images[-1].images[0],
        not_used=tuple(_unread(turns, with_images[-1])),
    )


def _unread(turns: Sequence[Turn], with_image: Turn) -> list[str]:
    commands = sum(turn.role in ("system", "developer") for turn in turns)
    earlier = sum(turn.role not in ("system", "developer") for turn in turns[:-1])
    unread = []
    if commands:
        unread.append(f"{commands} system message{'s' * (commands > 1)}")
    if earlier:
        but = " (but for the image)" if with_image is not turns[-1] else ""
        unread.append(f"{earlier} earlier message{'s' * (earlier > 1)}{but}")
    return unread


def decoding_of(values: Mapping[str, Any], *, is_safe: bool, most_tokens: int) -> Decoding:
    """How to decode by a request's own values; safe answers are greedy.

    Args:
        values: By Decoding's names; None, or missing, for what is not set.
        is_safe: Whether gates stand before the answer.
        most_tokens: The server's limit of `max_new_tokens`.
    """
    given = {name: value for name, value in values.items() if value is not None}
    if is_safe:
        given = {name: value for name, value in given.items() if name not in _SAMPLING}
    for name in _WHOLE & given.keys():
        given[name] = int(given[name])  # JSON's 5.0 is a whole number too
    if "max_new_tokens" in given:
        given["max_new_tokens"] = min(given["max_new_tokens"], most_tokens)
    return Decoding(**given)


def sampling_not_used(values: Mapping[str, Any], *, is_safe: bool) -> list[str]:
    """Which of the request's sampling values play no part: in a safe answer, all."""
    if not is_safe:
        return []
    return [name for name, greedy in _SAMPLING.items() if values.get(name) not in (None, greedy)]


def stops(value: str | Sequence[str] | None) -> tuple[str, ...]:
    """A stop text, or several, or none.

    >>> stops("END"), stops(["a", "b"]), stops(None)
    (('END',), ('a', 'b'), ())
    """
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def others(request: Mapping[str, Any], known: Callable[[str], bool]) -> list[str]:
    """Fields that were sent and mean nothing here, but for those set to null."""
    return [name for name, value in request.items() if not known(name) and value is not None]
