"""A language model in llama.cpp's memory, and the texts it is reading side by side."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinymed.engines.llamacpp.library import LOG, Batch, llama
from tinymed.errors import ModelError

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int32]

MAX_SEQUENCES = 33
"""Texts read side by side: one that is kept, and its continuations. Each costs a row of logits."""
_ALL = -1
"""Of a sequence's positions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Tokens that continue a sequence."""

    sequence: int
    start: int
    """Position of the first of them."""
    ids: Sequence[int]


class Sequences:
    """A loaded language model with a key-value cache that several texts share.

    Not for two threads at once. Freed by `close`, or when nobody holds it any more.
    """

    def __init__(
        self,
        path: Path,
        *,
        threads: int,
        num_tokens: int,
        cache_type: int,
        adapter: Path | None = None,
    ) -> None:
        """Load a GGUF file.

        Args:
            path: The language model.
            adapter: A LoRA adapter's GGUF file to put on top of it.
            threads: Threads to compute with.
            num_tokens: Slots of the cache, for all sequences together.
            cache_type: ggml's number of what the cache holds.

        Raises:
            ModelError: If llama.cpp cannot load the file, or does not heed what it is told.
        """
        self._library = llama()
        LOG.error = ""
        params = self._library.llama_model_default_params()
        params.n_gpu_layers = 0
        model = self._library.llama_model_load_from_file(str(path).encode(), params)
        if not model:
            raise ModelError(f"llama.cpp cannot load '{path}': {LOG.error}.")
        context = self._library.llama_init_from_model(
            model, self._options(threads, num_tokens, cache_type)
        )
        if not context:
            self._library.llama_model_free(model)
            raise ModelError(f"llama.cpp has no room to run '{path}': {LOG.error}.")
        self._opened = context
        self._free = weakref.finalize(self, _free, self._library, context, model)
        self._check_heeded(threads, num_tokens)
        if adapter is not None:
            self._put_on_top(adapter, model)
        self.hidden_size = int(self._library.llama_model_n_embd(model))
        vocabulary = self._library.llama_model_get_vocab(model)
        self.vocab_size = int(self._library.llama_vocab_n_tokens(vocabulary))

    def _options(self, threads: int, num_tokens: int, cache_type: int) -> Any:
        options = self._library.llama_context_default_params()
        options.n_ctx = options.n_batch = num_tokens
        options.n_ubatch = min(num_tokens, 512)
        options.n_seq_max = MAX_SEQUENCES
        options.n_outputs_max = MAX_SEQUENCES
        options.n_threads = options.n_threads_batch = threads
        options.type_k = options.type_v = cache_type
        # Its kernel rounds the mask and, with a 16-bit cache, the queries to 16 bits.
        options.flash_attn_type = 0
        # One buffer: a continuation then shares the image's slots instead of copying them.
        options.kv_unified = True
        return options

    def _check_heeded(self, threads: int, num_tokens: int) -> None:
        heeded = {
            "llama_n_batch": num_tokens,
            "llama_n_ubatch": min(num_tokens, 512),
            "llama_n_seq_max": MAX_SEQUENCES,
            "llama_n_threads": threads,
        }
        for name, expected in heeded.items():
            found = getattr(self._library, name)(self._context)
            if found != expected:
                raise ModelError(f"llama.cpp was told {expected} and says {found} ({name}).")

    def _put_on_top(self, adapter: Path, model: int) -> None:
        """Add an adapter to every product; it is freed with the model."""
        LOG.error = ""
        loaded = self._library.llama_adapter_lora_init(model, str(adapter).encode())
        one, whole = (ctypes.c_void_p * 1)(loaded), (ctypes.c_float * 1)(1.0)
        if not loaded or self._library.llama_set_adapters_lora(self._context, one, 1, whole):
            raise ModelError(f"llama.cpp cannot load the adapter '{adapter}': {LOG.error}.")

    def close(self) -> None:
        """Free the model; nothing of it can be used afterwards."""
        self._free()

    @property
    def _context(self) -> int:
        """What C knows the cache by; never once it is freed, which C would not notice."""
        if not self._free.alive:
            raise RuntimeError("The model is closed.")
        opened: int = self._opened
        return opened

    @property
    def _memory(self) -> int:
        memory: int = self._library.llama_get_memory(self._context)
        return memory

    def read(self, texts: Sequence[Text]) -> Floats:
        """Read tokens: the logits behind each text's last, shape (texts, vocabulary)."""
        lengths = [len(text.ids) for text in texts]
        ids = np.concatenate([np.asarray(text.ids, np.int32) for text in texts])
        positions = np.concatenate([text.start + np.arange(len(text.ids)) for text in texts])
        sequences = np.repeat([text.sequence for text in texts], lengths)
        last = np.cumsum(lengths) - 1
        self._decode(positions, sequences, last, tokens=ids)
        return np.stack([self._logits(int(index)) for index in last])

    def read_embeddings(self, embeddings: Floats, *, sequence: int, start: int) -> None:
        """Read what stands in place of words, shape (tokens, hidden)."""
        if embeddings.shape[1] != self.hidden_size:
            raise ModelError(
                f"The image tokens have {embeddings.shape[1]} values and the language model reads "
                f"{self.hidden_size}; the build's files do not belong together."
            )
        count = len(embeddings)
        positions = start + np.arange(count)
        sequences = np.full(count, sequence)
        self._decode(positions, sequences, np.array([], np.int64), embeddings=embeddings)

    def continue_from(self, kept: int, sequence: int) -> None:
        """Let a sequence begin as another one; nothing is computed or copied."""
        self._library.llama_memory_seq_rm(self._memory, sequence, _ALL, _ALL)
        self._library.llama_memory_seq_cp(self._memory, kept, sequence, _ALL, _ALL)

    def forget(self, sequence: int) -> None:
        """Free a sequence's slots, but for those it shares."""
        self._library.llama_memory_seq_rm(self._memory, sequence, _ALL, _ALL)

    def forget_all(self) -> None:
        """Free every slot."""
        self._library.llama_memory_clear(self._memory, False)

    def save(self, sequence: int) -> bytes:
        """A sequence's part of the cache."""
        size = self._library.llama_state_seq_get_size(self._context, sequence)
        state = np.empty(size, np.uint8)
        self._library.llama_state_seq_get_data(self._context, state.ctypes.data, size, sequence)
        return state.tobytes()

    def restore(self, sequence: int, state: bytes) -> None:
        """Put back what `save` gave."""
        values = np.frombuffer(state, np.uint8)
        read = self._library.llama_state_seq_set_data(
            self._context, values.ctypes.data, values.size, sequence
        )
        assert read == values.size, LOG.error

    def _logits(self, index: int) -> Floats:
        """Logits of one of the tokens read last; they hold until more is read."""
        pointer = self._library.llama_get_logits_ith(self._context, index)
        return np.ctypeslib.as_array(pointer, (self.vocab_size,))

    def _decode(
        self,
        positions: npt.NDArray[np.integer[Any]],
        sequences: npt.NDArray[np.integer[Any]],
        outputs: npt.NDArray[np.integer[Any]],
        *,
        tokens: Integers | None = None,
        embeddings: Floats | None = None,
    ) -> None:
        positions = np.ascontiguousarray(positions, np.int32)
        # Every token belongs to one sequence: a pointer to one number each.
        sequences = np.ascontiguousarray(sequences, np.int32)
        pointers = sequences.ctypes.data + sequences.itemsize * np.arange(len(sequences))
        pointers = pointers.astype(np.uint64)
        ones = np.ones(len(positions), np.int32)
        is_output = np.zeros(len(positions), np.int8)
        is_output[outputs] = 1
        embeddings = None if embeddings is None else np.ascontiguousarray(embeddings, np.float32)
        batch = Batch(
            n_tokens=len(positions),
            token=None if tokens is None else tokens.ctypes.data,
            embd=None if embeddings is None else embeddings.ctypes.data,
            pos=positions.ctypes.data,
            n_seq_id=ones.ctypes.data,
            seq_id=pointers.ctypes.data,
            logits=is_output.ctypes.data,
        )
        LOG.error = ""
        code = self._library.llama_decode(self._context, batch)
        if code != 0:
            raise RuntimeError(f"llama_decode gave {code}: {LOG.error}")


def _free(library: Any, context: int, model: int) -> None:
    library.llama_free(context)
    library.llama_model_free(model)
