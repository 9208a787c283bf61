"""The tensors of a language model."""

from __future__ import annotations

from typing import Any

from tinymed.errors import ModelError
from tinymed.models.shape.fields import MOST_LAYERS, Fields
from tinymed.models.shape.shape import TextShape
from tinymed.models.shape.tensor_list import TensorList
from tinymed.models.shape.text_families import TEXT_FAMILIES, Bias, TextFamily

_MOST_NAMED_EXPERTS = 64
"""In a layer, where each has tensors of its own."""


def text_family(model_type: str) -> TextFamily:
    """How a language model names its tensors; as Llama does where it is not known."""
    return TEXT_FAMILIES.get(model_type, TEXT_FAMILIES["llama"])


def read_text(fields: Fields, *, is_tied: bool) -> TextShape:
    """The sizes of a language model.

    Raises:
        ModelError: If one is missing or no size.
    """
    width, heads = fields.number("hidden_size"), fields.number("num_attention_heads")
    experts = _experts_of_layers(fields)
    return TextShape(
        model_type=fields.word("model_type"),
        width=width,
        middle=fields.number("intermediate_size"),
        layers=fields.number("num_hidden_layers"),
        heads=heads,
        key_heads=fields.number("num_key_value_heads", heads),
        head_width=fields.number("head_dim", max(width // heads, 1)),
        vocabulary=fields.number("vocab_size"),
        context_tokens=fields.number("max_position_embeddings"),
        is_tied=is_tied,
        num_experts=max(experts.values(), default=0),
        experts_per_token=fields.number("num_experts_per_tok", 1) if experts else 0,
    )


def text_tensors(fields: Fields, text: TextShape, found: TensorList) -> None:
    """Add every tensor of a language model but its output layer."""
    family = text_family(text.model_type)
    body = found.under(family.body)
    table = fields.number("word_embed_proj_dim", text.width)
    body.add("embed_tokens.weight", (text.vocabulary, table), "embedding")
    if family.spare_positions is not None:
        rows = text.context_tokens + family.spare_positions
        body.add("embed_positions.weight", (rows, text.width), "position")
    if table != text.width:
        body.linear("project_in", text.width, table, bias=False)
        body.linear("project_out", table, text.width, bias=False)
    experts = _experts_of_layers(fields)
    for index in range(text.layers):
        layer = body.under(f"layers.{index}.")
        _attention(fields, text, layer.under("self_attn."))
        _feed_forward(fields, text, layer, experts.get(index, 0))
        for name in _norms(fields, family):
            layer.norm(name, text.width, bias=family.norm_bias)
    body.norm(family.last_norm, text.width, bias=family.norm_bias)


def _attention(fields: Fields, text: TextShape, found: TensorList) -> None:
    family = text_family(text.model_type)
    queries, keys = text.heads * text.head_width, text.key_heads * text.head_width
    rows = [queries, keys, keys]
    if len(family.query_key_value) == 1:
        rows = [sum(rows)]
    for name, number in zip(family.query_key_value, rows, strict=True):
        found.linear(name, number, text.width, bias=_has(fields, family.query_bias))
    found.linear(family.output, text.width, queries, bias=_has(fields, family.output_bias))
    if family.head_norm == "each":
        for name in ("q_norm", "k_norm"):
            found.norm(name, text.head_width, bias=False)
    elif family.head_norm == "all":
        found.norm("q_norm", queries, bias=False)
        found.norm("k_norm", keys, bias=False)
    elif family.head_norm and fields.flag("qk_layernorm"):
        _layer_norms_of_heads(family, text, found)


def _layer_norms_of_heads(family: TextFamily, text: TextShape, found: TensorList) -> None:
    """Phi has one for all heads, StableLM one for each."""
    for letter, heads in (("q", text.heads), ("k", text.key_heads)):
        if family.head_norm == "phi":
            found.norm(f"{letter}_layernorm", text.head_width, bias=True)
            continue
        for head in range(heads):
            found.norm(f"{letter}_layernorm.norms.{head}", text.head_width, bias=False)


def _feed_forward(fields: Fields, text: TextShape, layer: TensorList, experts: int) -> None:
    family = text_family(text.model_type)
    if family.experts == "mixtral":
        layer.linear("mlp.gate", experts, text.width, bias=False)
        routed = layer.under("mlp.experts.", is_expert=True)
        # All experts of a layer in one tensor.
        routed.add("gate_up_proj", (experts, 2 * text.middle, text.width), "matrix")
        routed.add("down_proj", (experts, text.width, text.middle), "matrix")
    elif experts:
        layer.linear("mlp.router", experts, text.width, bias=True)
        for number in range(experts):
            routed = layer.under(f"mlp.experts.{number}.", is_expert=True)
            _perceptron(fields, text, routed, without="mlp.")
        _perceptron(fields, text, layer.under("mlp.meta_expert."), without="mlp.")
    else:
        _perceptron(fields, text, layer)


def _perceptron(fields: Fields, text: TextShape, found: TensorList, *, without: str = "") -> None:
    family = text_family(text.model_type)
    *wide, narrow = (name.removeprefix(without) for name in family.feed_forward)
    has_bias = _has(fields, family.feed_forward_bias)
    for name in wide:
        # "gate_up": both in one.
        rows = text.middle * (2 if name.endswith("gate_up_proj") else 1)
        found.linear(name, rows, text.width, bias=has_bias)
    found.linear(narrow, text.width, text.middle, bias=has_bias)


def _norms(fields: Fields, family: TextFamily) -> tuple[str, ...]:
    """StableLM's parallel residual needs one norm alone."""
    return family.norms[:1] if fields.flag("use_parallel_residual") else family.norms


def _experts_of_layers(fields: Fields) -> dict[int, int]:
    """Routed experts by layer, where there are any."""
    kind = text_family(fields.word("model_type")).experts
    if not kind:
        return {}
    if kind == "mixtral":
        number = fields.number("num_local_experts")
        return dict.fromkeys(range(fields.number("num_hidden_layers")), number)
    layers, numbers = fields.get("moe_layers", ()), fields.get("moe_num_experts", ())
    if not _are_counts(layers, MOST_LAYERS) or not _are_counts(numbers, _MOST_NAMED_EXPERTS):
        raise ModelError(
            f"{fields.where} does not say which layers have how many experts (moe_layers, "
            "moe_num_experts)."
        )
    return dict(zip(layers, numbers, strict=False))


def _are_counts(values: Any, most: int) -> bool:
    return isinstance(values, list | tuple) and all(
        isinstance(value, int) and 0 <= value <= most for value in values
    )


def _has(fields: Fields, bias: Bias) -> bool:
    return fields.flag(bias) if isinstance(bias, str) else bias
