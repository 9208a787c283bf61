"""llama.cpp's C library, as the package xllamacpp brings it, called without a compiler.

The package wraps llama.cpp's server; its one shared object exports the C interface of
`llama.h` as well. A structure that is passed to C must have the layout of exactly that
llama.cpp: so only one version of the package is taken, and its answers are checked.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.metadata
import importlib.util
from ctypes import POINTER, c_bool, c_char_p, c_float, c_int32, c_int64, c_size_t, c_void_p
from pathlib import Path
from typing import Any, ClassVar

from tinymed.errors import MissingExtraError, ModelError

PACKAGE = "xllamacpp"
VERSION = "2026.10.11549"
"""llama.cpp b11549, whose `llama.h` the structures below repeat."""

F32, F16 = 0, 1
"""ggml's numbers of these types."""
ERROR_LEVEL = 4
"""ggml's log level of an error."""


class ModelParams(ctypes.Structure):
    """llama.h: `llama_model_params`."""

    _fields_: ClassVar = [
        ("devices", c_void_p),
        ("tensor_buft_overrides", c_void_p),
        ("n_gpu_layers", c_int32),
        ("split_mode", c_int32),
        ("load_mode", c_int32),
        ("lazy_mode", c_int32),
        ("main_gpu", c_int32),
        ("tensor_split", c_void_p),
        ("progress_callback", c_void_p),
        ("progress_callback_user_data", c_void_p),
        ("kv_overrides", c_void_p),
        ("vocab_only", c_bool),
        ("check_tensors", c_bool),
        ("use_extra_bufts", c_bool),
        ("no_host", c_bool),
        ("no_alloc", c_bool),
        ("load_mtp", c_bool),
    ]


class ContextParams(ctypes.Structure):
    """llama.h: `llama_context_params`."""

    _fields_: ClassVar = [
        ("n_ctx", c_int32),
        ("n_batch", c_int32),
        ("n_ubatch", c_int32),
        ("n_seq_max", c_int32),
        ("n_rs_seq", c_int32),
        ("n_outputs_max", c_int32),
        ("n_outputs_max_per_seq", c_int32),
        ("n_threads", c_int32),
        ("n_threads_batch", c_int32),
        ("ctx_type", c_int32),
        ("rope_scaling_type", c_int32),
        ("pooling_type", c_int32),
        ("attention_type", c_int32),
        ("flash_attn_type", c_int32),
        ("rope_freq_base", c_float),
        ("rope_freq_scale", c_float),
        ("yarn_ext_factor", c_float),
        ("yarn_attn_factor", c_float),
        ("yarn_beta_fast", c_float),
        ("yarn_beta_slow", c_float),
        ("yarn_orig_ctx", c_int32),
        ("defrag_thold", c_float),
        ("cb_eval", c_void_p),
        ("cb_eval_user_data", c_void_p),
        ("type_k", c_int32),
        ("type_v", c_int32),
        ("moe_cache_size", c_size_t),
        ("abort_callback", c_void_p),
        ("abort_callback_data", c_void_p),
        ("embeddings", c_bool),
        ("offload_kqv", c_bool),
        ("no_perf", c_bool),
        ("op_offload", c_bool),
        ("swa_full", c_bool),
        ("kv_unified", c_bool),
        ("samplers", c_void_p),
        ("n_samplers", c_size_t),
        ("ctx_other", c_void_p),
    ]


class Batch(ctypes.Structure):
    """llama.h: `llama_batch`."""

    _fields_: ClassVar = [
        ("n_tokens", c_int32),
        ("token", c_void_p),
        ("embd", c_void_p),
        ("pos", c_void_p),
        ("n_seq_id", c_void_p),
        ("seq_id", c_void_p),
        ("logits", c_void_p),
    ]


MODEL_DEFAULTS = {
    "n_gpu_layers": -1,
    "split_mode": 1,
    "load_mode": -1,
    "lazy_mode": 1,
    "tensor_split": None,
    "kv_overrides": None,
    "check_tensors": False,
    "use_extra_bufts": True,
    "no_host": False,
}
CONTEXT_DEFAULTS = {
    "n_ctx": 512,
    "n_batch": 2048,
    "n_ubatch": 512,
    "n_seq_max": 1,
    "n_outputs_max_per_seq": 1,
    "rope_scaling_type": -1,
    "flash_attn_type": -1,
    "yarn_ext_factor": -1.0,
    "yarn_beta_slow": -1.0,
    "defrag_thold": -1.0,
    "cb_eval": None,
    "type_k": F16,
    "type_v": F16,
    "abort_callback": None,
    "embeddings": False,
    "offload_kqv": True,
    "no_perf": True,
    "op_offload": True,
    "swa_full": True,
    "kv_unified": False,
    "samplers": None,
    "n_samplers": 0,
}
"""What llama.cpp fills in: a structure of another layout would not show these."""

_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "llama_backend_init": (None, []),
    "llama_model_default_params": (ModelParams, []),
    "llama_context_default_params": (ContextParams, []),
    "llama_model_load_from_file": (c_void_p, [c_char_p, ModelParams]),
    "llama_model_free": (None, [c_void_p]),
    "llama_adapter_lora_init": (c_void_p, [c_void_p, c_char_p]),
    "llama_set_adapters_lora": (
        c_int32,
        [c_void_p, POINTER(c_void_p), c_size_t, POINTER(c_float)],
    ),
    "llama_model_get_vocab": (c_void_p, [c_void_p]),
    "llama_model_n_embd": (c_int32, [c_void_p]),
    "llama_vocab_n_tokens": (c_int32, [c_void_p]),
    "llama_tokenize": (
        c_int32,
        [c_void_p, c_char_p, c_int32, c_void_p, c_int32, c_bool, c_bool],
    ),
    "llama_init_from_model": (c_void_p, [c_void_p, ContextParams]),
    "llama_free": (None, [c_void_p]),
    "llama_n_ctx": (c_int32, [c_void_p]),
    "llama_n_batch": (c_int32, [c_void_p]),
    "llama_n_ubatch": (c_int32, [c_void_p]),
    "llama_n_seq_max": (c_int32, [c_void_p]),
    "llama_n_threads": (c_int32, [c_void_p]),
    "llama_get_memory": (c_void_p, [c_void_p]),
    "llama_memory_clear": (None, [c_void_p, c_bool]),
    "llama_memory_seq_rm": (c_bool, [c_void_p, c_int32, c_int32, c_int32]),
    "llama_memory_seq_cp": (None, [c_void_p, c_int32, c_int32, c_int32, c_int32]),
    "llama_state_seq_get_size": (c_size_t, [c_void_p, c_int32]),
    "llama_state_seq_get_data": (c_size_t, [c_void_p, c_void_p, c_size_t, c_int32]),
    "llama_state_seq_set_data": (c_size_t, [c_void_p, c_void_p, c_size_t, c_int32]),
    "llama_decode": (c_int32, [c_void_p, Batch]),
    "llama_get_logits_ith": (POINTER(c_float), [c_void_p, c_int32]),
    "ggml_quantize_chunk": (
        c_size_t,
        [c_int32, c_void_p, c_void_p, c_int64, c_int64, c_int64, c_void_p],
    ),
}


class Log:
    """Keeps llama.cpp from writing on stderr, and the first of its errors for our own message."""

    def __init__(self) -> None:
        self.error = ""
        """"" again before each call that may fail."""
        # Kept with the library: C calls it for as long as the process lives.
        self.callback = ctypes.CFUNCTYPE(None, c_int32, c_char_p, c_void_p)(self._write)

    def _write(self, level: int, text: bytes, _data: object) -> None:
        if level == ERROR_LEVEL and not self.error:
            self.error = text.decode(errors="replace").strip().rpartition(": ")[2]


LOG = Log()


@functools.cache
def llama() -> Any:
    """The library, with the signatures of what we call.

    Raises:
        MissingExtraError: If xllamacpp is not installed, or another version of it.
        ModelError: If it does not have the layout that its version should have.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise MissingExtraError(
            f"llama.cpp needs the package '{PACKAGE}'. Install it with: pip install 'tinymed[gguf]'"
        )
    version = importlib.metadata.version(PACKAGE)
    if version != VERSION:
        raise MissingExtraError(
            f"{PACKAGE} {version} is installed, and this version of tinymed calls llama.cpp as "
            f"{PACKAGE} {VERSION} has it. Install that with: pip install 'tinymed[gguf]'"
        )
    (path,) = Path(found.origin).parent.glob("xllamacpp.*")
    library = ctypes.CDLL(str(path))
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    library.llama_log_set(LOG.callback, None)
    library.llama_backend_init()
    check_layout(library.llama_model_default_params(), MODEL_DEFAULTS)
    check_layout(library.llama_context_default_params(), CONTEXT_DEFAULTS)
    return library


def check_layout(filled: ctypes.Structure, expected: dict[str, Any]) -> None:
    """Refuse a structure whose fields do not hold what llama.cpp put into them.

    Raises:
        ModelError: If one does not; calling on would corrupt memory.
    """
    for name, value in expected.items():
        if getattr(filled, name) != value:
            raise ModelError(
                f"The installed {PACKAGE} is not what its version says: {type(filled).__name__}."
                f"{name} is {getattr(filled, name)}, not {value}. Install it again."
            )
