"""A checkpoint's tokenizer as the two files that every version of transformers reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, processors
from transformers import AutoTokenizer

from tinymed.errors import ModelError
from tinymed.models.importers.layout import TokenizerChanges, read_object
from tinymed.models.importers.sentencepiece_file import llama_tokenizer
from tinymed.runs import write_bytes, write_json

NAMES = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "tokenizer_config.json",
)
ROLES = ("bos_token", "eos_token", "unk_token", "pad_token")
KEPT = ("model_max_length", "clean_up_tokenization_spaces")
"""Keys of tokenizer_config.json that are taken over as they are."""


def find_tokenizer_files(*folders: Path | None) -> tuple[Path, ...]:
    """The files of the tokenizer in the first of these folders that has one.

    Raises:
        ModelError: If none has.
    """
    for folder in folders:
        if folder is None:
            continue
        files = tuple(folder / name for name in NAMES if (folder / name).is_file())
        if {"tokenizer.json", "tokenizer.model", "vocab.json"} & {file.name for file in files}:
            return files
    shown = ", ".join(f"'{folder}'" for folder in folders if folder is not None)
    raise ModelError(
        f"No tokenizer in {shown}: neither tokenizer.json, tokenizer.model nor vocab.json. "
        "Name a folder that holds one."
    )


def read_tokenizer(files: Sequence[Path]) -> Tokenizer:
    """The tokenizer of a checkpoint's files, as the original code would use it.

    Raises:
        ModelError: If a file is damaged.
    """
    by_name = {file.name: file for file in files}
    settings = _settings(by_name)
    if "tokenizer.json" in by_name:
        try:
            return Tokenizer.from_file(str(by_name["tokenizer.json"]))
        except Exception as error:  # the tokenizers package raises nothing narrower
            raise ModelError(f"'{by_name['tokenizer.json']}' cannot be read: {error}.") from error
    if "tokenizer.model" not in by_name:
        folder = next(iter(by_name.values())).parent
        made: Tokenizer = AutoTokenizer.from_pretrained(folder).backend_tokenizer
        return made
    tokenizer = llama_tokenizer(
        by_name["tokenizer.model"], legacy=settings.get("legacy") is not False
    )
    added = read_object(by_name["added_tokens.json"]) if "added_tokens.json" in by_name else {}
    for token in sorted(added, key=lambda token: int(added[token])):
        _add(tokenizer, token)
    if settings.get("add_bos_token", True):
        bos = _role(settings, "bos_token") or "<s>"
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A",
            pair=f"{bos} $A {bos} $B",
            special_tokens=[(bos, tokenizer.token_to_id(bos))],
        )
    return tokenizer


def changed(files: Sequence[Path], changes: TokenizerChanges) -> Tokenizer:
    """The tokenizer with the tokens that the original code adds when it loads."""
    tokenizer = read_tokenizer(files)
    for token in changes.added:
        _add(tokenizer, token)
    return tokenizer


def write_tokenizer(files: Sequence[Path], changes: TokenizerChanges, folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json."""
    settings = _settings({file.name: file for file in files})
    roles = {role: _role(settings, role) for role in ROLES} | dict(changes.roles)
    write_bytes(folder / "tokenizer.json", changed(files, changes).to_str(pretty=True).encode())
    write_json(
        folder / "tokenizer_config.json",
        {
            # The class that takes tokenizer.json as it is; the others rebuild it by rules of
            # their own, which differ between versions.
            "tokenizer_class": "PreTrainedTokenizerFast",
            # Rows of a batch end together, where the answers begin.
            "padding_side": "left",
            **{role: token for role, token in roles.items() if token is not None},
            **{key: settings[key] for key in KEPT if settings.get(key) is not None},
        },
    )


def _add(tokenizer: Tokenizer, token: str) -> None:
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False)])


def _settings(by_name: dict[str, Path]) -> dict[str, Any]:
    """tokenizer_config.json, and special_tokens_map.json where that is silent."""
    settings: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if name in by_name:
            found = read_object(by_name[name])
            settings |= {key: value for key, value in found.items() if value is not None}
    return settings


def _role(settings: dict[str, Any], role: str) -> str | None:
    """A special token's text; files write it bare or as an object."""
    value = settings.get(role)
    text = value.get("content") if isinstance(value, dict) else value
    return text if isinstance(text, str) else None
