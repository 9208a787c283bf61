"""GGUF headers: what the checker refuses, and what it says."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gguf
import pytest
from tests import tiny
from tests.models.mutations import mutations

from tinymed.errors import ModelError
from tinymed.models.headers.gguf_header import check_gguf

UINT32, BOOL, TEXT, LIST = 4, 7, 8, 9
F32, Q8_0 = 0, 8


def text(value: str | bytes) -> bytes:
    content = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(content)) + content


def field(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def texts(*values: str) -> bytes:
    return struct.pack("<IQ", TEXT, len(values)) + b"".join(map(text, values))


def tensor(
    name: str | bytes = "w", *, shape: tuple[int, ...] = (8,), kind: int = F32, start: int = 0
) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, start)


def file(
    *,
    fields: tuple[bytes, ...] = (),
    tensors: tuple[bytes, ...] = (tensor(),),
    version: int = 3,
    counts: tuple[int, int] | None = None,
    num_data_bytes: int = 64,
) -> bytes:
    num_tensors, num_fields = counts or (len(tensors), len(fields))
    head = b"GGUF" + struct.pack("<IQQ", version, num_tensors, num_fields)
    head += b"".join(fields) + b"".join(tensors)
    return head + bytes(-len(head) % 32) + bytes(num_data_bytes)


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(
        file(
            fields=(
                field("general.architecture", TEXT, text("llama")),
                field("tokenizer.ggml.tokens", LIST, texts("a", "b")),
                field("general.alignment", UINT32, struct.pack("<I", 32)),
            ),
            tensors=(tensor("a"), tensor("b", shape=(32, 1), kind=Q8_0, start=32)),
            num_data_bytes=32 + 34,
        )
    )
    header = check_gguf(path)
    assert (header.version, header.architecture) == (3, "llama")
    assert header.keys == ("general.architecture", "tokenizer.ggml.tokens", "general.alignment")
    assert [(one.name, one.shape, one.num_bytes) for one in header.tensors] == [
        ("a", (8,), 32),
        ("b", (32, 1), 34),
    ]
    assert header.data_start % 32 == 0


def nested(depth: int) -> bytes:
    value = struct.pack("<IQ", UINT32, 0)
    for _ in range(depth - 1):
        value = struct.pack("<IQ", LIST, 1) + value
    return field("deep", LIST, value)


ALIGNMENT = "general.alignment"
REFUSED: dict[str, tuple[bytes, str]] = {
    "another kind of file": (b"PK\3\4" + bytes(60), "does not begin with 'GGUF'"),
    "an empty file": (b"", "it ends inside its first word"),
    "version 1": (file(version=1), "its version is 1"),
    "big-endian": (file(version=3 << 24), "its version is 50331648"),
    "tensors without end": (file(counts=(2**63, 0)), "it states 9223372036854775808 tensors"),
    "fields without end": (file(counts=(0, 2**64 - 1)), "it states 18446744073709551615 fields"),
    "a key without end": (
        file(fields=(struct.pack("<Q", 2**62),), counts=(0, 1)),
        "a field's key has 4611686018427387904 bytes",
    ),
    "no key": (file(fields=(field("", BOOL, b"\1"),)), "a field's key has 0 bytes"),
    "a key that is not UTF-8": (
        file(fields=(text(b"\xff") + struct.pack("<IB", BOOL, 1),)),
        "a field's key is not UTF-8",
    ),
    "a key twice": (
        file(fields=(field("a", BOOL, b"\1"), field("a", BOOL, b"\0"))),
        "the field 'a' stands twice",
    ),
    "a reserved key": (file(fields=(field("GGUF.version", BOOL, b"\1"),)), "is reserved"),
    "an unknown type": (file(fields=(field("a", 13, b"\1"),)), "has the unknown type 13"),
    "a bool of two": (file(fields=(field("a", BOOL, b"\2"),)), "neither true nor false"),
    "a text without end": (
        file(fields=(field("a", TEXT, struct.pack("<Q", 2**63)),)),
        "'a' has 9223372036854775808 bytes",
    ),
    "a list without end": (
        file(fields=(field("a", LIST, struct.pack("<IQ", UINT32, 2**62)),)),
        "it ends inside the field 'a', which has 18446744073709551616 bytes",
    ),
    "texts without end": (
        file(fields=(field("a", LIST, struct.pack("<IQ", TEXT, 2**61)),)),
        "states 2305843009213693952 elements",
    ),
    "a list of an unknown type": (
        file(fields=(field("a", LIST, struct.pack("<IQ", 99, 1)),)),
        "a list of the unknown type 99",
    ),
    "three lists in one another": (file(fields=(nested(3),)), "nested deeper than 2"),
    "an alignment of three": (
        file(fields=(field(ALIGNMENT, UINT32, struct.pack("<I", 3)),)),
        "3 is not a power of two",
    ),
    "an alignment of nought": (
        file(fields=(field(ALIGNMENT, UINT32, bytes(4)),)),
        "its alignment is 0",
    ),
    "an alignment that is true": (file(fields=(field(ALIGNMENT, BOOL, b"\1"),)), "has the type 7"),
    "a token twice": (
        file(fields=(field("tokenizer.ggml.tokens", LIST, texts("a", "b", "a")),)),
        "holds a text twice",
    ),
    "a token with a zero": (
        file(fields=(field("tokenizer.ggml.tokens", LIST, texts("a", "b\0")),)),
        "holds a zero inside a text",
    ),
    "tokens that are numbers": (
        file(fields=(field("tokenizer.ggml.tokens", LIST, struct.pack("<IQ", UINT32, 0)),)),
        "is not a list of texts",
    ),
    "513 layers": (
        file(fields=(field("llama.block_count", UINT32, struct.pack("<I", 513)),)),
        "'llama.block_count' is 513; 1 to 512",
    ),
    "a name of 64 bytes": (file(tensors=(tensor("n" * 64),)), "a tensor's name has 64 bytes"),
    "a name twice": (file(tensors=(tensor(), tensor(start=32))), "two tensors have one name"),
    "no dimension": (file(tensors=(tensor(shape=()),)), "has 0 dimensions"),
    "five dimensions": (file(tensors=(tensor(shape=(1,) * 5),)), "has 5 dimensions"),
    "a size of nought": (file(tensors=(tensor(shape=(8, 0)),)), "is nought or overflows"),
    "a product that overflows": (
        file(tensors=(tensor(shape=(2**32, 2**32)),)),
        "is nought or overflows",
    ),
    "a removed type": (file(tensors=(tensor(kind=4),)), "has the unknown type 4"),
    "a row that is no whole blocks": (
        file(tensors=(tensor(shape=(8,), kind=Q8_0),)),
        "has rows of 8, which is no multiple of 32",
    ),
    "a norm in blocks": (
        file(tensors=(tensor(shape=(32,), kind=Q8_0),)),
        "has one dimension and is stored in blocks",
    ),
    "an offset between": (file(tensors=(tensor(start=16),)), "16, not a multiple of 32"),
    "an overlap": (
        file(tensors=(tensor("a", shape=(16,)), tensor("b", start=32))),
        "'b' begins at data byte 32, inside the one before it",
    ),
    "an end beyond the file": (file(tensors=(tensor(shape=(17,)),)), r"of a file of \d+"),
    "an offset that overflows": (file(tensors=(tensor(start=2**64 - 32),)), r"of a file of \d+"),
}


@pytest.mark.parametrize("what", sorted(REFUSED))
def test_a_header_that_lies_is_refused_with_the_place(what: str, tmp_path: Path) -> None:
    content, message = REFUSED[what]
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        check_gguf(path)
    assert str(caught.value).startswith(f"'{path}' is not a whole GGUF file: ")


def test_a_file_cut_anywhere_in_its_header_is_refused(tmp_path: Path) -> None:
    content = file(fields=(field("tokens", LIST, texts("a", "bc")), nested(2)))
    path = tmp_path / "cut.gguf"
    for length in range(len(content) - 64):
        path.write_bytes(content[:length])
        with pytest.raises(ModelError, match="is not a whole GGUF file"):
            check_gguf(path)


class _LlamaWriter(gguf.GGUFWriter):
    """With the two fields that llama.cpp asks of a Llama beyond those that tinymed reads."""

    def add_block_count(self, length: int) -> None:
        super().add_block_count(length)
        self.add_context_length(64)
        self.add_rope_dimension_count(8)


def in_a_process_of_its_own(load: Callable[[], None]) -> int:
    """What a child ends with: 0 opened, 3 refused, and less than 0 is the signal it died of."""
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        try:
            load()
        except RuntimeError:
            os._exit(3)
        except BaseException:  # noqa: BLE001  pytest must not go on in the child
            os._exit(4)
        os._exit(0)  # at once: a server's own end may wait for ever
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


_LOAD_EACH = """
import json, sys
import xllamacpp
from tests.models.test_headers_gguf import in_a_process_of_its_own

def load(path):
    parameters = xllamacpp.CommonParams()
    parameters.model.path = path
    parameters.port = 0
    parameters.n_ctx = 64
    parameters.n_parallel = 1
    parameters.warmup = False
    parameters.cpuparams.n_threads = 1
    parameters.verbosity = 0
    servers.append(xllamacpp.Server(parameters))

servers = []
paths = sys.argv[1:]
print(json.dumps({path: in_a_process_of_its_own(lambda: load(path)) for path in paths}))
"""


def test_llama_cpp_survives_what_the_checker_lets_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends the process on a token that stands twice, too many layers, a norm in blocks."""
    pytest.importorskip("xllamacpp")
    monkeypatch.setattr(tiny.gguf, "GGUFWriter", _LlamaWriter)
    source = tiny.write_tiny_gguf(tmp_path / "whole.gguf", tiny.tiny_tensors())
    content, passed = source.read_bytes(), [source]
    damaged = mutations(content, count=300, seed=3, header_bytes=check_gguf(source).data_start)
    for number, copy in enumerate(damaged):
        path = tmp_path / f"{number}.gguf"
        path.write_bytes(copy)
        try:
            check_gguf(path)
        except ModelError:
            path.unlink()
        else:
            passed.append(path)
    finished = subprocess.run(
        [sys.executable, "-c", _LOAD_EACH, *passed],
        cwd=Path(__file__).parent.parent.parent,
        env=os.environ | {"GGML_NO_BACKTRACE": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    ends: dict[str, int] = json.loads(finished.stdout)
    assert ends[str(source)] == 0
    assert len(ends) > 20
    assert {path: end for path, end in ends.items() if end not in (0, 3)} == {}
