"""A chat template for llama.cpp's server that writes exactly the prompt we ask with."""

from __future__ import annotations

import json

from tinymed.models.prompt import Template

# llama.cpp puts a marker into the text where an image goes: "<__media__>", or in its server
# "<__media_", random letters, "__>".
_TURNS = """\
{%- set state = namespace(open=before_image) -%}
{%- for message in messages -%}
{%- if message['role'] == 'assistant' -%}
{{- message['content'] + end -}}
{%- elif message['role'] == 'user' -%}
{%- set said = namespace(image='', text='') -%}
{%- for piece in message['content'].split('__>') -%}
{%- set halves = piece.split('<__media') -%}
{%- set said.text = said.text + halves[0] -%}
{%- if halves | length > 1 -%}
{%- set said.image = said.image + '<__media' + halves[1] + '__>' -%}
{%- endif -%}
{%- endfor -%}
{{- state.open -}}
{%- if said.image -%}
{{- said.image + before_question -}}
{%- endif -%}
{{- said.text | trim -}}
{{- after_question -}}
{%- set state.open = open_again -%}
{%- endif -%}
{%- endfor -%}"""


def chat_turns(template: Template, *, begin: str, leads_with_space: bool = False) -> str:
    """A jinja source whose one turn with an image is `template.in_words()` up to the answer.

    The beginning token is left out: llama.cpp puts it before the text.

    The image stands first in its turn wherever the question mentions it. A turn without an
    image leaves out what stands between image and question. What a system message says,
    llama.cpp puts before the first question.

    Args:
        template: What the model was trained with.
        begin: The token that begins a whole text, "" if there is none: a template that has it
            in its text does not repeat it.
        leads_with_space: The tokenizer puts a space before the first word of a text.
    """
    texts = {
        "before_image": " " * leads_with_space + template.before_image,
        "open_again": template.before_image.removeprefix(begin),
        "before_question": template.before_question,
        "after_question": template.after_question,
        "end": template.end,
    }
    # JSON's strings are jinja's as well.
    rows = [
        f"{{%- set {name} = {json.dumps(text, ensure_ascii=False)} -%}}\n"
        for name, text in texts.items()
    ]
    return "".join(rows) + _TURNS
