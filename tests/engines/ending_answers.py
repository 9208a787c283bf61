"""Greedy answers of the tiny model that are whole texts and end by themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tiny_model import Open
from tokenizers import AddedToken, Tokenizer, decoders, models

from tinymed.engines.openvino.layers import Array
from tinymed.models.prompt import CHATML, Prompt, build_prompt

FIRST_LETTER = 0x21
"""Of 256 letters, ASCII's first; a space is none and is not read."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """A question, its greedy answer, and the prompt whose end token ends it there."""

    question: str
    text: str
    prompt: Prompt


def letter_prompt() -> Prompt:
    """A prompt whose tokens are letters: whatever random weights answer, it is a text."""
    letters = [chr(code) for code in range(FIRST_LETTER, 0x300) if chr(code).isprintable()]
    letters = [letter for letter in letters if not letter.isspace()][:256]
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(letters)}, merges=[]))
    tokenizer.decoder = decoders.Fuse()
    control = ["<|im_start|>", CHATML.end, CHATML.image]
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in control])
    return build_prompt(tokenizer)


def find_ending(open_any: Open, pixels: Array) -> Ending:
    """A question whose greedy answer is made to end after some letters.

    The end token is one that stands in the answer there for the first time.
    """
    prompt = letter_prompt()
    engine = open_any(prompt)
    image = engine.encode(pixels)
    for number in range(40):
        question = f"What is {number}?"
        text = engine.answer(image, question, max_new_tokens=8).text
        count = next((n for n in range(2, 8) if text[n] not in text[:n]), None)
        if count is not None and len(set(text[:count])) > 1:
            end_id = prompt.tokenizer.token_to_id(text[count])
            ending = replace(prompt, end_id=end_id)
            return Ending(question=question, text=text[:count], prompt=ending)
    raise AssertionError("the tiny model always says the same")
