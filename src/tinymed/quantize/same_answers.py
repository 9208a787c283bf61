"""How many answers a build gives as its reference does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinymed.evaluate.intervals import bootstrap_interval
from tinymed.evaluate.metrics.verdict import is_refusal, named, options, yes_or_no
from tinymed.evaluate.metrics.words import normalized_words


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPair:
    """What both answered to one question."""

    image: str
    """The image's name: answers about one image stand or fall together."""
    question: str
    is_closed: bool
    reference: str
    build: str

    @property
    def is_same(self) -> bool:
        """Whether both decide alike or, for an open question, say the same words."""
        if self.is_closed:
            return decision(self.reference, self.question) == decision(self.build, self.question)
        return normalized_words(self.reference) == normalized_words(self.build)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Same answers over one kind of question."""

    num_same: int
    num_questions: int
    interval: tuple[float, float] | None
    """95 %, of the share, whole images resampled; None for no questions."""
    num_undecided: int
    """Closed questions that the reference's answer does not decide; there the words count."""
    commonest: float | None
    """Share of the reference's commonest decision. Near 1 the set could not show much."""

    @property
    def share(self) -> float | None:
        """Same answers among all; None for no questions."""
        return self.num_same / self.num_questions if self.num_questions else None


def decision(answer: str, question: str) -> tuple[str, ...]:
    """What an answer to a closed question decides; its words, where it decides nothing.

    >>> decision("Yes, on the left.", "Is there a mass?"), decision("yes", "Is there a mass?")
    (('yes',), ('yes',))
    >>> decision("It is on the right side", "Is it on the left or right side?")
    ('right',)
    >>> decision("I cannot tell.", "Is there a mass?")
    ('i', 'cannot', 'tell')
    """
    if not is_refusal(answer):
        words = normalized_words(answer)
        chosen = named(words, options(question))
        if len(chosen) == 1:
            return chosen.pop()
        verdict = yes_or_no(answer, question)
        if verdict is not None:
            return (verdict,)
    return normalized_words(answer)


def is_decided(answer: str, question: str) -> bool:
    """Whether an answer to a closed question decides anything.

    >>> is_decided("no", "Is there a mass?"), is_decided("a mass", "Is there a mass?")
    (True, False)
    """
    if is_refusal(answer):
        return False
    one_option = len(named(normalized_words(answer), options(question))) == 1
    return one_option or yes_or_no(answer, question) is not None


def agreement(pairs: Sequence[AnswerPair], *, closed: bool) -> Agreement:
    """Count the same answers among the closed questions, or among the open ones."""
    asked = [pair for pair in pairs if pair.is_closed == closed]
    decisions = [decision(pair.reference, pair.question) for pair in asked]
    same = [pair.is_same for pair in asked]
    return Agreement(
        num_same=sum(same),
        num_questions=len(asked),
        interval=bootstrap_interval([float(one) for one in same], [one.image for one in asked])
        if asked
        else None,
        num_undecided=sum(closed and not is_decided(one.reference, one.question) for one in asked),
        commonest=max(map(decisions.count, decisions)) / len(asked) if asked else None,
    )
