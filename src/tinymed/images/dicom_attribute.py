"""Attributes that a picture does not need: a damaged one is as good as none."""

from __future__ import annotations

from collections.abc import MutableSequence
from typing import TYPE_CHECKING, Any, Final

from pydicom.dataelem import DataElement, RawDataElement

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_MAX_BYTES: Final = 16_384


def raw_value(dataset: Dataset, keyword: str) -> bytes:
    """Give the bytes of an attribute that was read and not yet made sense of, else none."""
    element: DataElement | RawDataElement = dataset.get_item(keyword)
    return element.value or b"" if isinstance(element, RawDataElement) else b""


def values(dataset: Dataset, keyword: str) -> list[Any]:
    """Give all values of an attribute, of those in its first 16 kB; none where it is damaged."""
    try:
        element: DataElement | RawDataElement = dataset.get_item(keyword)
        if isinstance(element, RawDataElement) and len(element.value or b"") > _MAX_BYTES:
            dataset[element.tag] = element._replace(value=(element.value or b"")[:_MAX_BYTES])
        value = dataset.get(keyword)
    except Exception:  # noqa: BLE001 - what pydicom raises of damaged bytes has no common base
        return []
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, MutableSequence) else [value]
