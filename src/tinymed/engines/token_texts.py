"""What tokens stand for: bytes, and text where these are whole characters."""

from __future__ import annotations

from collections.abc import Callable

from tokenizers import Tokenizer, pre_tokenizers

from tinymed.engines.decoding import Alternative, ChosenToken

_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
"""What stands for a space in SentencePiece's tokens."""


class TokenTexts:
    """Tells tokens' text and bytes, of byte-level tokenizers and of SentencePiece's."""

    def __init__(
        self, tokenizer: Tokenizer, decode: Callable[[list[int]], str] | None = None
    ) -> None:
        """Look at a tokenizer's kind.

        Args:
            tokenizer: Knows the tokens.
            decode: How an answer's tokens become text; None for the tokenizer's own way, without
                control tokens.
        """
        self._tokenizer = tokenizer
        self.decode = decode or self._decode
        self._controls = {
            index for index, token in tokenizer.get_added_tokens_decoder().items() if token.special
        }
        decoder = tokenizer.decoder
        is_byte_level = decoder is not None and b"ByteLevel" in decoder.__getstate__()
        self._bytes = _byte_of_letter() if is_byte_level else None

    def _decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True)
        return text

    def bytes_of(self, token: int) -> bytes:
        """A token's bytes; none of a control token."""
        written = None if token in self._controls else self._tokenizer.id_to_token(token)
        if written is None:
            return b""
        if self._bytes is not None:
            known = self._bytes
            return b"".join(known.get(letter, letter.encode()) for letter in written)
        if len(written) == len("<0x00>") and written.startswith("<0x"):
            return bytes.fromhex(written[3:5])
        return written.replace(_SPACE, " ").encode()

    def chosen(
        self, token: int, log_probability: float, others: tuple[tuple[int, float], ...] = ()
    ) -> ChosenToken:
        """A token that was chosen, and others that could have been, with log probabilities."""
        own = self.bytes_of(token)
        return ChosenToken(
            text=_whole(own),
            token_bytes=own,
            log_probability=log_probability,
            alternatives=tuple(
                Alternative(
                    text=_whole(self.bytes_of(other)),
                    token_bytes=self.bytes_of(other),
                    log_probability=value,
                )
                for other, value in others
            ),
        )


def _whole(token_bytes: bytes) -> str:
    try:
        return token_bytes.decode()
    except UnicodeDecodeError:
        return ""


def _byte_of_letter() -> dict[str, bytes]:
    """The byte behind each letter that byte-level tokens are written in.

    GPT-2's table: printable bytes of Latin-1 stand for themselves, the others, in their order,
    for the letters from U+0100 on.

    >>> table = _byte_of_letter()
    >>> table["A"], table["\N{LATIN CAPITAL LETTER G WITH DOT ABOVE}"]
    (b'A', b' ')
    """
    letters = pre_tokenizers.ByteLevel.alphabet()
    table = {letter: bytes([ord(letter)]) for letter in letters if ord(letter) < 256}  # noqa: PLR2004
    rest = sorted(letter for letter in letters if letter not in table)
    others = (byte for byte in range(256) if bytes([byte]) not in table.values())
    return table | {letter: bytes([byte]) for letter, byte in zip(rest, others, strict=True)}
