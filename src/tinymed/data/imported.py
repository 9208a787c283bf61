"""What an importer hands back: splits of samples, and an account of what it met."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tinymed.jsonl import samples_digest, write_samples
from tinymed.records import Sample
from tinymed.runs import write_json


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedSet:
    """A data set in one shape."""

    name: str
    licence: str
    source: str
    splits: dict[str, list[Sample]]
    remarks: Counter[str] = field(default_factory=Counter)
    """How often each known trap of the files was met and mended, or a row left out."""


def write_imported(imported: ImportedSet, folder: Path) -> dict[str, object]:
    """Write `SPLIT.jsonl` for each split and, last, `manifest.json`; return the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    splits = {}
    for split, samples in imported.splits.items():
        path = folder / f"{split}.jsonl"
        write_samples(path, samples)
        splits[split] = {
            "file": path.name,
            "sha256": samples_digest(samples),
            "num_samples": len(samples),
            "num_open": sum(sample.answer_type == "open" for sample in samples),
            "num_closed": sum(sample.answer_type == "closed" for sample in samples),
            "num_images": len({sample.group for sample in samples}),
        }
    manifest: dict[str, object] = {
        "name": imported.name,
        "licence": imported.licence,
        "source": imported.source,
        "splits": splits,
        "remarks": dict(imported.remarks),
    }
    write_json(folder / "manifest.json", manifest)
    return manifest
