"""A closed question answered by how likely the model finds each choice, not by sampling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tinymed.engines.decoding import ChosenToken, ScoredChoice
from tinymed.engines.protocol import EncodedImage, Engine

_LONGEST_CAPITALS = 4
"""Letters of a choice that may be an abbreviation: "mri", "t2"."""
_NO_ABBREVIATION = ("yes", "no")
"""Of 6,715 training references one is in capitals; being several tokens, those would cost an answer
a third of its time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """How likely each choice of a question is, against the others."""

    probabilities: dict[str, float]
    """By choice; they add up to 1."""
    tokens: dict[str, tuple[ChosenToken, ...]]
    """Those of each choice's likeliest spelling, the end token included."""
    num_prompt_tokens: int = 0
    """Read before each of them, image tokens included."""

    @property
    def best(self) -> str:
        """The likeliest choice; the first of the question on a tie."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def confidence(self) -> float:
        """The probability of the likeliest choice against the others."""
        return self.probabilities[self.best]


def score_choices(
    engine: Engine, image: EncodedImage, question: str, choices: Sequence[str]
) -> Scored:
    """Weigh the choices of a question against each other.

    A choice is as likely as all its spellings together, the end of the answer included:
    the data sets write "Yes" as well as "yes", and which one a model prefers goes by the
    wording of the question, not by what it sees.

    Raises:
        UserError: If the question or a choice does not fit the model.
    """
    spelt = {choice: spellings(choice) for choice in choices}
    flat = [spelling for found in spelt.values() for spelling in found]
    scored = iter(engine.score(image, question, flat))
    by_choice = {choice: [next(scored) for _ in found] for choice, found in spelt.items()}
    return _weighed(by_choice)


def spellings(choice: str) -> list[str]:
    """How a model may write a choice.

    >>> spellings("yes"), spellings("transverse plane")
    (['yes', 'Yes'], ['transverse plane', 'Transverse plane', 'Transverse Plane'])
    >>> spellings("mri")
    ['mri', 'Mri', 'MRI']
    """
    found = [choice, choice.lower(), choice[:1].upper() + choice[1:], choice.title()]
    if len(choice) <= _LONGEST_CAPITALS and choice.lower() not in _NO_ABBREVIATION:
        found.append(choice.upper())
    return list(dict.fromkeys(found))


def _weighed(by_choice: dict[str, list[ScoredChoice]]) -> Scored:
    highest = max(one.log_probability for found in by_choice.values() for one in found)
    weights = {
        choice: sum(math.exp(one.log_probability - highest) for one in found)
        for choice, found in by_choice.items()
    }
    total = sum(weights.values())
    likeliest = {
        choice: max(found, key=lambda one: one.log_probability)
        for choice, found in by_choice.items()
    }
    return Scored(
        probabilities={choice: weight / total for choice, weight in weights.items()},
        tokens={choice: one.tokens for choice, one in likeliest.items()},
        num_prompt_tokens=max(one.num_prompt_tokens for one in likeliest.values()),
    )
