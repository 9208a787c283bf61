"""A report and samples; every number is made up, every text is trouble."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tinymed.evaluate.gains import Gain
from tinymed.evaluate.report.report import HEADINGS, Report
from tinymed.records import Sample, Score

MEAN = '"><script>alert(1)</script>'
RIGHT_TO_LEFT = "هل هناك كسر؟ \u202eabc"
LONG = "W" * 400


def made_up(
    metric: str, value: float, *, subset: str = "closed", n: int = 100, unparsed: int = 0
) -> Score:
    """A score whose interval reaches 0.05 to both sides."""
    return Score(
        metric=metric,
        subset=subset,
        value=value,
        interval=(max(0.0, value - 0.05), min(1.0, value + 0.05)),
        num_samples=n,
        num_unparsed=unparsed,
    )


def scores_of(value: float) -> list[Score]:
    scores = [
        made_up("llava_med_open_recall", value, subset="open"),
        made_up("llava_med_closed_published", value),
        made_up("llava_med_closed_run_eval_before_fix", value, n=round(100 * value)),
        made_up("accuracy", value, subset="all", n=200, unparsed=3),
        made_up("closed_accuracy", value, unparsed=3),
        made_up("open_exact_match", value, subset="open"),
        made_up("open_recall", value, subset="open"),
        made_up("open_bleu_1", value, subset="open"),
    ]
    for part, n in (("modality=MRI", 19), ("modality=CT", 20), (f"body_part={MEAN}", 5)):
        for metric in ("closed_accuracy", "open_recall", "open_exact_match", "open_token_f1"):
            scores += [made_up(metric, value, subset=part, n=n)]
    return scores


def gains_of(model: Sequence[Score], control: Sequence[Score]) -> list[Gain]:
    """Gains whose intervals reach 0.1 to both sides."""
    of_control = {(one.metric, one.subset): one.value for one in control}
    found = []
    for one in model:
        value = one.value - of_control.get((one.metric, one.subset), one.value)
        interval = (value - 0.1, value + 0.1)
        found.append(Gain(metric=one.metric, subset=one.subset, value=value, interval=interval))
    return found


def made_up_report(
    conditions: Mapping[str, Sequence[Score]] | None = None, **fields: Any
) -> Report:
    """A report whose model has 0.7 everywhere and whose controls have less and less."""
    if conditions is None:
        values = [0.7 - 0.04 * place for place in range(len(HEADINGS))]
        conditions = {name: scores_of(value) for name, value in zip(HEADINGS, values, strict=True)}
    given: dict[str, Any] = {
        "run": {"model": "made-up", "samples": "test.jsonl"},
        "gains": {name: gains_of(conditions["model"], conditions[name]) for name in conditions},
        **fields,
    }
    return Report(conditions=conditions, num_samples=200, **given)


def made_up_samples(folder: Path) -> list[Sample]:
    """One closed question about each of five files: grey, colour, gone, no image, none."""
    Image.fromarray(np.full((300, 200), 90, np.uint8)).save(folder / "grey.png")
    noise = np.random.default_rng(0).integers(0, 256, (600, 600, 3)).astype(np.uint8)
    Image.fromarray(noise).save(folder / "noise.png")
    (folder / "text.png").write_text("no image at all")
    files = ("grey.png", "noise.png", "gone.png", "text.png", None)
    questions = ("Is there a mass?", MEAN, RIGHT_TO_LEFT, LONG, "Is it \x00 odd \ud800?")
    return [
        Sample(
            id=str(number),
            question=question,
            reference="yes",
            answer_type="closed",
            image=None if file is None else folder / file,
        )
        for number, (file, question) in enumerate(zip(files, questions, strict=True))
    ]
