"""Importing a checkpoint: found, planned, checked, and then written one tensor at a time."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from tinymed.errors import ModelError
from tinymed.models.importers.integrity import (
    check_image_token,
    check_placed,
    check_planned,
    check_result,
    planned_facts,
)
from tinymed.models.importers.layout import ImportPlan, Layout, Source, TensorPlan
from tinymed.models.importers.safetensors_file import TensorFacts, write_safetensors
from tinymed.models.importers.stored_tensors import (
    StoredTensor,
    TensorFile,
    source_tensors,
    stored_tensors,
    weight_files,
)
from tinymed.models.importers.table import find_layout
from tinymed.models.importers.tokenizer_files import write_tokenizer
from tinymed.progress import Progress
from tinymed.runs import environment, sync_folder, write_bytes, write_json

FORMAT = "tinymed-import-1"
SHARD_BYTES = 2 * 2**30
READ_BYTES = 2**24
MEGABYTE = 10**6
_STATE_FILE = "sources.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What an import left behind."""

    folder: Path
    layout: str
    num_tensors: int
    num_bytes: int
    """Of the weights."""
    leftovers: Mapping[str, str]
    """Tensors of the original that have no place, each with the reason."""


def import_checkpoint(
    source: Source, out: Path, *, layout: str | None = None, progress: bool = True
) -> ImportReport:
    """Make a published checkpoint into a folder that plain transformers loads.

    Everything is planned and checked before a weight is read. The work is done beside `out`,
    which appears whole or not at all; an import that was killed goes on at the file of weights
    it was writing.

    Args:
        source: Where the original lies.
        out: A folder that does not exist yet.
        layout: The original's layout by its exact name; told from its config.json if None.
        progress: Say on standard error how far it is.

    Raises:
        ModelError: If `out` exists, the layout is unknown, or a tensor of the original has no
            place, is missing or has another shape.
    """
    if out.exists():
        raise ModelError(f"'{out}' exists. Name a new folder, or remove it.")
    found = find_layout(source.folder, layout)
    job = _planned(source, found) if found.plan else _copied(source.folder, found)
    with _work_folder(out) as work:
        _refuse_small_disk(work, job.num_bytes)
        with _told(job.num_bytes + job.num_source_bytes if progress else None) as tell:
            hashes = {name: _sha256_of(file, tell) for name, file in job.sources.items()}
            _keep_only_same(work, {**job.identity, "sources": hashes})
            job.fill(work, tell)
        check_result(work)
        check_image_token(work)
        write_json(work / "import.json", {**job.record, "sources_sha256": hashes})
        (work / _STATE_FILE).unlink()
        _publish(work, out)
    return ImportReport(
        folder=out,
        layout=found.name,
        num_tensors=job.record["num_tensors"],
        num_bytes=job.record["num_bytes"],
        leftovers=job.record["leftovers"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """An import that has been checked and can be done."""

    sources: Mapping[str, Path]
    """Every file that the result is made of, by a name that tells its folder's role."""
    num_bytes: int
    """Of what will be written."""
    identity: Mapping[str, Any]
    """With the sources' hashes, all that decides what the files of weights will hold."""
    record: Mapping[str, Any]
    """import.json but for the sources' hashes."""
    fill: Callable[[Path, Tell], None]
    """Fills the work folder."""

    @property
    def num_source_bytes(self) -> int:
        """Of what will be read for the hashes."""
        return sum(file.stat().st_size for file in self.sources.values())


def _planned(source: Source, layout: Layout) -> _Job:
    assert layout.plan is not None
    plan = layout.plan(source)
    stored = source_tensors(source)
    check_placed(plan, stored)
    facts = planned_facts(plan, stored)
    check_planned(plan, facts)
    num_bytes = sum(one.num_bytes for one in facts)

    def fill(work: Path, tell: Tell) -> None:
        _write_weights(work, plan, facts, stored, tell)
        _write_small_files(work, plan)

    return _Job(
        sources=_source_files(source, plan),
        num_bytes=num_bytes,
        identity={
            "layout": layout.name,
            "config": plan.config,
            "tensors": [[one.name, list(one.shape), str(one.dtype)] for one in facts],
            "shard_bytes": SHARD_BYTES,
            "environment": environment("torch"),
        },
        record=_record(
            layout,
            num_tensors=len(facts),
            num_bytes=num_bytes,
            leftovers={name: why for name, why in plan.leftovers.items() if name in stored},
            preprocessing=dict(plan.preprocessing),
            stop_strings=list(plan.stop_strings),
        ),
        fill=fill,
    )


def _copied(folder: Path, layout: Layout) -> _Job:
    """A folder that transformers loads already: its files are linked where the disk can."""
    check_result(folder)
    check_image_token(folder)
    weights = weight_files(folder)
    files = {file.name: file for file in sorted(folder.iterdir()) if _belongs(file, weights)}

    def fill(work: Path, tell: Tell) -> None:
        for name, file in files.items():
            (work / name).unlink(missing_ok=True)
            try:
                os.link(file, work / name)
            except OSError:  # another disk, or one without links
                shutil.copyfile(file, work / name)
            tell(file.stat().st_size)

    return _Job(
        sources=files,
        num_bytes=sum(file.stat().st_size for file in files.values()),
        identity={"layout": layout.name},
        record=_record(
            layout,
            num_tensors=len(stored_tensors(folder)),
            num_bytes=sum(path.stat().st_size for path in weights),
            leftovers={},
            preprocessing={},
            stop_strings=[],
        ),
        fill=fill,
    )


def _belongs(file: Path, weights: Sequence[Path]) -> bool:
    """Whether a file is part of the model: its weights, and all that is no weights or code."""
    other = {".safetensors", ".bin", ".pt", ".pth", ".msgpack", ".h5", ".gguf", ".py"}
    is_wanted = file.suffix not in other and not file.name.startswith(".")
    return file in weights or (file.is_file() and is_wanted)


def _record(layout: Layout, **facts: Any) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "layout": layout.name,
        **facts,
        "environment": environment("torch", "transformers", "tokenizers", "safetensors"),
    }


def _source_files(source: Source, plan: ImportPlan) -> dict[str, Path]:
    folders = {
        "checkpoint": source.folder,
        "base": source.base,
        "vision": source.vision,
    }
    files = {
        f"{role}/{file.name}": file
        for role, folder in folders.items()
        if folder is not None
        for file in (folder / "config.json", *weight_files(folder))
        if file.is_file()
    }
    return files | {f"tokenizer/{file.name}": file for file in plan.tokenizer_files}


def _write_weights(
    work: Path,
    plan: ImportPlan,
    facts: Sequence[TensorFacts],
    stored: Mapping[str, StoredTensor],
    tell: Tell,
) -> None:
    plans = {tensor.name: tensor for tensor in plan.tensors}
    open_files: dict[Path, TensorFile] = {}

    def value_of(one: TensorFacts) -> torch.Tensor:
        return _made(plans[one.name], stored, open_files)

    shards = _shards(facts)
    names: dict[str, str] = {}
    for index, shard in enumerate(shards):
        name = (
            "model.safetensors"
            if len(shards) == 1
            else f"model-{index + 1:05}-of-{len(shards):05}.safetensors"
        )
        names |= dict.fromkeys((one.name for one in shard), name)
        if (work / name).is_file():  # written before a kill, from the same sources
            tell(sum(one.num_bytes for one in shard))
        else:
            write_safetensors(work / name, shard, value_of, on_written=tell)
    if len(shards) > 1:
        total = sum(one.num_bytes for one in facts)
        index_file = {"metadata": {"total_size": total}, "weight_map": names}
        write_json(work / "model.safetensors.index.json", index_file)


def _made(
    plan: TensorPlan, stored: Mapping[str, StoredTensor], open_files: dict[Path, TensorFile]
) -> torch.Tensor:
    """One tensor of the result, from its sources' values."""
    values = []
    for name in plan.sources:
        found = stored[name]
        if found.path not in open_files:
            open_files[found.path] = TensorFile(found.path)
        values.append(open_files[found.path].read(found.name))
    return plan.make(values)


def _shards(facts: Sequence[TensorFacts]) -> list[list[TensorFacts]]:
    """Tensors in files of at most SHARD_BYTES; one that is larger has a file of its own."""
    shards: list[list[TensorFacts]] = [[]]
    num_bytes = 0
    for one in facts:
        if shards[-1] and num_bytes + one.num_bytes > SHARD_BYTES:
            shards.append([])
            num_bytes = 0
        shards[-1].append(one)
        num_bytes += one.num_bytes
    return shards


def _write_small_files(work: Path, plan: ImportPlan) -> None:
    write_json(work / "config.json", plan.config)
    for name, content in plan.processor.items():
        write_json(work / name, content)
    write_tokenizer(plan.tokenizer_files, plan.tokenizer_changes, work)
    write_bytes(work / "chat_template.jinja", plan.chat_template.encode())


@contextmanager
def _work_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` that this process alone works in."""
    work = out.with_name(f".{out.name}.importing")
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelError(f"Cannot make a folder in '{out.parent}': {error.strerror}.") from error
    lock = FileLock(work.with_name(f"{work.name}.lock"), blocking=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise ModelError(
            f"Another process imports into '{out}': wait for it, or name another folder."
        ) from error
    try:
        yield work
    finally:
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)


def _keep_only_same(work: Path, state: Mapping[str, Any]) -> None:
    """Empty the work folder unless it was made from these very sources."""
    path = work / _STATE_FILE
    try:
        same = json.loads(path.read_text(encoding="utf-8")) == state
    except (OSError, ValueError):
        same = False
    if not same:
        shutil.rmtree(work)
        work.mkdir()
        write_json(path, state)


def _publish(work: Path, out: Path) -> None:
    try:
        work.rename(out)
    except OSError as error:
        raise ModelError(f"Cannot name the finished folder '{out}': {error.strerror}.") from error
    sync_folder(out.parent)


def _refuse_small_disk(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ModelError(
            f"'{folder.parent}' needs {needed / MEGABYTE:.0f} MB and has "
            f"{free / MEGABYTE:.0f} MB. Free some, or name a folder on another disk."
        )


class Tell:
    """Turns bytes done into megabytes of a progress line."""

    def __init__(self, progress: Progress | None) -> None:
        """Tell `progress`, or nobody."""
        self._progress = progress
        self._num_bytes = 0

    def __call__(self, num_bytes: int) -> None:
        """Say that so many more bytes are read or written."""
        before, self._num_bytes = self._num_bytes // MEGABYTE, self._num_bytes + num_bytes
        megabytes = self._num_bytes // MEGABYTE - before
        if self._progress is not None and megabytes:
            self._progress.step(megabytes)


@contextmanager
def _told(total: int | None) -> Iterator[Tell]:
    if total is None:
        yield Tell(None)
        return
    with Progress("Importing", total=total // MEGABYTE, unit="megabyte") as progress:
        yield Tell(progress)


def _sha256_of(path: Path, tell: Tell) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            digest.update(block)
            tell(len(block))
    return digest.hexdigest()
