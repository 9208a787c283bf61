"""The gates: which there are, what each may do, and what it found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

GateName = Literal["quality", "film-photo", "text", "scope", "polarity", "blank", "threshold"]
Mode = Literal["off", "warn", "withhold"]
"""Off: it does not run. Warn: it raises an alert. Withhold: it turns the answer into
"cannot tell" as well (before the model runs, where it looks at nothing but image and question)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """What each gate may do; the defaults are what the shipped model was measured with."""

    quality: Mode = "warn"
    """Blurred, glaring, flat, too dark, too small pictures."""
    film_photo: Mode = "warn"
    """A photo of a film or a screen in place of the image itself."""
    text: Mode = "warn"
    """Text in the picture: a name, or an attempt to tell the model what to say."""
    scope: Mode = "withhold"
    """Images and questions that are unlike all that the model was trained on."""
    polarity: Mode = "withhold"
    """The opposite question is asked as well, and the two answers have to agree. Of a model that
    says yes to both nothing can be known, so it is withheld, though it costs most: `nano` does so
    on four pairs of five (docs/gates.md)."""
    blank: Mode = "warn"
    """The question is asked of a black image as well, and the answer should change."""
    threshold: Mode = "withhold"
    """Answers below the confidence that was chosen on the validation split."""

    def mode(self, gate: GateName) -> Mode:
        """What a gate may do."""
        found: Mode = getattr(self, gate.replace("-", "_"))
        return found


AlertCode = Literal[
    "blurred",
    "glare",
    "low-contrast",
    "too-dark",
    "too-bright",
    "low-resolution",
    "film-photo",
    "text-in-image",
    "image-out-of-scope",
    "question-out-of-scope",
    "question-language",
    "contradiction",
    "unchanged-without-image",
    "low-confidence",
    "single-slice",
    "spacing-missing",
    "not-calibrated",
]
"""What an alert says; surfaces translate by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something a reader of an answer has to know."""

    code: AlertCode
    gate: GateName | None
    """The gate that raised it, if one did."""
    withholds: bool
    """Whether the answer is withheld because of it."""
    detail: str
    """One English sentence."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """What was measured, by name with unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOutcome:
    """What one gate did with one answer."""

    gate: GateName
    mode: Mode
    outcome: Literal["passed", "warned", "withheld", "not-applicable"]
    """Not applicable: there is no opposite of the question, no calibration, …; `why` says so."""
    why: str = ""
