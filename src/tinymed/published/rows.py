"""What others printed for the same data sets, with scorer, split and source."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from tinymed.errors import ConfigError

UNKNOWN = "unknown"
"""The train split of a row whose source does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A data set that figures were published for."""

    name: str
    title: str
    num_open: int
    """Open questions of the test split."""
    num_closed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorer:
    """The code that made a published figure."""

    name: str
    code: str
    rule: str
    closed_metric: str | None
    """Our metric by the same rule for closed questions; None where the rule is not known."""
    open_metric: str | None
    """The same for open questions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSplit:
    """A split recognised by its samples."""

    dataset: str
    split: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRow:
    """Two figures of one system on one test split."""

    system: str
    parameters: str | None
    """None where the source does not say, and where there is no model."""
    dataset: str
    is_blind: bool
    """No model at all: measured by us, under the published rules."""
    test_split: str
    train_split: str
    """"none" for zero-shot; "unknown" where the source does not say."""
    training: str
    scorer: str
    """A name of `scorers`."""
    open: str | None
    """Percent as printed; None where nothing was."""
    closed: str | None
    decoding: str | None
    """None where there is no model."""
    source: str
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeRow:
    """How a judge rated one system against text-only GPT-4."""

    system: str
    parameters: str
    scorer: str
    """The judge; tables of different judges are not comparable."""
    split: str
    scores: Mapping[str, str]
    """Percent of GPT-4's score, as printed, by question type, domain and overall."""
    source: str
    remarks: tuple[str, ...]


@cache
def _read() -> dict[str, Any]:
    text = files(__package__).joinpath("rows.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def datasets() -> dict[str, Dataset]:
    """The data sets by name."""
    return {name: Dataset(name=name, **row) for name, row in _read()["datasets"].items()}


def scorers() -> dict[str, Scorer]:
    """The scorers by the name that rows give.

    >>> scorers()["TLMF"].closed_metric
    'tinyllava_med_closed'
    """
    return {
        name: Scorer(
            name=name,
            code=row["code"],
            rule=row["rule"],
            closed_metric=row.get("closed_metric"),
            open_metric=row.get("open_metric"),
        )
        for name, row in _read()["scorers"].items()
    }


def known_split(samples_sha256: str | None) -> KnownSplit | None:
    """The split whose samples have this digest (`samples_digest`), if it is one we know."""
    for row in _read()["splits"]:
        if row["sha256"] == samples_sha256:
            return KnownSplit(dataset=row["dataset"], split=row["split"])
    return None


def published_rows(dataset: str) -> tuple[PublishedRow, ...]:
    """Every published figure for a data set, and the blind answers measured under its rules.

    Raises:
        ConfigError: If nothing was published here for a data set of this name.

    Example:
        >>> row = published_rows("slake")[0]
        >>> row.system, row.open, row.closed, row.scorer
        ('LLaVA-Med (from LLaVA)', '83.08', '85.34', 'batch')
    """
    if dataset not in datasets():
        raise ConfigError(f"No published rows for '{dataset}'. Known: {', '.join(datasets())}.")
    return tuple(_row(one, dataset) for one in _read()["systems"] if dataset in one)


def _row(system: Mapping[str, Any], dataset: str) -> PublishedRow:
    figures = system[dataset]
    return PublishedRow(
        system=system["system"],
        parameters=system.get("parameters"),
        dataset=dataset,
        is_blind=system.get("blind", False),
        test_split="test",
        train_split=figures["train_split"],
        training=system["training"],
        scorer=system["scorer"],
        open=figures.get("open"),
        closed=figures.get("closed"),
        decoding=system.get("decoding"),
        source=system["source"],
        remarks=tuple(figures.get("remarks", ())),
    )


def judge_rows() -> tuple[JudgeRow, ...]:
    """Every published row of a GPT-4 judge's table.

    >>> judge_rows()[0].scores["overall"]
    '39.38'
    """
    found = _read()["judge"]
    return tuple(
        JudgeRow(
            system=row["system"],
            parameters=row["parameters"],
            scorer=table["judge"],
            split=table["split"],
            scores=dict(zip(found["metrics"], row["scores"], strict=True)),
            source=table["source"],
            remarks=tuple(row.get("remarks", ())),
        )
        for table in found["tables"]
        for row in table["rows"]
    )


def judge_counts() -> dict[str, int]:
    """How many questions each column of a judge's table is over."""
    found = _read()["judge"]
    return dict(zip(found["metrics"], found["counts"], strict=True))
