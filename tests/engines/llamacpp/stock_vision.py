"""What a stock llama.cpp makes of an image: its multimodal library, called as its tools do."""

from __future__ import annotations

import ctypes
from ctypes import c_bool, c_char_p, c_int32, c_size_t, c_uint32, c_void_p
from pathlib import Path
from typing import ClassVar

import numpy as np

from tinymed.engines.llamacpp.library import LOG, ModelParams, llama


class ContextParams(ctypes.Structure):
    _fields_: ClassVar = [
        ("use_gpu", c_bool),
        ("device", c_void_p),
        ("print_timings", c_bool),
        ("n_threads", c_int32),
        ("image_marker", c_char_p),
        ("media_marker", c_char_p),
        ("flash_attn_type", c_int32),
        ("warmup", c_bool),
        ("image_min_tokens", c_int32),
        ("image_max_tokens", c_int32),
        ("cb_eval", c_void_p),
        ("cb_eval_user_data", c_void_p),
        ("batch_max_tokens", c_int32),
        ("progress_callback", c_void_p),
        ("progress_callback_user_data", c_void_p),
    ]


class InputText(ctypes.Structure):
    _fields_: ClassVar = [
        ("text", c_char_p),
        ("text_len", c_size_t),
        ("add_special", c_bool),
        ("parse_special", c_bool),
    ]


def stock_image_tokens(
    language: Path, mmproj: Path, pixels: np.ndarray, *, num_tokens: int
) -> np.ndarray:
    """Image tokens, shape (tokens, hidden), of an image of shape (height, width, 3) in 8 bits."""
    library = llama()
    functions = {
        "mtmd_log_set": (None, [c_void_p, c_void_p]),
        "mtmd_context_params_default": (ContextParams, []),
        "mtmd_init_from_file": (c_void_p, [c_char_p, c_void_p, ContextParams]),
        "mtmd_bitmap_init": (c_void_p, [c_uint32, c_uint32, c_char_p]),
        "mtmd_input_chunks_init": (c_void_p, []),
        "mtmd_input_chunks_get": (c_void_p, [c_void_p, c_size_t]),
        "mtmd_tokenize": (c_int32, [c_void_p, c_void_p, c_void_p, c_void_p, c_size_t]),
        "mtmd_encode_chunk": (c_int32, [c_void_p, c_void_p]),
        "mtmd_get_output_embd": (ctypes.POINTER(ctypes.c_float), [c_void_p]),
        "mtmd_input_chunks_free": (None, [c_void_p]),
        "mtmd_bitmap_free": (None, [c_void_p]),
        "mtmd_free": (None, [c_void_p]),
    }
    for name, (result, arguments) in functions.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    library.mtmd_log_set(ctypes.cast(LOG.callback, c_void_p), None)
    params: ModelParams = library.llama_model_default_params()
    model = library.llama_model_load_from_file(str(language).encode(), params)
    assert model, LOG.error
    options = library.mtmd_context_params_default()
    options.use_gpu, options.warmup, options.n_threads = False, False, 1
    assert options.media_marker == b"<__media__>"  # the layout is right
    context = library.mtmd_init_from_file(str(mmproj).encode(), model, options)
    assert context, LOG.error
    height, width, _ = pixels.shape
    bitmap = library.mtmd_bitmap_init(width, height, np.ascontiguousarray(pixels).tobytes())
    chunks = library.mtmd_input_chunks_init()
    text = InputText(b"<__media__>", len(b"<__media__>"), False, True)
    bitmaps = (c_void_p * 1)(bitmap)
    assert library.mtmd_tokenize(context, chunks, ctypes.byref(text), bitmaps, 1) == 0
    chunk = library.mtmd_input_chunks_get(chunks, 0)
    assert library.mtmd_encode_chunk(context, chunk) == 0
    hidden = library.llama_model_n_embd(model)
    tokens = np.ctypeslib.as_array(library.mtmd_get_output_embd(context), (num_tokens, hidden))
    tokens = tokens.copy()
    library.mtmd_input_chunks_free(chunks)
    library.mtmd_bitmap_free(bitmap)
    library.mtmd_free(context)
    library.llama_model_free(model)
    return tokens
