"""What a report of profiles holds, drawn together from run folders and plans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tinymed.pages.document import Definitions, Document, Section
from tinymed.profile.pareto.folders import Folders, read_folders
from tinymed.profile.pareto.join import Named, SampleFront, join, named_points
from tinymed.profile.pareto.weigh import (
    QUALITIES,
    Front,
    ParetoSettings,
    front_of,
    weigh,
)
from tinymed.profile.plan.plan import Plan
from tinymed.profile.report.figures_shown import figures_section
from tinymed.profile.report.front_shown import Shown, front_section
from tinymed.profile.report.phases_shown import phases_section
from tinymed.profile.report.plans_shown import plans_section
from tinymed.profile.report.predicted_shown import predicted_section
from tinymed.profile.report.provenance import commands_section, machine_section
from tinymed.profile.report.published_shown import published_section
from tinymed.profile.report.summary import (
    front_sentences,
    plan_sentences,
    predicted_sentences,
    warnings,
)
from tinymed.records import NOTICE

KIND = "Profile"
QUALITIES_SHOWN = ("closed", "open")
COSTS_SHOWN = ("peak", "first-token")

WORDS = {
    "front": "The builds that no other beats: none is at least as good in quality and in cost, and "
    "better in one.",
    "dominated": "Another build is at least as good in both and better in one, also where both "
    "stand at the bad and the good end of their intervals.",
    "not told apart": "Dominated by the figures, but intervals overlap: on other questions or in "
    "other runs it might not be. `tinymed evaluate compare` pairs the answers of two builds and "
    "sees smaller differences.",
    "interval": "Of a quality: 95 %, by drawing the images anew with all their questions. Of a "
    "time: from its quickest run to its 95th percentile.",
    "p95": "95 of 100 runs are no slower.",
    "random weights": "A known shape with made-up numbers: it takes the time and the memory of the "
    "real model, and its answers mean nothing.",
    "refused by the gate": "The build's answers differ from its model's by more than rounding: "
    "tinymed does not use it.",
    "published": "Printed by others; hollow in plots. Set beside yours only by the same metric on "
    "the same questions, and even then not comparable in what its row names.",
    "busy machine": "Other programs took processor time, or runs differed widely, while it was "
    "measured.",
    "MiB, GiB": "2**20 and 2**30 bytes.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSettings:
    """What a report is made of."""

    folders: tuple[Path, ...] = ()
    """Of `tinymed profile run` and `tinymed evaluate run`."""
    plans: tuple[Plan, ...] = ()
    qualities: tuple[str, ...] = QUALITIES_SHOWN
    costs: tuple[str, ...] = COSTS_SHOWN
    with_published: bool = True
    command: str = ""
    """The command that writes it, for the page to show."""


def read_document(settings: ReportSettings) -> Document:
    """Read the folders and set out the page.

    Raises:
        DataError: If a folder cannot be used.
    """
    folders = read_folders(settings.folders)
    fronts = join(folders)
    summed = [
        front_of(one, QUALITIES.get(settings.qualities[0], settings.qualities[0]), [cost])
        for one in fronts
        for cost in settings.costs
    ]
    return _document(settings, folders, fronts, summed)


def pareto_document(settings: ParetoSettings, *, command: str = "") -> Document:
    """The page of one weighing: its metric, its costs, its samples, what fits its bounds.

    Args:
        settings: What is weighed.
        command: The command that writes it, for the page to show.

    Raises:
        DataError, ConfigError: As `weigh`.
    """
    weighed = weigh(settings)
    report = ReportSettings(
        folders=settings.folders,
        qualities=(settings.quality,),
        costs=settings.costs,
        with_published=settings.with_published,
        command=command,
    )
    return _document(
        report,
        read_folders(settings.folders),
        [front.sample_front for front in weighed],
        weighed,
    )


def _document(
    settings: ReportSettings,
    folders: Folders,
    fronts: Sequence[SampleFront],
    summed: Sequence[Front],
) -> Document:
    points = named_points(folders)
    sentences = [
        *(sentence for front in summed for sentence in front_sentences(front)),
        *predicted_sentences(points),
        *plan_sentences(settings.plans),
    ]
    return Document(
        title=_title(points, settings.plans),
        kind=KIND,
        facts=_facts(folders, settings.plans),
        notice=NOTICE,
        warnings=tuple(warnings(points)),
        summary=tuple(sentences),
        sections=tuple(_sections(settings, folders, fronts, points)),
    )


def _sections(
    settings: ReportSettings,
    folders: Folders,
    fronts: Sequence[SampleFront],
    points: Sequence[Named],
) -> list[Section]:
    shown = Shown(
        qualities=settings.qualities, costs=settings.costs, with_published=settings.with_published
    )
    found: list[Section | None] = [front_section(one, shown) for one in fronts]
    if points:
        found += [phases_section(points), predicted_section(points), figures_section(points)]
    found.append(plans_section(settings.plans))
    found.append(published_section() if settings.with_published else None)
    found.append(machine_section(folders.profiles))
    found.append(commands_section(folders, this_page=settings.command))
    found.append(Section(id="reading", title="How to read it", blocks=(Definitions(words=WORDS),)))
    return [section for section in found if section is not None]


def _title(points: Sequence[Named], plans: Sequence[Plan]) -> str:
    every = [*(one.point.model for one in points), *(plan.model for plan in plans)]
    models = list(dict.fromkeys(every))
    if len(models) < 2:  # noqa: PLR2004 - one takes, two take
        return f"What {models[0]} takes" if models else KIND
    return f"What {', '.join(models[:-1])} and {models[-1]} take"


def _facts(folders: Folders, plans: Sequence[Plan]) -> dict[str, str]:
    counts = {
        "points measured": len(folders.points),
        "evaluations": len(folders.evaluations),
        "plans": len(plans),
    }
    devices = dict.fromkeys(point.device for point in folders.points)
    facts = {name: str(count) for name, count in counts.items() if count}
    return facts | ({"device": ", ".join(devices)} if devices else {})
