"""How a safetensors file begins: what writes one tensor by tensor writes this first."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence


def safetensors_start(
    tensors: Iterable[tuple[str, str, Sequence[int], int]], metadata: Mapping[str, str]
) -> bytes:
    """Header length, header, and blanks up to a multiple of eight bytes.

    Args:
        tensors: Name, type by safetensors' name, shape and bytes of each, in the file's order.
        metadata: Words that the file carries.

    Source:
        The format: eight bytes of header length, the header as JSON, the values.
    """
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    end = 0
    for name, dtype, shape, num_bytes in tensors:
        start, end = end, end + num_bytes
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
