"""The models whose shape is known by name, and whatever else a name or a place means."""

from __future__ import annotations

import difflib
import json
import os
from pathlib import Path
from typing import Any

from tinymed.errors import ModelError
from tinymed.models.installed import installed_models
from tinymed.models.shape.read import read_shape
from tinymed.models.shape.shape import ModelShape

_SHIPPED = Path(__file__).parents[1] / "shipped"
_KNOWN = Path(__file__).parent / "known"
_CONFIG, _MANIFEST, _BUILD = "config.json", "manifest.json", "build.json"


def known_names() -> tuple[str, ...]:
    """Every model whose shape is known by name alone, in order."""
    shipped = (path.parent.name for path in _SHIPPED.glob(f"*/{_MANIFEST}"))
    return tuple(sorted([*shipped, *(path.stem for path in _KNOWN.glob("*.json"))]))


def find_config(address: str) -> dict[str, Any]:
    """The configuration of a model in the layout of transformers, as its config.json holds it.

    Args:
        address: A known name but for those that tinymed ships, an installed checkpoint's name, a
            folder with a config.json, the path of one, or hf:OWNER/NAME. Of a known name the
            configuration says where it was read, as "source".

    Raises:
        ModelError: If there is none.
        ConfigError: If it begins as a place elsewhere and is none.
    """
    if address.startswith("hf:"):
        from tinymed.models.pull.reference import parse_reference
        from tinymed.models.shape.hub import fetch_config  # loads what speaks to servers

        return fetch_config(parse_reference(address).place)
    place = _place_of(address)
    if place is None:
        return _read_object(_KNOWN / f"{address}.json")
    path = place if place.is_file() else place / _CONFIG
    if (place / _MANIFEST).is_file():
        raise ModelError(f"'{address}' is made of tinymed's own parts and has no {_CONFIG}.")
    if not path.is_file():
        raise ModelError(
            f"'{place}' holds neither a {_CONFIG} nor a {_MANIFEST}: name a model's folder, or "
            f"the path of a {_CONFIG}."
        )
    return _read_object(path)


def find_shape(address: str) -> ModelShape:
    """The shape of whatever model is named; nothing but a config.json is ever downloaded.

    Args:
        address: One of `known_names`, an installed model's name, a folder with a config.json,
            a manifest.json or a build, the path of a config.json, or hf:OWNER/NAME.

    Raises:
        ModelError: If no model is meant, or its shape cannot be told.
        ConfigError: If it begins as a place elsewhere and is none.

    Example:
        >>> find_shape("nano").image_tokens
        81
        >>> find_shape("tinyllava")
        Traceback (most recent call last):
        tinymed.errors.ModelError: No model 'tinyllava' is known. Did you mean 'tinyllava-1.5b'? \
Name one of llava-1.5-13b, llava-1.5-7b, llava-med-7b, med-moe-phi2, med-moe-stablelm, nano, \
smolvlm-2.2b, smolvlm-256m, smolvlm-500m, tinyllava-1.5b, an installed model, a folder, a \
config.json or hf:OWNER/NAME.
    """
    place = None if address.startswith("hf:") else _place_of(address)
    if place is not None and (place / _BUILD).is_file():
        return _shape_of_build(place)
    if place is not None and (place / _MANIFEST).is_file():
        from tinymed.models.shape.ours import read_own_shape  # loads numpy

        return read_own_shape(place, name=address)
    return read_shape(find_config(address), name=address)


def _place_of(address: str) -> Path | None:
    """Where an address lies; None for a name whose configuration comes with tinymed.

    Raises:
        ModelError: If no model has this name.
    """
    if "/" in address or os.sep in address or address == _CONFIG:
        return Path(address)
    installed = {model.name: model.folder for model in installed_models()}
    if address in installed:
        return installed[address]
    if address not in known_names():
        raise ModelError(_unknown(address))
    shipped = _SHIPPED / address
    return shipped if shipped.is_dir() else None


def _shape_of_build(folder: Path) -> ModelShape:
    """The shape of the model that a build was made from, where that is on this computer."""
    from tinymed.models.build import read_build  # loads tokenizers
    from tinymed.models.catalog import find_source, source_digest

    build = read_build(folder)
    try:
        is_its_source = source_digest(find_source(build.model)) == build.source_digest
    except ModelError:
        is_its_source = False
    if not is_its_source:
        raise ModelError(
            f"'{folder}' is a build, and the model '{build.model}' that it was made from is not "
            "known here: name that model's folder or its config.json instead."
        )
    return find_shape(build.model)


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"'{path}' cannot be read as JSON: {error}.") from error
    if not isinstance(value, dict):
        raise ModelError(f"'{path}' holds no JSON object: name a model's {_CONFIG}.")
    return value


def _unknown(name: str) -> str:
    known = [*known_names(), *(model.name for model in installed_models())]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return (
        f"No model '{name}' is known.{hint} Name one of {', '.join(known_names())}, an installed "
        f"model, a folder, a {_CONFIG} or hf:OWNER/NAME."
    )
