"""A Llama language model over the engine's operations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tinymed.engines.native.layout import Layout, Matrix, PlainTensor, Tensors
from tinymed.engines.native.ops import Cache, Floats, Heads, Ops, Places
from tinymed.engines.native.packed import PackedMatrix
from tinymed.models.language_gguf import LanguageConfig

HEAD_BITS = 8
"""Of the output layer, whatever the others have: its errors go straight into the logits."""

TOKENS_AT_ONCE = 256
"""Tokens that pass through the layers together: each takes memory on its way, and so many use
every weight often enough to hide that it has to be fetched."""


def language_layout(config: LanguageConfig, bits: int) -> Layout:
    """The tensors of a language model whose matrices have `bits` bits."""
    heads = heads_of(config)
    inner, hidden, middle = (
        heads.num_heads * heads.size,
        config.hidden_size,
        config.intermediate_size,
    )
    joint = inner + 2 * heads.num_kv_heads * heads.size
    layout: dict[str, Matrix | PlainTensor] = {}
    for layer in range(config.num_layers):
        name = f"layers.{layer}."
        layout |= {
            name + "input_layernorm.weight": PlainTensor(shape=(hidden,)),
            name + "self_attn.qkv_proj": Matrix(
                bits=bits, rows=joint, columns=hidden, has_bias=config.attention_bias
            ),
            name + "self_attn.o_proj": Matrix(bits=bits, rows=hidden, columns=inner),
            name + "post_attention_layernorm.weight": PlainTensor(shape=(hidden,)),
            name + "mlp.gate_up_proj": Matrix(bits=bits, rows=2 * middle, columns=hidden),
            name + "mlp.down_proj": Matrix(bits=bits, rows=hidden, columns=middle),
        }
    layout["norm.weight"] = PlainTensor(shape=(hidden,))
    layout["lm_head"] = Matrix(bits=HEAD_BITS, rows=config.vocab_size, columns=hidden)
    return layout


def heads_of(config: LanguageConfig) -> Heads:
    """How a language model's joint rows are cut."""
    return Heads(num_heads=config.num_heads, num_kv_heads=config.num_kv_heads, size=config.head_dim)


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Tokens to be read: they continue the rows of some caches."""

    rows: Places
    """Shape (tokens,); ascending."""
    places: Places
    """Shape (tokens,); within the row, behind what is shared."""
    wanted: Places
    """Which of the tokens' logits are wanted; ascending, perhaps none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What stands before rows: an image that was read before."""

    caches: Sequence[Cache]
    """One a layer, of one row each."""
    num_tokens: int


Before = Shared | Mapping[int, Shared] | None
"""What stands before every row, or before each by its number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    input_norm: Floats
    qkv: PackedMatrix
    output: PackedMatrix
    post_norm: Floats
    gate_up: PackedMatrix
    down: PackedMatrix


@dataclass(frozen=True, slots=True, kw_only=True)
class _Buffers:
    """What a layer computes on the way; a row a token."""

    hidden: Floats
    normal: Floats
    joint: Floats
    mixed: Floats
    wide: Floats
    gated: Floats

    def first(self, tokens: int) -> _Buffers:
        """The same memory, for fewer tokens."""
        return _Buffers(
            hidden=self.hidden[:tokens],
            normal=self.normal[:tokens],
            joint=self.joint[:tokens],
            mixed=self.mixed[:tokens],
            wide=self.wide[:tokens],
            gated=self.gated[:tokens],
        )


class LanguageModel:
    """Reads embeddings into caches and tells logits."""

    def __init__(
        self, tensors: Tensors, config: LanguageConfig, ops: Ops, *, context_tokens: int
    ) -> None:
        """Make a model of `language_layout`'s tensors."""
        self._config = config
        self._heads = heads_of(config)
        self._ops = ops
        self._layers = [_layer(tensors, f"layers.{layer}.") for layer in range(config.num_layers)]
        self._norm = tensors.plain["norm.weight"]
        self._head = tensors.matrices["lm_head"]
        self._cosines, self._sines = _turns(config, context_tokens)
        self._kept = self._buffers_of(1)

    def new_caches(self, *, rows: int, tokens: int) -> list[Cache]:
        """Empty caches, one a layer, with room for so many tokens in each row."""
        return [Cache.empty(self._heads, rows=rows, tokens=tokens) for _ in self._layers]

    def read(
        self, embeds: Floats, tokens: Read, own: Sequence[Cache], shared: Before = None
    ) -> Floats:
        """Read more tokens: the logits after those that are wanted, (wanted, vocabulary).

        Args:
            embeds: Shape (tokens, hidden).
            tokens: Where they stand.
            own: One cache a layer, which they are put into.
            shared: What the rows see before their own tokens.
        """
        logits = []
        for start in range(0, len(embeds), TOKENS_AT_ONCE):
            end = start + TOKENS_AT_ONCE
            inside = (tokens.wanted >= start) & (tokens.wanted < end)
            part = Read(
                rows=tokens.rows[start:end],
                places=tokens.places[start:end],
                wanted=tokens.wanted[inside] - np.int32(start),
            )
            logits.append(self._read_part(embeds[start:end], part, own, shared))
        return np.concatenate(logits) if len(logits) > 1 else logits[0]

    def _read_part(
        self, embeds: Floats, tokens: Read, own: Sequence[Cache], shared: Before
    ) -> Floats:
        work = self._buffers(len(embeds))
        work.hidden[:] = embeds
        positions = tokens.places.copy()
        for together, before in _runs(tokens.rows, shared):
            positions[together] += 0 if before is None else before.num_tokens
        turns = self._cosines[positions], self._sines[positions]
        rows, visible = tokens.rows, tokens.places + np.int32(1)
        for index, layer in enumerate(self._layers):
            self._project(layer, work)
            self._ops.store(
                work.joint, self._heads, own[index], rows=rows, places=tokens.places, turns=turns
            )
            if index == len(self._layers) - 1:
                # Nobody reads what the others' last layer would give.
                work = _chosen(work, tokens.wanted)
                rows, visible = rows[tokens.wanted], visible[tokens.wanted]
                if not len(rows):
                    break
            for together, before in _runs(rows, shared):
                self._ops.attend(
                    work.joint[together],
                    self._heads,
                    own[index],
                    work.mixed[together],
                    rows=rows[together],
                    visible=visible[together],
                    shared=None if before is None else before.caches[index],
                    num_shared=0 if before is None else before.num_tokens,
                )
            self._finish(layer, work)
        return self._logits(work)

    def _project(self, layer: _Layer, work: _Buffers) -> None:
        """Queries, keys and values."""
        self._ops.rms_norm(work.hidden, layer.input_norm, self._config.rms_norm_eps, work.normal)
        self._ops.linear(work.normal, layer.qkv, work.joint, add=False)

    def _finish(self, layer: _Layer, work: _Buffers) -> None:
        """All of a layer that comes after attention."""
        ops, epsilon = self._ops, self._config.rms_norm_eps
        ops.linear(work.mixed, layer.output, work.hidden, add=True)
        ops.rms_norm(work.hidden, layer.post_norm, epsilon, work.normal)
        ops.linear(work.normal, layer.gate_up, work.wide, add=False)
        ops.gate(work.wide, work.gated)
        ops.linear(work.gated, layer.down, work.hidden, add=True)

    def _logits(self, work: _Buffers) -> Floats:
        logits = np.empty((len(work.hidden), self._config.vocab_size), np.float32)
        if len(logits):
            self._ops.rms_norm(work.hidden, self._norm, self._config.rms_norm_eps, work.normal)
            self._ops.linear(work.normal, self._head, logits, add=False)
        return logits

    def _buffers(self, tokens: int) -> _Buffers:
        """Memory for so many tokens, kept from read to read."""
        if len(self._kept.hidden) < tokens:
            self._kept = self._buffers_of(tokens)
        return self._kept.first(tokens)

    def _buffers_of(self, tokens: int) -> _Buffers:
        heads, config = self._heads, self._config
        inner = heads.num_heads * heads.size

        def rows(width: int) -> Floats:
            return np.empty((tokens, width), np.float32)

        return _Buffers(
            hidden=rows(config.hidden_size),
            normal=rows(config.hidden_size),
            joint=rows(inner + 2 * heads.num_kv_heads * heads.size),
            mixed=rows(inner),
            wide=rows(2 * config.intermediate_size),
            gated=rows(config.intermediate_size),
        )


def _chosen(work: _Buffers, wanted: Places) -> _Buffers:
    """Only some tokens' rows of what is still to be read."""
    fewer = work.first(len(wanted))
    fewer.hidden[:] = work.hidden[wanted]
    fewer.joint[:] = work.joint[wanted]
    return fewer


def _runs(rows: Places, shared: Before) -> Iterator[tuple[slice, Shared | None]]:
    """Tokens that stand together behind one and the same beginning, and that."""
    if not isinstance(shared, Mapping):
        yield slice(0, len(rows)), shared
        return
    starts = [0, *(np.flatnonzero(np.diff(rows)) + 1).tolist(), len(rows)]
    for start, stop in pairwise(starts):
        yield slice(start, stop), shared[int(rows[start])]


def _layer(tensors: Tensors, name: str) -> _Layer:
    return _Layer(
        input_norm=tensors.plain[name + "input_layernorm.weight"],
        qkv=tensors.matrices[name + "self_attn.qkv_proj"],
        output=tensors.matrices[name + "self_attn.o_proj"],
        post_norm=tensors.plain[name + "post_attention_layernorm.weight"],
        gate_up=tensors.matrices[name + "mlp.gate_up_proj"],
        down=tensors.matrices[name + "mlp.down_proj"],
    )


def _turns(config: LanguageConfig, context_tokens: int) -> tuple[Floats, Floats]:
    """Cosines and sines of every position's angles, each (positions, size / 2)."""
    size = config.head_dim
    frequency = config.rope_theta ** (-np.arange(0, size, 2, dtype=np.float64) / size)
    angle = np.outer(np.arange(context_tokens), frequency)
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
