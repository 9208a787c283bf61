"""What an importer hands back: splits of samples, and an account of what it met."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
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


def with_unique_ids(samples: Iterable[Sample], remarks: Counter[str]) -> list[Sample]:
    """The samples, with `~2`, `~3` and so on behind an id that was taken.

    An id only joins a prediction to its question. Files that number images instead of
    questions repeat theirs on questions that are all worth asking, so a repeated id is
    mended and counted, not refused.

    >>> from tinymed.records import Sample
    >>> fields = {"question": "?", "reference": "", "answer_type": "open"}
    >>> rows = [Sample(id=name, **fields) for name in ("a", "a~2", "a")]
    >>> remarks = Counter()
    >>> [sample.id for sample in with_unique_ids(rows, remarks)]
    ['a', 'a~2', 'a~3']
    >>> remarks
    Counter({'id repeated (made unique with ~2, ~3 and so on)': 1})
    """
    taken: set[str] = set()
    last: Counter[str] = Counter()
    unique = []
    for sample in samples:
        name = sample.id
        while name in taken:
            last[sample.id] += 1
            name = f"{sample.id}~{1 + last[sample.id]}"
        if name != sample.id:
            remarks["id repeated (made unique with ~2, ~3 and so on)"] += 1
        taken.add(name)
        unique.append(sample if name == sample.id else replace(sample, id=name))
    return unique


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
            "num_images": len({sample.image for sample in samples if sample.image}),
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
