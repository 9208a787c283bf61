"""Rows out of parquet and arrow files, a few at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinymed.errors import DataError
from tinymed.extras import require

_ROWS_AT_ONCE = 64
"""Rows hold images: all of a file at once could fill a small computer's memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One split, in one or several files of the same columns."""

    files: Sequence[Path]
    columns: tuple[str, ...]
    num_rows: int
    labels: Mapping[str, Sequence[str]]
    """For a column whose numbers stand for words: the words."""

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every row as a dictionary, in the order of the files.

        Raises:
            DataError: If a file is damaged.
        """
        for file in self.files:
            for batch in _batches(file):
                yield from batch.to_pylist()


def open_table(files: Sequence[Path]) -> Table:
    """Look at parquet files, or at arrow files as the package `datasets` writes them.

    Raises:
        DataError: If a file cannot be read, or not all have the same columns.
        MissingExtraError: If pyarrow is not installed.
    """
    schemas = [_schema(file) for file in files]
    columns = tuple(schemas[0].names)
    for file, schema in zip(files, schemas, strict=True):
        if tuple(schema.names) != columns:
            raise DataError(f"'{file}' has other columns than '{files[0]}'.")
    return Table(
        files=files,
        columns=columns,
        num_rows=sum(_num_rows(file) for file in files),
        labels=_labels(schemas[0]),
    )


def _schema(file: Path) -> Any:
    with _damage_refused(file):
        if file.suffix == ".parquet":
            return _parquet().read_schema(file)
        with _arrow().memory_map(str(file)) as source:
            return _arrow().ipc.open_stream(source).schema


def _num_rows(file: Path) -> int:
    if file.suffix == ".parquet":
        with _damage_refused(file):
            return int(_parquet().read_metadata(file).num_rows)
    return sum(batch.num_rows for batch in _batches(file))


def _batches(file: Path) -> Iterator[Any]:
    with _damage_refused(file):
        if file.suffix == ".parquet":
            with _parquet().ParquetFile(file) as opened:
                yield from opened.iter_batches(batch_size=_ROWS_AT_ONCE)
        else:
            with _arrow().memory_map(str(file)) as source:
                for batch in _arrow().ipc.open_stream(source):
                    for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
                        yield batch.slice(start, _ROWS_AT_ONCE)


def _labels(schema: Any) -> dict[str, list[str]]:
    """What `datasets` notes in a file about columns of labels."""
    noted = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features = noted.get("info", {}).get("features", {})
    return {
        name: feature["names"]
        for name, feature in features.items()
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
    }


@contextmanager
def _damage_refused(file: Path) -> Iterator[None]:
    try:
        yield
    except (_arrow().ArrowException, OSError, json.JSONDecodeError) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise DataError(f"Cannot read '{file}': {first_line or type(error).__name__}.") from error


def _arrow() -> Any:
    return require("pyarrow", extra="parquet", for_what="Reading parquet and arrow files")


def _parquet() -> Any:
    return require("pyarrow.parquet", extra="parquet", for_what="Reading parquet files")
