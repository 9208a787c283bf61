"""Passwords as scrypt hashes."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MIN_PASSWORD_CHARACTERS = 10
MAX_PASSWORD_CHARACTERS = 1024
"""A sign-in with a longer one, or a longer name, is not even tried."""

_COST, _BLOCK_SIZE, _PARALLELISM = 2**15, 8, 3
_SALT_BYTES = 16
_DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordHash:
    """A password that can be recognised and not read, with the parameters that made it."""

    salt: bytes
    digest: bytes
    cost: int = _COST
    """scrypt's N."""
    block_size: int = _BLOCK_SIZE
    """scrypt's r; 128 * N * r bytes of memory for each hash."""
    parallelism: int = _PARALLELISM
    """scrypt's p; one after the other here, so it multiplies time and not memory."""


def hash_password(password: str) -> PasswordHash:
    """Hash a password with a new salt: 32 MiB and a fraction of a second.

    Source:
        OWASP, "Password Storage Cheat Sheet": N=2^15, r=8, p=3 as one of its equal choices.
    """
    made = PasswordHash(salt=secrets.token_bytes(_SALT_BYTES), digest=b"")
    return PasswordHash(salt=made.salt, digest=_scrypt(password, made))


def is_password(password: str, kept: PasswordHash) -> bool:
    """Whether a password is the one that was hashed; takes as long either way.

    Example:
        >>> is_password("a long password", hash_password("a long password"))
        True
    """
    return hmac.compare_digest(_scrypt(password, kept), kept.digest)


def dummy_hash() -> PasswordHash:
    """The hash of no password: trying one against it takes as long as against a user's."""
    return PasswordHash(salt=bytes(_SALT_BYTES), digest=bytes(_DIGEST_BYTES))


def hash_as_row(kept: PasswordHash) -> dict[str, Any]:
    """A hash as JSON values."""
    return {
        "scheme": "scrypt",
        "n": kept.cost,
        "r": kept.block_size,
        "p": kept.parallelism,
        "salt": kept.salt.hex(),
        "hash": kept.digest.hex(),
    }


def hash_from_row(row: Mapping[str, Any]) -> PasswordHash:
    """Read a hash back from JSON values.

    Raises:
        ValueError: If it is not one that `hash_as_row` wrote.
    """
    kept = PasswordHash(
        salt=bytes.fromhex(row["salt"]),
        digest=bytes.fromhex(row["hash"]),
        cost=int(row["n"]),
        block_size=int(row["r"]),
        parallelism=int(row["p"]),
    )
    is_sound = (
        row["scheme"] == "scrypt"
        and len(kept.salt) >= _SALT_BYTES
        and len(kept.digest) == _DIGEST_BYTES
        # No weaker than ours, and not so dear that one try fills the memory.
        and _COST <= kept.cost <= 2**20
        and kept.block_size == _BLOCK_SIZE
        and 1 <= kept.parallelism <= 16  # noqa: PLR2004 - seconds for a try
    )
    if not is_sound:
        raise ValueError("not a scrypt hash as 'tinymed users add' writes it")
    return kept


def _scrypt(password: str, kept: PasswordHash) -> bytes:
    # Keyboards differ in how they compose an accented letter; the password is the same.
    return hashlib.scrypt(
        unicodedata.normalize("NFC", password).encode(),
        salt=kept.salt,
        n=kept.cost,
        r=kept.block_size,
        p=kept.parallelism,
        maxmem=256 * kept.cost * kept.block_size,
        dklen=_DIGEST_BYTES,
    )
