"""Recipes: TOML into typed, frozen dataclasses, strictly."""

from __future__ import annotations

import difflib
import tomllib
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from tinymed.errors import ConfigError

T = TypeVar("T")


def load_recipe(path: Path, kind: type[T], *, table: str, overrides: Sequence[str] = ()) -> T:
    """Read one table of a TOML recipe; relative paths are taken from the working folder.

    Args:
        path: The recipe.
        kind: The dataclass to fill; its defaults hold where the recipe is silent.
        table: The recipe's table, such as "train".
        overrides: `train.learning_rate=2e-5` and the like; they win over the recipe.

    Raises:
        ConfigError: With the key's path and the nearest known name, before anything loads.
    """
    try:
        recipe = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"No recipe '{path}'. The shipped ones are in 'recipes'.") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"The recipe '{path}' is not TOML: {error}.") from error
    for override in overrides:
        _apply(recipe, override)
    unknown = sorted(set(recipe) - {table})
    if unknown:
        raise ConfigError(f"Unknown table '{unknown[0]}' in '{path}'. Known: {table}.")
    return build(recipe.get(table, {}), kind, where=table)


def build(values: Mapping[str, Any], kind: type[T], *, where: str) -> T:
    """Fill a dataclass from a mapping, refusing unknown keys and wrong types."""
    hints = get_type_hints(kind)
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else f" Known: {', '.join(known)}."
            raise ConfigError(f"Unknown key '{where}.{key}'.{hint}")
    for name, field in known.items():
        required = field.default is MISSING and field.default_factory is MISSING
        if required and name not in values:
            raise ConfigError(f"Missing key '{where}.{name}'.")
    filled = {
        key: _convert(value, hints[key], where=f"{where}.{key}") for key, value in values.items()
    }
    return kind(**filled)


def resolved(config: Any) -> dict[str, Any]:
    """A config as plain values, for the run folder."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        return str(value) if isinstance(value, Path) else value

    result: dict[str, Any] = plain(asdict(config))
    return result


def _apply(recipe: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    path = key.strip().split(".")
    if not separator or len(path) < 2:  # noqa: PLR2004  # table.key
        raise ConfigError(f"Cannot read the override '{override}'. Write it as table.key=value.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    table = recipe
    for name in path[:-1]:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise ConfigError(f"'{key}' does not name a key: '{name}' is not a table.")
    table[path[-1]] = value


def _convert(value: Any, hint: Any, *, where: str) -> Any:
    if is_dataclass(hint) and isinstance(value, Mapping):
        return build(value, hint, where=where)  # type: ignore[arg-type]
    if isinstance(hint, types.UnionType):
        inner = [kind for kind in get_args(hint) if kind is not type(None)]
        return _convert(value, inner[0], where=where)
    if get_origin(hint) is tuple and isinstance(value, list):
        return tuple(_convert(item, get_args(hint)[0], where=where) for item in value)
    if hint is Path and isinstance(value, str):
        return Path(value).expanduser()
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and isinstance(value, hint) and (hint is bool or value is not True):
        if isinstance(value, bool) and hint is not bool:
            raise ConfigError(f"'{where}' is {value!r}; it takes {hint.__name__}.")
        return value
    name = getattr(hint, "__name__", str(hint))
    raise ConfigError(f"'{where}' is {value!r}; it takes {name}.")
