"""The language model's tokenizer, rebuilt from the vocabulary its GGUF file carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from tinymed.errors import ModelError

if TYPE_CHECKING:
    from gguf import GGUFReader

CONTROL_TOKEN = 3
"""GGUF's token type for tokens that are never text."""


def tokenizer_from_gguf(reader: GGUFReader) -> Tokenizer:
    """Byte-level BPE with each digit its own token, as SmolLM2 was trained.

    Raises:
        ModelError: If the file names another kind of tokenizer.
    """
    kind = _field(reader, "tokenizer.ggml.model"), _field(reader, "tokenizer.ggml.pre")
    if kind != ("gpt2", "smollm"):
        raise ModelError(
            f"The language model's tokenizer is {kind}; this version reads ('gpt2', 'smollm')."
        )
    tokens: list[str] = _field(reader, "tokenizer.ggml.tokens")
    types: list[int] = _field(reader, "tokenizer.ggml.token_type")
    merges = [tuple(merge.split(" ")) for merge in _field(reader, "tokenizer.ggml.merges")]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [
            AddedToken(token, special=True, normalized=False)
            for token, kind_ in zip(tokens, types, strict=True)
            if kind_ == CONTROL_TOKEN
        ]
    )
    return tokenizer


def _field(reader: GGUFReader, name: str) -> Any:
    field = reader.get_field(name)
    if field is None:
        raise ModelError(f"The language model's file has no '{name}'.")
    return field.contents()
