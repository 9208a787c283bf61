"""The layouts that can be imported, by exact name."""

from __future__ import annotations

from pathlib import Path

from tinymed.errors import ModelError
from tinymed.models.importers import (
    llava,
    llava_med,
    llava_med_delta,
    llava_next,
    med_moe,
    tinyllava,
    tinyllava_factory,
    transformers_layout,
)
from tinymed.models.importers.layout import Layout, read_object

LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        llava.LAYOUT,
        llava_next.LAYOUT,
        llava_med.LAYOUT,
        llava_med_delta.LAYOUT,
        tinyllava.LAYOUT,
        tinyllava_factory.LAYOUT,
        med_moe.LAYOUT,
        transformers_layout.LAYOUT,
    )
}


def find_layout(folder: Path, name: str | None = None) -> Layout:
    """The layout named, or else the one whose marks the checkpoint's config.json bears.

    Raises:
        ModelError: If none or several fit, or the named one is unknown.
    """
    known = ", ".join(sorted(LAYOUTS))
    if name is not None:
        if name not in LAYOUTS:
            raise ModelError(f"No layout '{name}'. Known: {known}.")
        return LAYOUTS[name]
    config = read_object(folder / "config.json")
    fitting = [layout for layout in LAYOUTS.values() if layout.recognise(config, folder)]
    if len(fitting) == 1:
        return fitting[0]
    kind = f"model_type '{config.get('model_type')}', architectures {config.get('architectures')}"
    if not fitting:
        raise ModelError(
            f"'{folder}' is in no layout that can be imported ({kind}). Known: {known}."
        )
    names = ", ".join(layout.name for layout in fitting)
    raise ModelError(f"'{folder}' could be {names} ({kind}). Name one of them.")
