"""Which of a publisher's files make a model."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from tinymed.errors import ConfigError, ModelError
from tinymed.models.headers.admit import DOCUMENTS, PICKLES, WEIGHTS

_COMPANIONS = (".json", ".jinja", ".txt", ".model")
_SPLIT = re.compile(r"-\d{5}-of-\d{5}\.gguf$")


def choose_files(names: Iterable[str], *, only: Collection[str], whence: str) -> list[str]:
    """The weights of a listing, and the configuration, tokenizer and licence beside them.

    Weights are safetensors and GGUF. What lies in folders is left out: publishers keep other
    formats there. Where several GGUF files offer the same model in several sizes, `only` must
    say which.

    Args:
        names: Paths as listed.
        only: Patterns for the weights' names; none takes all.
        whence: The publisher, for errors.

    Raises:
        ConfigError: If a pattern matches nothing, or the choice is not clear.
        ModelError: If there are no weights that can be taken.
    """
    top = sorted(name for name in names if "/" not in name)
    weights = [name for name in top if _suffix(name) in WEIGHTS]
    if not weights:
        raise ModelError(_no_weights(top, whence))
    for pattern in only:
        if not any(fnmatchcase(name, pattern) for name in weights):
            raise ConfigError(
                f"--only '{pattern}' matches none of the weights of {whence}: {', '.join(weights)}."
            )
    if only:
        weights = [name for name in weights if any(fnmatchcase(name, one) for one in only)]
    elif len(offered := _alternatives(weights)) > 1:
        raise ConfigError(
            f"{whence} offers {len(offered)} GGUF files ({', '.join(offered)}): say which with "
            "--only, which may hold * and may be repeated."
        )
    return [name for name in top if name in weights or _is_companion(name)]


def _alternatives(weights: list[str]) -> list[str]:
    """GGUF files of which one would do: the image encoder's goes with each of them."""
    return [
        name
        for name in weights
        if _suffix(name) == ".gguf"
        and not name.lower().startswith("mmproj")
        and not _SPLIT.search(name)
    ]


def _is_companion(name: str) -> bool:
    lower = name.lower()
    return not lower.startswith(".") and (
        _suffix(name) in _COMPANIONS or lower.startswith(DOCUMENTS)
    )


def _no_weights(names: list[str], whence: str) -> str:
    pickles = [name for name in names if _suffix(name) in PICKLES]
    if pickles:
        return (
            f"{whence} has its weights as pickle alone ('{pickles[0]}'), which can run any code "
            "when it is opened: ask its publisher for safetensors, or convert it where you trust "
            "it."
        )
    return f"{whence} holds no weights that can be taken: neither safetensors nor GGUF."


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()
