"""How a question is put to a language model: a template, the same in every engine."""

from __future__ import annotations

from dataclasses import dataclass

from tokenizers import Tokenizer

from tinymed.errors import ModelError, UserError

MAX_QUESTION_TOKENS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A prompt around one image and one question, image first: questions share its prefix.

    Kept in a build's manifest, so that training, measuring and serving cannot differ.
    """

    before_image: str
    """Up to where the image tokens go."""
    before_question: str
    after_question: str
    """Up to where the answer begins."""
    image: str
    """The control token that stands where image tokens go."""
    end: str
    """The control token that ends an answer."""
    begin: str = ""
    """The control token that stands before the text and is no part of it; "" if there is
    none. Some tokenizers read the first word of a text otherwise than one behind a token."""

    def in_words(self) -> str:
        """The whole turn with `{image}`, `{question}` and `{answer}` in their places."""
        return (
            f"{self.begin}{self.before_image}{{image}}{self.before_question}{{question}}"
            f"{self.after_question}{{answer}}{self.end}"
        )


CHATML = Template(
    before_image="<|im_start|>user\n",
    before_question="\n",
    after_question="<|im_end|>\n<|im_start|>assistant\n",
    # A control token that SmolLM2 reserves and never uses.
    image="<empty_output>",
    end="<|im_end|>",
)
"""ChatML without a system line: what our own models are trained with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A template in the tokens of one tokenizer."""

    tokenizer: Tokenizer
    template: Template
    prefix_ids: tuple[int, ...]
    """Before the image tokens."""
    image_id: int
    end_id: int
    controls: tuple[str, ...]
    """What may not stand in a question: every control token, where the tokenizer cannot be
    kept from reading them in running text; else none."""

    def question_ids(self, question: str) -> list[int]:
        """Token ids from after the image to where the answer begins.

        Control tokens written in a question stay text, or are refused: a question cannot end
        its own turn.

        Raises:
            UserError: If the question is empty, longer than MAX_QUESTION_TOKENS or holds a
                control token that would be read as one.
        """
        question = question.strip()
        if not question:
            raise UserError("The question is empty. Write it in quotes after the image.")
        found = next((token for token in self.controls if token in question), None)
        if found is not None:
            raise UserError(
                f"The question holds '{found}', which this model reads as a command. Leave it out."
            )
        num_tokens = len(self._run_ids(self.template.before_question + question))
        if num_tokens > MAX_QUESTION_TOKENS:
            raise UserError(
                f"The question has {num_tokens} tokens and the model reads "
                f"{MAX_QUESTION_TOKENS}. Shorten it."
            )
        spoken, control = _split_at_control(self.tokenizer, self.template.after_question)
        run = self._run_ids(self.template.before_question + question + spoken)
        return run + _template_ids(self.tokenizer, control)

    def answer_ids(self, answer: str) -> list[int]:
        """Token ids of a reference answer with the end token, for training."""
        return [*_text_ids(self.tokenizer, answer.strip()), self.end_id]

    def decode(self, ids: list[int]) -> str:
        """Text of answer tokens; control tokens are left out."""
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True)
        return text

    def _run_ids(self, text: str) -> list[int]:
        """Token ids of the text behind the image, as they are when it stands there."""
        if self.controls:
            return _template_ids(self.tokenizer, self.template.image + text)[1:]
        return _text_ids(self.tokenizer, text)


def build_prompt(tokenizer: Tokenizer, template: Template = CHATML) -> Prompt:
    """A template's prompt for a tokenizer that knows its control tokens.

    Raises:
        ModelError: If the tokenizer lacks one.
    """
    image_id = _control_id(tokenizer, template.image)
    # A SentencePiece tokenizer may put a space before the first word of a text. Then a text
    # cannot be read apart from the image in front of it, and with that image control tokens
    # are read too: they have to be refused.
    probe = template.before_question + "Is there an effusion?"
    behind_image = _template_ids(tokenizer, template.image + probe)[1:]
    controls: tuple[str, ...] = ()
    if behind_image != _text_ids(tokenizer, probe):
        controls = tuple(token.content for token in tokenizer.get_added_tokens_decoder().values())
    begin = [_control_id(tokenizer, template.begin)] if template.begin else []
    return Prompt(
        tokenizer=tokenizer,
        template=template,
        prefix_ids=(*begin, *_template_ids(tokenizer, template.before_image)),
        image_id=image_id,
        end_id=_control_id(tokenizer, template.end),
        controls=controls,
    )


def _split_at_control(tokenizer: Tokenizer, text: str) -> tuple[str, str]:
    """What of a template's text is spoken, and the rest from its first control token on."""
    controls = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    first = min((at for token in controls if (at := text.find(token)) >= 0), default=len(text))
    return text[:first], text[first:]


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
