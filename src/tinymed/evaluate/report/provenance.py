"""How a report was made, how to make it again, and how to read it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from tinymed.evaluate.report.facts import pairs_table, shown, words
from tinymed.evaluate.report.figures import FEW_SAMPLES
from tinymed.evaluate.report.report import Report
from tinymed.pages.document import Cell, Code, Definitions, Section, Text

_HASHES = (
    "The sha256 of samples is taken over id, question, reference, answer type and group of each, "
    "so that it does not change with the folder the images lie in. A run folder also holds every "
    "answer; scores.json holds every figure on this page."
)

_CONTROLS = {
    "always yes, always no": "One word for every question: what guessing is worth on this set.",
    "question only": "The most common answer to the same question in the train samples; no image, "
    "no model.",
    "nearest question": "Where train holds the same image: the answer to its train question that "
    "shares most words. It looks at no picture and shows what remembering train is worth.",
    "image blanked": "The model, asked about a black image.",
    "images shuffled": "The model, asked about the image of another patient.",
}

GLOSSARY = {
    "closed and open question": "A closed question has a choice of answers, mostly yes or no; an "
    "open one is answered in free words. The data set says which is which.",
    "interval": "In brackets behind or below a figure: how far it may be off by the luck of which "
    "images were asked about. The images are drawn again 2,000 times, each with all its "
    "questions, because these stand or fall together (bootstrap over groups); 95 of 100 draws "
    "give a figure in the interval. The fewer the images, the wider it is.",
    "gain": "The model's figure less a control's. Both are drawn again over the same images, so "
    "the interval is that of the difference; where it reaches nought, nothing is claimed.",
    "control": "An answer that cannot come from the image. A model that does not beat every "
    "control is not shown to look.",
    **_CONTROLS,
    "n": f"Number of questions a figure is over. Below {FEW_SAMPLES} it is greyed and marked †.",
    "unparsed": "Answers that decide nothing or refuse. Honest metrics count them as wrong.",
    "honest metric": "Counts what its name says.",
    "published metric": "Computed as the scripts behind published tables do, so that a new figure "
    "can be set beside an old one. Its known defects stand in its footnote.",
    "confidence": "The model's own probability of exactly its answer. It is not calibrated: 90 % "
    "does not mean right nine times in ten.",
}


def provenance_section(report: Report) -> Section:
    """Everything run.json says, and the command to repeat it."""
    run = report.run
    rows = {words(key): Cell(text=shown(one)) for key, one in run.items() if one is not None}
    return Section(
        id="again",
        title="To make this again",
        blocks=(
            Text(paragraphs=(_how(run), *_limit(run))),
            Code(text=command(report)),
            Text(paragraphs=(_HASHES,)),
            pairs_table(rows, "What was run (run.json)", kind="code"),
        ),
    )


def _how(run: Mapping[str, Any]) -> str:
    version = run.get("tinymed_version")
    return f"With tinymed{'' if version is None else f' {version}'} and files of the sha256 below:"


def _limit(run: Mapping[str, Any]) -> tuple[str, ...]:
    limit = run.get("limit")
    return () if limit is None else (f"Only the first {limit} samples were asked.",)


def command(report: Report) -> str:
    """The shell command that repeats a run, on a machine that has the same files."""
    run = report.run
    words_of_command = ["tinymed", "evaluate", "run", str(run.get("model", "MODEL"))]
    for key in ("samples", "train", "engine", "scheme", "limit"):
        if run.get(key) is not None:
            words_of_command += [f"--{key}", str(run[key])]
    if not {"blank", "shuffled"} & set(report.conditions):
        words_of_command.append("--no-controls")
    words_of_command += ["--out", "runs/again"]
    return shlex.join(words_of_command)


def reading_section() -> Section:
    """The words of a report."""
    return Section(id="reading", title="How to read it", blocks=(Definitions(words=GLOSSARY),))
