"""What gates cost: how much is still answered, how much of it is right, what is withheld."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tinymed.evaluate.audit.figures import Figure, Floats, Resamples
from tinymed.evaluate.metrics.table import accuracy
from tinymed.evaluate.pairing import Pair
from tinymed.evaluate.score import cluster
from tinymed.records import Prediction
from tinymed.safe.decide import GATES, decide
from tinymed.safe.gate import GateName, Gates, Mode
from tinymed.safe.observe import Observed
from tinymed.safe.policy import GateCost, SafetyPolicy
from tinymed.safe.question_kind import read_question

KINDS = ("all", "yes-no", "choice", "open")
SHIPPED = "as shipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRow:
    """One setting of the gates over one kind of question, each figure with its interval."""

    gates: str
    """As in `GateCost`."""
    kind: str
    """Of question, as it was read, whatever the data set calls it; or "all"."""
    coverage: Figure
    """Share of questions that are answered."""
    accuracy: Figure
    """Among those answered: `closed_accuracy` or `open_exact_match`, by the data set's label."""
    wrong_withheld: Figure
    """Share of the wrong answers that are withheld."""
    right_withheld: Figure
    """Share of the right answers that are withheld."""


def settings_to_measure() -> dict[str, Gates]:
    """No gate, each alone, all together, all but each, all withholding; and the defaults."""
    off = _with(Gates(), GATES, "off")
    every = _with(Gates(), GATES, "withhold")
    return {
        "none": off,
        **{gate: _with(off, [gate], "withhold") for gate in GATES},
        "all": every,
        **{f"all but {gate}": _with(every, [gate], "off") for gate in GATES},
        SHIPPED: Gates(),
    }


def _with(gates: Gates, names: Sequence[GateName], mode: Mode) -> Gates:
    modes: dict[str, Mode] = {name.replace("-", "_"): mode for name in names}
    return replace(gates, **modes)


def right(observed: Observed) -> bool:
    """Whether the model's own answer is right, were it given; one that decides nothing is not."""
    prediction = Prediction(id=observed.sample.id, text=observed.said.text)
    return accuracy(Pair(sample=observed.sample, prediction=prediction)) == 1.0


def costs(observed: Sequence[Observed], *, policy: SafetyPolicy, seed: int = 0) -> list[CostRow]:
    """Measure every setting over every kind of question; a kind without questions is left out."""
    questions = [read_question(one.sample.question) for one in observed]
    befores = [one.before.with_question(one.sample.question) for one in observed]
    is_right = np.array([right(one) for one in observed], dtype=np.float64)
    whole = [cluster(one.sample) for one in observed]
    places = {
        kind: [at for at, asked in enumerate(questions) if kind in ("all", asked.kind)]
        for kind in KINDS
    }
    resamples = {
        kind: Resamples([whole[at] for at in found], whole=whole, seed=seed)
        for kind, found in places.items()
        if found
    }
    figures: dict[tuple[str, bytes], dict[str, Figure]] = {}
    rows = []
    for name, gates in settings_to_measure().items():
        given = np.array(
            [
                not decide(asked, before, one.said, gates=gates, policy=policy).is_withheld
                for asked, before, one in zip(questions, befores, observed, strict=True)
            ]
        )
        for kind, draws in resamples.items():
            at = places[kind]
            # Many settings withhold the same answers.
            key = kind, given[at].tobytes()
            if key not in figures:
                figures[key] = _figures(draws, given[at], is_right[at])
            rows.append(CostRow(gates=name, kind=kind, **figures[key]))
    return rows


def _figures(draws: Resamples, given: npt.NDArray[np.bool_], is_right: Floats) -> dict[str, Figure]:
    withheld = (~given).astype(np.float64)
    return {
        "coverage": draws.share(1 - withheld),
        "accuracy": draws.share(is_right, among=given),
        "wrong_withheld": draws.share(withheld, among=is_right == 0),
        "right_withheld": draws.share(withheld, among=is_right == 1),
    }


def without_intervals(rows: Sequence[CostRow], *, split: str) -> tuple[GateCost, ...]:
    """The figures alone, as a policy carries them."""
    return tuple(
        GateCost(
            split=split,
            gates=row.gates,
            kind=row.kind,
            num_samples=row.coverage.num_samples,
            coverage=row.coverage.value,
            accuracy=row.accuracy.value,
            wrong_withheld=row.wrong_withheld.value,
            right_withheld=row.right_withheld.value,
        )
        for row in rows
    )


def by_kind(rows: Sequence[CostRow]) -> Mapping[str, list[CostRow]]:
    """Rows of each kind of question, in their order."""
    return {kind: [row for row in rows if row.kind == kind] for kind in KINDS}
