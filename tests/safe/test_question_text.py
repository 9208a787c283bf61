"""What of a typed or pasted question the rules read."""

from __future__ import annotations

import pytest

from tinymed.safe.question_text import plain_text, visible_text


@pytest.mark.parametrize(
    "typed",
    [
        "Is there no mass?",
        "  Is there\tno\nmass? ",
        "Is\u00a0there\u2003no mass?",
        "\ufeffIs th\u200bere n\u00ado mass?",
        "\u202eIs there no mass?\u202c",
        "Is there\x07 no mass\x00?",
        "\uff29s there no mass\uff1f",
        "Hello, Is there no mass?",
        "Good morning doctor. Is there no mass?",
    ],
)
def test_what_looks_alike_is_read_alike(typed: str) -> None:
    assert visible_text(typed) == "Is there no mass?"
    assert plain_text(typed) == "is there no mass?"


@pytest.mark.parametrize(
    "typed",
    ["Hello", "ok", "Please describe it.", "Is the patient ok? is he", "Hip: is it broken?"],
)
def test_a_greeting_goes_only_from_before_a_question(typed: str) -> None:
    assert visible_text(typed) == typed
