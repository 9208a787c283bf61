"""A checkpoint's chat template, read once and kept as plain text around image and question."""

from __future__ import annotations

from typing import Any, NoReturn

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tinymed.errors import ModelError
from tinymed.models.prompt import Template

_QUESTION = "\u2021question\u2021"
"""Stands for the question while the template is rendered; no template holds it."""


def read_chat_template(source: str, *, image: str, begin: str, end: str, where: str) -> Template:
    """Render a chat template around one image and one question, and cut it at both.

    A template is a program out of a checkpoint: it runs in jinja's sandbox and is never
    needed again.

    Args:
        source: The template, jinja, as Hugging Face's tokenizers carry it.
        image: The token that stands where image tokens go.
        begin: The token that begins every text; "" if there is none.
        end: The token that ends an answer.
        where: The file, for errors.

    Raises:
        ModelError: If it cannot be rendered, or does not put one image before the question.

    >>> said = "{{ '<image>' if c.type == 'image' else c.text }} "
    >>> turn = "{% for c in m.content %}" + said + "{% endfor %}"
    >>> chat = "{% for m in messages %}USER: " + turn + "ASSISTANT:{% endfor %}"
    >>> read_chat_template(chat, image="<image>", begin="<s>", end="</s>", where="x").in_words()
    '<s>USER: {image} {question} ASSISTANT:{answer}</s>'
    """

    def raise_exception(message: str) -> NoReturn:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = raise_exception
    content = [{"type": "image"}, {"type": "text", "text": _QUESTION}]
    messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
    try:
        text = environment.from_string(source).render(
            messages=messages, add_generation_prompt=True, bos_token=begin, eos_token=end
        )
    except (TemplateError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ModelError(f"The chat template '{where}' cannot be rendered: {error}.") from error
    if text.count(image) != 1 or text.count(_QUESTION) != 1:
        raise ModelError(
            f"The chat template '{where}' does not put one '{image}' and the question into a turn."
        )
    before, after_question = text.split(_QUESTION)
    if image not in before:
        raise ModelError(f"The chat template '{where}' puts the image behind the question.")
    before_image, before_question = before.split(image)
    return Template(
        # A template that writes the token itself has it inside its text.
        begin="" if begin and before_image.startswith(begin) else begin,
        before_image=before_image,
        before_question=before_question,
        after_question=after_question,
        image=image,
        end=end,
    )
