"""What may be part of a model that came from outside; pickle may not."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from tinymed.errors import ModelError
from tinymed.models.headers.gguf_header import check_gguf
from tinymed.models.headers.safetensors_header import check_safetensors

WEIGHTS = (".safetensors", ".gguf")
TEXTS = (".json", ".jinja", ".txt", ".md", ".toml", ".model", ".xml")
"""Configuration, tokenizer, template, licence, graph; `.model` is a tokenizer's."""
DOCUMENTS = ("readme", "license", "licence", "notice", "copying")
"""Names of files that need no ending."""
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".dill")
"""Endings under which pickle comes; an OpenVINO graph's `.bin` is plain numbers."""
_ZIP = b"PK\x03\x04"
_PICKLE_PROTOCOLS = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))


def is_pickle_name(name: str, others: frozenset[str] | set[str]) -> bool:
    """Whether a file of this name is taken for pickle, beside these others.

    >>> is_pickle_name("pytorch_model.bin", {"config.json"})
    True
    >>> is_pickle_name("language.bin", {"language.xml"})
    False
    """
    path = PurePosixPath(name)
    is_graphs = path.suffix.lower() == ".bin" and str(path.with_suffix(".xml")) in others
    return path.suffix.lower() in PICKLES and not is_graphs


def is_admitted_name(name: str) -> bool:
    """Whether a file of this name may be part of a model, pickle apart.

    >>> [is_admitted_name(name) for name in ("LICENSE", "model.gguf", "modeling_x.py")]
    [True, True, False]
    """
    path = PurePosixPath(name)
    if path.suffix.lower() in (*WEIGHTS, *TEXTS, ".npy", ".bin"):
        return True
    return not path.suffix and path.name.lower().startswith(DOCUMENTS)


def admit(path: Path) -> None:
    """Refuse a file that may not be part of a model, by its content as well as its name.

    Raises:
        ModelError: If it is or may be pickle, its header is not what its format prescribes,
            or it is of no kind that a model is made of.
    """
    name = path.name
    if is_pickle_name(name, {sibling.name for sibling in path.parent.glob("*.xml")}):
        raise ModelError(_pickle(path))
    if not is_admitted_name(name):
        raise ModelError(
            f"'{path}' is no file of a model: weights are safetensors or GGUF, the rest JSON and "
            "text. Remove it."
        )
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        check_safetensors(path)
    elif suffix == ".gguf":
        check_gguf(path)
    elif suffix == ".npy":
        _check_array(path)
    elif suffix != ".bin":
        with path.open("rb") as file:
            begin = file.read(len(_ZIP))
        if begin == _ZIP or begin.startswith(_PICKLE_PROTOCOLS):
            raise ModelError(_pickle(path))


def _check_array(path: Path) -> None:
    """Refuse an array of Python objects, which numpy keeps as pickle, or of another size."""
    import math

    from numpy.lib import format as npy

    try:
        with path.open("rb") as file:
            version = npy.read_magic(file)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, _, dtype = read(file)
            num_bytes = path.stat().st_size - file.tell()
    except (ValueError, OSError) as error:
        raise ModelError(f"'{path}' is not a whole array file: {error}.") from error
    if dtype.hasobject:
        raise ModelError(_pickle(path))
    if math.prod(shape) * dtype.itemsize != num_bytes:
        raise ModelError(
            f"'{path}' is not a whole array file: its shape {shape} needs "
            f"{math.prod(shape) * dtype.itemsize} bytes, and {num_bytes} are there."
        )


def _pickle(path: Path) -> str:
    return (
        f"'{path}' is, or may be, pickle, which can run any code when it is opened. Ask its "
        "publisher for safetensors, or convert it where you trust it; tinymed does not take it."
    )
