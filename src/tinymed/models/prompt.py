"""How a question is put to the language model: one template, the same in every engine."""

from __future__ import annotations

from dataclasses import dataclass

from tokenizers import Tokenizer

from tinymed.errors import ModelError, UserError

USER_START = "<|im_start|>user\n"
QUESTION_END = "<|im_end|>\n<|im_start|>assistant\n"
END = "<|im_end|>"
IMAGE = "<empty_output>"
"""A control token that SmolLM2 reserves and never uses: stands where image tokens go."""

TEMPLATE = USER_START + "{image}\n{question}" + QUESTION_END + "{answer}" + END
MAX_QUESTION_TOKENS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """ChatML without a system line, image first, so that questions share its prefix.

    Layout: `<|im_start|>user⏎`, image tokens, `⏎question<|im_end|>⏎<|im_start|>assistant⏎`,
    answer, `<|im_end|>`.
    """

    tokenizer: Tokenizer
    prefix_ids: tuple[int, ...]
    """Before the image tokens."""
    image_id: int
    end_id: int

    def question_ids(self, question: str) -> list[int]:
        """Token ids from after the image to where the answer begins.

        Control tokens written in a question stay text: a question cannot end its own turn.

        Raises:
            UserError: If the question is empty or longer than MAX_QUESTION_TOKENS.
        """
        question = question.strip()
        if not question:
            raise UserError("The question is empty. Write it in quotes after the image.")
        ids = _text_ids(self.tokenizer, "\n" + question)
        if len(ids) > MAX_QUESTION_TOKENS:
            raise UserError(
                f"The question has {len(ids)} tokens and the model reads "
                f"{MAX_QUESTION_TOKENS}. Shorten it."
            )
        return ids + _template_ids(self.tokenizer, QUESTION_END)

    def answer_ids(self, answer: str) -> list[int]:
        """Token ids of a reference answer with the end token, for training."""
        return [*_text_ids(self.tokenizer, answer.strip()), self.end_id]

    def decode(self, ids: list[int]) -> str:
        """Text of answer tokens; control tokens are left out."""
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True)
        return text


def build_prompt(tokenizer: Tokenizer) -> Prompt:
    """The prompt for a tokenizer that knows the template's control tokens."""
    return Prompt(
        tokenizer=tokenizer,
        prefix_ids=tuple(_template_ids(tokenizer, USER_START)),
        image_id=_control_id(tokenizer, IMAGE),
        end_id=_control_id(tokenizer, END),
    )


def _control_id(tokenizer: Tokenizer, token: str) -> int:
    index: int | None = tokenizer.token_to_id(token)
    if index is None:
        raise ModelError(f"The language model's tokenizer has no control token '{token}'.")
    return index


def _template_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    tokenizer.encode_special_tokens = False
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return ids


def _text_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    tokenizer.encode_special_tokens = True
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return ids
