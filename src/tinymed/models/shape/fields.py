"""The values of a configuration, by any of the names that models give them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tinymed.errors import ModelError

SYNONYMS: dict[str, tuple[str, ...]] = {
    "hidden_size": ("n_embd", "d_model", "embed_dim", "dim"),
    "intermediate_size": ("n_inner", "ffn_dim", "d_ff", "ffn_hidden_size"),
    "num_hidden_layers": ("n_layer", "n_layers", "num_layers", "depth"),
    "num_attention_heads": ("n_head", "n_heads", "num_heads"),
    "num_key_value_heads": ("num_kv_heads", "n_head_kv", "n_kv_heads"),
    "max_position_embeddings": ("n_positions", "max_seq_len", "seq_length", "model_max_length"),
    "vocab_size": ("n_vocab", "padded_vocab_size"),
    "num_local_experts": ("num_experts", "n_routed_experts"),
    "num_channels": ("in_channels", "in_chans"),
    "num_experts_per_tok": ("num_experts_per_token", "moe_top_k"),
    "image_size": ("img_size",),
}
MOST_LAYERS = 1000
_MOST = {"num_hidden_layers": MOST_LAYERS, "num_local_experts": MOST_LAYERS}
_MOST_TIMES = 64
_MOST_ELSEWHERE = 1 << 31
"""No model has more; a damaged or hostile file may say so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """A configuration, or one within it."""

    values: Mapping[str, Any]
    where: str
    """What it is, for errors: "the text_config of 'nano'"."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """What its class holds where a file says nothing."""

    def get(self, name: str, other: Any = None) -> Any:
        """A value by its usual name or a synonym, else the class's default, else `other`."""
        for known in (name, *SYNONYMS.get(name, ())):
            if self.values.get(known) is not None:
                return self.values[known]
        found = self.defaults.get(name)
        return other if found is None else found

    def number(self, name: str, other: int | None = None) -> int:
        """A count or a width.

        A pair of two equal sides is read as one.

        Raises:
            ModelError: If there is none, or it is no number of at least 1 that a model can have.
        """
        value = self.get(name, other)
        if isinstance(value, list | tuple) and len(set(map(str, value))) == 1:
            value = value[0]
        if value is None:
            raise ModelError(f"{self.where} has no '{name}', which the model's shape needs.")
        most = _MOST.get(name, _MOST_ELSEWHERE)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise ModelError(
                f"{self.where} has {name} {value!r}; a whole number of 1 to {most} is wanted."
            )
        return value

    def ratio(self, name: str, other: float) -> float:
        """How much of something else a size is, or how many times as large.

        Raises:
            ModelError: If it is no number that a model can have.
        """
        value = self.get(name, other)
        # Compared so that what is no number at all fails too.
        if not isinstance(value, int | float) or not 1 / _MOST_TIMES <= value <= _MOST_TIMES:
            raise ModelError(f"{self.where} has {name} {value!r}, which no model has.")
        return float(value)

    def flag(self, name: str, *, other: bool = False) -> bool:
        """Whether something is there or done."""
        return bool(self.get(name, other))

    def word(self, name: str, other: str = "") -> str:
        """A value in words, such as the model_type."""
        return str(self.get(name, other))
