"""The report's words in the page's languages, from the page's own table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from tinymed.errors import ConfigError

_NO_BREAK_BLANKS = {0x202F: 0xA0}
"""The narrow one, which the print's font lacks, as the wide one."""


class Words:
    """The table's texts in one language."""

    def __init__(self, language: str) -> None:
        """Choose a language by its two letters.

        Raises:
            ConfigError: If the table has no such language.
        """
        self._language = language
        languages = sorted(_table()["report.title"])
        if language not in languages:
            raise ConfigError(
                f"There is no report in the language '{language}': choose {', '.join(languages)}."
            )

    def say(self, key: str, **values: object) -> str:
        """The text of a key, with values in its places."""
        return _table()[key][self._language].translate(_NO_BREAK_BLANKS).format(**values)

    def find(self, key: str, otherwise: str) -> str:
        """The text of a key that the table may not have."""
        return self.say(key) if key in _table() else otherwise


@cache
def _table() -> Mapping[str, Mapping[str, str]]:
    path = files("tinymed.serve") / "page" / "strings.json"
    table: dict[str, dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
    return table
