"""A folder that plain transformers loads already, such as those of llava-hf."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from tinymed.models.importers.layout import Layout


def _recognise(config: dict[str, Any], _folder: Path) -> bool:
    """Whether the config names the very class that transformers has for its model_type."""
    known = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES.get(str(config.get("model_type")))
    return known is not None and config.get("architectures") == [known]


LAYOUT = Layout(
    name="transformers",
    description="A folder that plain transformers loads: checked, then linked or copied.",
    recognise=_recognise,
    plan=None,
)
