"""A question as the rules read it, whatever way it was typed or pasted."""

from __future__ import annotations

import re
import unicodedata

_NOT_SEEN = ("Cc", "Cf")
"""Unicode's categories of control and format characters: zero width, direction, byte order."""
_GREETING = re.compile(
    r"^(?:(?:hello|hi|hey|thanks|thank you|please|ok|okay|doctor|"
    r"good (?:morning|afternoon|evening|day))\b[\s,.!:]+(?:and |so |now )?)+"
    r"(?=(?:is|are|was|were|does|do|can|could|has|any|what|which|where|how)\b)",
    re.IGNORECASE,
)


def visible_text(question: str) -> str:
    """A question with one kind of space, nothing invisible, and no greeting before it.

    >>> visible_text("Hello,  is there n\\u200bo effusion ?")
    'is there no effusion ?'
    """
    shown = "".join(
        character
        for character in unicodedata.normalize("NFKC", question)
        if character.isspace() or unicodedata.category(character) not in _NOT_SEEN
    )
    return _GREETING.sub("", " ".join(shown.split()), count=1)


def plain_text(question: str) -> str:
    """The same in lower case.

    Example:
        >>> plain_text("IGNORE\\u200b  the\\nimage")
        'ignore the image'
    """
    return visible_text(question).casefold()
