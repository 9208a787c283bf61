"""A process of its own: damages a file many times, and opens what the checker lets through.

Arguments: "safetensors" or "gguf", the file, how many times, a folder to write to. Prints one
JSON object: how many were refused, opened and escaped, the slowest check in CPU seconds, and
by how many MiB the process grew.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings
from pathlib import Path

from gguf import GGUFReader
from safetensors import safe_open
from tests.models.mutations import mutations

from tinymed.errors import ModelError
from tinymed.models.headers.gguf_header import check_gguf
from tinymed.models.headers.safetensors_header import check_safetensors


def open_safetensors(path: Path) -> None:
    with safe_open(str(path), framework="np") as file:
        file.metadata()
        for name in file.keys():  # noqa: SIM118
            file.get_slice(name).get_shape()


def open_gguf(path: Path) -> None:
    for tensor in GGUFReader(path).tensors:
        assert tensor.data.nbytes == tensor.n_bytes


HEADER_BYTES = {
    "safetensors": lambda content, _: 8 + int.from_bytes(content[:8], "little"),
    "gguf": lambda _, path: check_gguf(path).data_start,
}


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    kind, source, count, folder = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    check, read = {
        "safetensors": (check_safetensors, open_safetensors),
        "gguf": (check_gguf, open_gguf),
    }[kind]
    warnings.simplefilter("ignore")  # numpy's, of numbers that the damage made absurd
    content, path = source.read_bytes(), Path(folder) / "damaged"
    refused, opened, slowest_s = 0, 0, 0.0
    escaped = []
    num_header_bytes = HEADER_BYTES[kind](content, source)
    read(source)
    before = peak_mib()
    for number, damaged in enumerate(
        mutations(content, count=count, seed=count, header_bytes=num_header_bytes)
    ):
        path.write_bytes(damaged)
        start = time.process_time()
        try:
            check(path)
        except ModelError:
            refused += 1
            continue
        finally:
            slowest_s = max(slowest_s, time.process_time() - start)
        try:
            read(path)
            opened += 1
        except Exception as error:  # noqa: BLE001  whatever it is, it escaped
            kept = Path(folder) / f"escaped-{number}"
            kept.write_bytes(damaged)
            escaped.append(f"{kept}: {error!r}")
    outcome = {
        "refused": refused,
        "opened": opened,
        "escaped": escaped,
        "slowest_s": slowest_s,
        "grown_mib": peak_mib() - before,
    }
    sys.stdout.write(json.dumps(outcome) + "\n")


if __name__ == "__main__":
    main()
