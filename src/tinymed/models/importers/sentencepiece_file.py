"""A tokenizer out of a SentencePiece file, without the sentencepiece package.

Checkpoints of the LLaVA family carry `tokenizer.model` alone, and transformers needs another
package to read it. What Llama's tokenizer needs of the file is small: the pieces, their
scores and kinds.

Source:
    sentencepiece_model.proto of google/sentencepiece; protobuf's wire format.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from tinymed.errors import ModelError

SPACE = "▁"
BPE = 2
"""SentencePiece's number of the model type."""
UNKNOWN, CONTROL, USER_DEFINED = 2, 3, 4
"""Kinds of pieces that are never found by merging."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One entry of the vocabulary; its id is its place."""

    text: str
    score: float
    kind: int


def read_pieces(path: Path) -> list[Piece]:
    """The vocabulary of a SentencePiece BPE model.

    Raises:
        ModelError: If the file is damaged or of another model type.
    """
    try:
        fields = list(_fields(path.read_bytes()))
        pieces = [_piece(value) for number, value in fields if number == 1]
        kinds = [_kind(value) for number, value in fields if number == 2]  # noqa: PLR2004
    except (OSError, IndexError, ValueError, TypeError, struct.error) as error:
        raise ModelError(f"'{path}' is no readable SentencePiece model: {error}.") from error
    if kinds != [BPE] or not pieces:
        raise ModelError(f"'{path}' is no SentencePiece model of Llama's kind, which merges pairs.")
    return pieces


def llama_tokenizer(path: Path, *, legacy: bool) -> Tokenizer:
    """Llama's tokenizer, without the token that opens a text.

    Args:
        path: Its tokenizer.model.
        legacy: Whether a space is set before each stretch of text between special tokens, as
            in the first versions of transformers' class, and not only before the first one.

    Where it is not, a stretch that begins with a line break still gets the space: LLaVA's code
    cuts its prompt at the image and tokenizes the rest, "\\nquestion", as a text of its own.
    """
    pieces = read_pieces(path)
    vocabulary = {piece.text: index for index, piece in enumerate(pieces)}
    tokenizer = Tokenizer(
        models.BPE(
            vocab=vocabulary,
            merges=_merges(pieces, vocabulary),
            unk_token=next(piece.text for piece in pieces if piece.kind == UNKNOWN),
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    if legacy:
        prefixed = [normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)]
        tokenizer.normalizer = normalizers.Sequence(prefixed)
    else:
        tokenizer.normalizer = normalizers.Replace(Regex(r"^\n"), " \n")
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(
            replacement=SPACE, prepend_scheme="first", split=False
        )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace(SPACE, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(content=" ", left=1),
        ]
    )
    tokenizer.add_special_tokens(
        [
            AddedToken(piece.text, special=True, normalized=False)
            for piece in pieces
            if piece.kind in (UNKNOWN, CONTROL)
        ]
    )
    tokenizer.add_tokens(
        [AddedToken(piece.text, normalized=False) for piece in pieces if piece.kind == USER_DEFINED]
    )
    return tokenizer


def _merges(pieces: list[Piece], vocabulary: dict[str, int]) -> list[tuple[str, str]]:
    """Pairs in the order in which SentencePiece would join them: best piece first."""
    never = {piece.text for piece in pieces if piece.kind in (UNKNOWN, CONTROL, USER_DEFINED)}
    pairs = []
    for piece in sorted(pieces, key=lambda piece: -piece.score):
        if piece.text in never:
            continue
        cuts = range(1, len(piece.text))
        splits = [(piece.text[:cut], piece.text[cut:]) for cut in cuts]
        known = [pair for pair in splits if pair[0] in vocabulary and pair[1] in vocabulary]
        pairs += sorted(known, key=lambda pair: (vocabulary[pair[0]], vocabulary[pair[1]]))
    return pairs


def _piece(content: bytes | int) -> Piece:
    text, score, kind = "", 0.0, 1
    for number, value in _fields(content):
        if number == 1 and isinstance(value, bytes):
            text = value.decode()
        elif number == 2 and isinstance(value, bytes):  # noqa: PLR2004
            (score,) = struct.unpack("<f", value)
        elif number == 3 and isinstance(value, int):  # noqa: PLR2004
            kind = value
    return Piece(text=text, score=score, kind=kind)


def _kind(content: bytes | int) -> int:
    """The model type that a trainer's record names; unigram where it names none."""
    for number, value in _fields(content):
        if number == 3 and isinstance(value, int):  # noqa: PLR2004
            return value
    return 1


def _fields(content: bytes | int) -> Iterator[tuple[int, bytes | int]]:
    """Numbers and values of a protobuf message's fields."""
    if isinstance(content, int):
        raise TypeError("a number stands where a record should")
    position = 0
    while position < len(content):
        key, position = _varint(content, position)
        wire = key & 7
        if wire == 0:
            value, position = _varint(content, position)
            yield key >> 3, value
            continue
        if wire == 2:  # noqa: PLR2004
            size, position = _varint(content, position)
        else:
            size = {1: 8, 5: 4}[wire] if wire in (1, 5) else _refuse_wire(wire)
        if position + size > len(content):
            raise ValueError("it ends inside a field")
        yield key >> 3, content[position : position + size]
        position += size


def _refuse_wire(wire: int) -> int:
    raise ValueError(f"it has a field of wire type {wire}")


def _varint(content: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:  # noqa: PLR2004
            return value, position
