"""A JSON body without its long texts: files in base64 stay where they came, uncopied."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

LONG_BYTES = 4096
"""Longer texts are left where they came."""

_IMAGES = frozenset({"url", "images"})
"""Fields whose texts are files."""
_ENDING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
"""The rest of a text of JSON, its closing quote included."""


class TooMuchBesideError(ValueError):
    """There is more in the body than files."""


def without_long_texts(
    body: bytes | bytearray, *, max_bytes: int
) -> tuple[bytes, dict[str, bytes | memoryview]]:
    """A JSON body in which names stand for its long texts, and what they stand for, in UTF-8.

    The names are drawn, so that no text of the body is one. Values that are as short as a body's
    two brackets take far more memory than the body, so there may not be many.

    Args:
        body: JSON, or not: whoever parses the rest sees what is left.
        max_bytes: The most that may be left.

    Raises:
        TooMuchBesideError: If more is left.
        ValueError: If a text does not end.

    Example:
        >>> rest, long = without_long_texts(b'{"url": "' + b"A" * 5000 + b'"}', max_bytes=100)
        >>> len(rest), [len(text) for text in long.values()]
        (29, [5000])
    """
    whole, mark = memoryview(body), secrets.token_hex(8)
    rest: list[bytes | memoryview] = []
    long: dict[str, bytes | memoryview] = {}
    num_long_bytes = done = position = 0
    while (begin := body.find(b'"', position) + 1) > 0:
        end, is_plain = _end_of_text(body, begin)
        if end - begin > LONG_BYTES:
            name = f"{mark}-{len(long)}"
            long[name] = whole[begin:end] if is_plain else _plain(whole[begin:end])
            rest += (whole[done:begin], name.encode())
            num_long_bytes += end - begin
            done = end
        position = end + 1
        if position - num_long_bytes > max_bytes:
            raise TooMuchBesideError
    if len(body) - num_long_bytes > max_bytes:
        raise TooMuchBesideError
    return b"".join([*rest, whole[done:]]), long


def texts_put_back(
    value: Any, long: Mapping[str, bytes | memoryview], *, max_bytes: int
) -> tuple[Any, dict[str, bytes | memoryview]]:
    """A parsed body whose names stand for files alone, and these files.

    Args:
        value: What the rest of a body was parsed to.
        long: The long texts by their names.
        max_bytes: The most that all may have that are no files.

    Raises:
        TooMuchBesideError: If they have more.
        ValueError: If one of them is not UTF-8.
    """
    files = {name: long[name] for name in _images_in(value) if name in long}
    texts = {name: text for name, text in long.items() if name not in files}
    if sum(map(len, texts.values())) > max_bytes:
        raise TooMuchBesideError
    return (_put_back(value, texts) if texts else value), files


def _end_of_text(body: bytes | bytearray, begin: int) -> tuple[int, bool]:
    """Where its closing quote stands, and whether it is without backslashes."""
    end = body.find(b'"', begin)
    if end >= 0 and body.find(b"\\", begin, end) < 0:
        return end, True
    ending = _ENDING.match(body, begin) if end >= 0 else None
    if ending is None:
        raise ValueError("A text does not end.")
    return ending.end() - 1, False


def _plain(text: memoryview) -> bytes:
    """What a text with backslashes says; PHP writes base64's slashes with them."""
    said: str = json.loads(b"".join((b'"', text, b'"')))
    return said.encode("utf-8", "surrogatepass")


def _images_in(value: Any, *, is_image: bool = False) -> Iterator[str]:
    if isinstance(value, str) and is_image:
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _images_in(one, is_image=is_image)
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from _images_in(one, is_image=name in _IMAGES)


def _put_back(value: Any, texts: Mapping[str, bytes | memoryview]) -> Any:
    if isinstance(value, str):
        return str(texts[value], "utf-8", "surrogatepass") if value in texts else value
    if isinstance(value, list):
        return [_put_back(one, texts) for one in value]
    if isinstance(value, dict):
        return {name: _put_back(one, texts) for name, one in value.items()}
    return value
