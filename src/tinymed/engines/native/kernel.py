"""The operations in C, for the kind of processor this is.

The library is compiled when tinymed is installed, where there is a C compiler, and is called
through ctypes: it knows nothing of Python.
"""

from __future__ import annotations

import ctypes
import functools
import weakref
from ctypes import POINTER, c_char, c_char_p, c_float, c_int, c_int32, c_int64, c_void_p
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any, ClassVar

import numpy.typing as npt

from tinymed.engines.native.ops import PART, Cache, Floats, Heads, Places
from tinymed.engines.native.packed import PackedMatrix

NAME = "_kernel"
ACTIVATIONS = {"quick_gelu": 0, "gelu": 1, "gelu_tanh": 2}
"""kernel.h's numbers."""


class _Matrix(ctypes.Structure):
    """kernel.h: `matrix`."""

    _fields_: ClassVar = [
        ("bits", c_int32),
        ("rows", c_int32),
        ("columns", c_int32),
        ("blocks", c_int32),
        ("groups", c_int32),
        ("stride", c_int64),
        ("data", c_void_p),
        ("bias", c_void_p),
    ]


class _Cache(ctypes.Structure):
    """kernel.h: `cache`."""

    _fields_: ClassVar = [
        ("rows", c_int32),
        ("parts", c_int32),
        ("keys", c_void_p),
        ("values", c_void_p),
    ]


class _Heads(ctypes.Structure):
    """kernel.h: `heads`."""

    _fields_: ClassVar = [
        ("num_heads", c_int32),
        ("num_kv_heads", c_int32),
        ("size", c_int32),
        ("padded", c_int32),
    ]


def kernel_problem() -> str | None:
    """Why the kernel cannot be used here; None where it can."""
    path = _library_path()
    if path is None:
        return "tinymed was installed where there was no C compiler"
    try:
        _library()
    except (OSError, AttributeError) as error:
        return f"'{path}' cannot be loaded ({error})"
    return None


def kernel_kinds() -> list[str]:
    """Kinds of operations that this processor can run, best first, such as "AVX-512"."""
    library = _library()
    kinds: list[str] = []
    while (kind := library.tinymed_kind(len(kinds))) is not None:
        kinds.append(kind.decode())
    return kinds


class KernelOps:
    """Fulfils the Ops protocol. Not for two threads at once; freed when nobody holds it."""

    name = "kernel"

    def __init__(self, num_threads: int, *, kind: str | None = None) -> None:
        """Start the threads.

        Args:
            num_threads: This one among them.
            kind: One of `kernel_kinds()`; None for the best.

        Raises:
            RuntimeError: If the system gives no threads or no memory.
        """
        self.num_threads = num_threads
        self.kind = kind or kernel_kinds()[0]
        self._call = _library()
        opened = self._call.tinymed_open(num_threads, self.kind.encode())
        if not opened:
            raise RuntimeError(
                f"No {num_threads} threads, or no memory, for the {self.kind} kernel."
            )
        self._opened = c_void_p(opened)
        self._matrices: dict[int, tuple[PackedMatrix, _Matrix]] = {}
        weakref.finalize(self, self._call.tinymed_close, self._opened)

    def linear(self, values: Floats, matrix: PackedMatrix, out: Floats, *, add: bool) -> None:
        """`out = values @ matrix.T + matrix.bias`, or `out +=` that."""
        tokens, columns = values.shape
        assert (columns, out.shape) == (matrix.columns, (tokens, matrix.rows))
        _done(
            self._call.tinymed_linear(
                self._opened, _at(values), tokens, self._told(matrix), _at(out), add
            )
        )

    def rms_norm(self, values: Floats, weight: Floats, epsilon: float, out: Floats) -> None:
        """Root mean square norm of each row; shapes (tokens, width), (width,)."""
        tokens, width = values.shape
        assert (weight.shape, out.shape) == ((width,), values.shape)
        self._call.tinymed_rms_norm(
            self._opened, _at(values), tokens, width, _at(weight), epsilon, _at(out)
        )

    def layer_norm(
        self, values: Floats, weight: Floats, bias: Floats, epsilon: float, out: Floats
    ) -> None:
        """Layer norm of each row; shapes (tokens, width), (width,). `out` may be `values`."""
        tokens, width = values.shape
        assert (weight.shape, bias.shape, out.shape) == ((width,), (width,), values.shape)
        self._call.tinymed_layer_norm(
            self._opened, _at(values), tokens, width, _at(weight), _at(bias), epsilon, _at(out)
        )

    def gate(self, values: Floats, out: Floats) -> None:
        """SwiGLU: `silu(first half) * second half` of each row; (tokens, 2n) to (tokens, n)."""
        tokens, width = out.shape
        assert values.shape == (tokens, 2 * width)
        self._call.tinymed_gate(self._opened, _at(values), tokens, width, _at(out))

    def activate(self, values: Floats, name: str) -> None:
        """An activation in place: "quick_gelu", "gelu" (erf) or "gelu_tanh"."""
        tokens, width = values.shape
        self._call.tinymed_activate(self._opened, _at(values), tokens, width, ACTIVATIONS[name])

    def store(
        self,
        joint: Floats,
        heads: Heads,
        cache: Cache,
        *,
        rows: Places,
        places: Places,
        turns: tuple[Floats, Floats] | None,
    ) -> None:
        """Put the keys and values of new tokens into a cache; rotates keys and queries first."""
        tokens = len(joint)
        assert rows.shape == places.shape == (tokens,)
        assert turns is None or turns[0].shape == turns[1].shape == (tokens, heads.size // 2)
        cosines, sines = (None, None) if turns is None else (_at(turns[0]), _at(turns[1]))
        self._call.tinymed_store(
            self._opened,
            _at(joint),
            tokens,
            _heads(heads),
            _cache(cache, heads),
            _at(rows),
            _at(places),
            cosines,
            sines,
        )

    def attend(  # noqa: PLR0913 (the protocol's)
        self,
        joint: Floats,
        heads: Heads,
        own: Cache,
        out: Floats,
        *,
        rows: Places,
        visible: Places,
        shared: Cache | None,
        num_shared: int,
    ) -> None:
        """Attention of each token over what all rows share and over its own row, up to itself."""
        tokens = len(joint)
        assert rows.shape == visible.shape == (tokens,)
        assert out.shape == (tokens, heads.num_heads * heads.size)
        _done(
            self._call.tinymed_attend(
                self._opened,
                _at(joint),
                tokens,
                _heads(heads),
                _cache(own, heads),
                _at(rows),
                _at(visible),
                None if shared is None else _cache(shared, heads),
                num_shared,
                _at(out),
            )
        )

    def _told(self, matrix: PackedMatrix) -> Any:
        """A matrix as C is told of it; made once, because a token passes a hundred of them."""
        known = self._matrices.get(id(matrix))
        if known is not None:
            return known[1]
        assert matrix.data.flags.c_contiguous
        assert matrix.data.shape == (matrix.blocks, matrix.stride)
        told = _Matrix(
            bits=matrix.bits,
            rows=matrix.rows,
            columns=matrix.columns,
            blocks=matrix.blocks,
            groups=matrix.groups,
            stride=matrix.stride,
            data=_at(matrix.data),
            bias=None if matrix.bias is None else _at(matrix.bias),
        )
        self._matrices[id(matrix)] = (matrix, told)
        return told


def _at(values: npt.NDArray[Any]) -> int:
    """Where an array's numbers stand."""
    flags = values.flags
    assert flags.c_contiguous
    if flags.writeable and values.size:  # a quarter of the time, a thousand times a token
        buffer: Any = values
        return ctypes.addressof(c_char.from_buffer(buffer))
    address: int = values.__array_interface__["data"][0]
    return address


@functools.lru_cache(maxsize=16)
def _heads(heads: Heads) -> _Heads:
    return _Heads(heads.num_heads, heads.num_kv_heads, heads.size, heads.padded_size)


def _cache(cache: Cache, heads: Heads) -> _Cache:
    """A cache as C is told of it; made once, because each token passes it twice."""
    told = _CACHES.get(cache)
    if told is None:
        rows, num_kv_heads, parts, size, part = cache.keys.shape
        assert (num_kv_heads, size, part) == (heads.num_kv_heads, heads.size, PART)
        assert cache.values.shape == (rows, num_kv_heads, parts * PART, heads.padded_size)
        told = _Cache(rows, parts, _at(cache.keys), _at(cache.values))
        _CACHES[cache] = told
    return told


_CACHES: weakref.WeakKeyDictionary[Cache, _Cache] = weakref.WeakKeyDictionary()


def _done(code: int) -> None:
    if code != 0:
        raise MemoryError("No memory for what the kernel computes on the way.")


def _library_path() -> Path | None:
    """The library beside this file, whatever the system calls such files."""
    folder = Path(__file__).parent
    found = (folder / f"{NAME}{suffix}" for suffix in EXTENSION_SUFFIXES)
    return next((path for path in found if path.is_file()), None)


@functools.cache
def _library() -> Any:
    library = ctypes.CDLL(str(_library_path()))
    pointer, number = c_void_p, c_int
    given: dict[str, list[Any]] = {
        "linear": [pointer, number, POINTER(_Matrix), pointer, number],
        "rms_norm": [pointer, number, number, pointer, c_float, pointer],
        "layer_norm": [pointer, number, number, pointer, pointer, c_float, pointer],
        "gate": [pointer, number, number, pointer],
        "activate": [pointer, number, number, number],
        "store": [
            pointer, number, POINTER(_Heads), POINTER(_Cache), pointer, pointer, pointer, pointer,
        ],
        "attend": [
            pointer, number, POINTER(_Heads), POINTER(_Cache), pointer, pointer,
            POINTER(_Cache), number, pointer,
        ],
    }  # fmt: skip
    for name, types in given.items():
        function = getattr(library, f"tinymed_{name}")
        function.argtypes = [c_void_p, *types]
        function.restype = c_int
    library.tinymed_kind.argtypes, library.tinymed_kind.restype = [c_int], c_char_p
    library.tinymed_open.argtypes = [c_int, c_char_p]
    library.tinymed_open.restype = c_void_p
    library.tinymed_close.argtypes, library.tinymed_close.restype = [c_void_p], None
    return library
