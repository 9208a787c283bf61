"""Chat templates of the LLaVA family: what its `conversation.py` files build, in jinja.

A message's content is a string, or a list of {"type": "image"} and {"type": "text", "text": …}.
Another role than user and assistant is refused: the published prompts have no place for it.
"""

from __future__ import annotations

import json

_CONTENT = """
{%- macro content(message) -%}
{%- if message['content'] is string -%}{{ message['content'] }}
{%- else -%}
{%- for part in message['content'] if part['type'] == 'image' -%}BEFORE{%- endfor -%}
{%- for part in message['content'] if part['type'] == 'text' -%}{{ part['text'] }}{%- endfor -%}
{%- for part in message['content'] if part['type'] == 'image' -%}AFTER{%- endfor -%}
{%- endif -%}
{%- endmacro -%}"""
_TURNS = """
{%- for message in messages -%}
{%- if message['role'] == 'user' -%}USER
{%- elif message['role'] == 'assistant' -%}ASSISTANT
{%- else -%}{{ raise_exception('The roles are user and assistant, not ' ~ message['role']) }}
{%- endif -%}
{%- endfor -%}"""


def spoken(
    opening: str,
    *,
    user: tuple[str, str],
    assistant: tuple[str, str],
    answer: str,
    before_text: str = "<image>\n",
    after_text: str = "",
) -> str:
    """A template of alternating turns.

    Args:
        opening: What stands before the first turn.
        user: What stands before and after a question.
        assistant: What stands before and after an answer of an earlier turn.
        answer: What the model's answer is asked for with (`add_generation_prompt`).
        before_text: What an image becomes, before the words of its message.
        after_text: What it becomes after them.
    """
    content = _CONTENT.replace("BEFORE", _said(before_text)).replace("AFTER", _said(after_text))
    turns = _TURNS.replace("USER", _turn(*user)).replace("ASSISTANT", _turn(*assistant))
    asked = f"{{%- if add_generation_prompt -%}}{_said(answer)}{{%- endif -%}}"
    return (content + _said(opening) + turns + asked).lstrip()


def _turn(before: str, after: str) -> str:
    return f"{_said(before)}{{{{ content(message) }}}}{_said(after)}"


def _said(text: str) -> str:
    """An expression that prints exactly this text: jinja would trim bare line breaks."""
    return f"{{{{ {json.dumps(text, ensure_ascii=False)} }}}}" if text else ""


_POLITE = "gives helpful, detailed, and polite answers to the"


def vicuna(end_of_answer: str) -> str:
    """`v1` of LLaVA, with what stands behind an answer."""
    return spoken(
        "A chat between a curious user and an artificial intelligence assistant. "
        f"The assistant {_POLITE} user's questions. ",
        user=("USER: ", " "),
        assistant=("ASSISTANT: ", end_of_answer),
        answer="ASSISTANT:",
    )


VICUNA_V1 = vicuna("</s>")
"""LLaVA-1.5, and the Vicuna forms of 1.6."""

MISTRAL_INSTRUCT = spoken("", user=("[INST] ", " [/INST]"), assistant=(" ", " </s>"), answer="")
"""`mistral_instruct` of LLaVA: the Mistral form of 1.6, and LLaVA-Med 1.5."""


def llava_med_simple(image: str) -> str:
    """`simple` of LLaVA-Med 1.0, which opens with a turn of its own; the image ends a question.

    The published evaluation leaves "Assistant:" to the model and its server writes it: without
    and with `add_generation_prompt`.
    """
    return spoken(
        "A chat between a curious human and an artificial intelligence assistant. "
        f"The assistant {_POLITE} human's questions.###"
        "Human: Hi!###Assistant: Hi there!  How can I help you today?\n###",
        user=("Human: ", "###"),
        assistant=("Assistant: ", "###"),
        answer="Assistant:",
        before_text="",
        after_text=f"\n{image}",
    )
