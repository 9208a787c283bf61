"""The published metrics, one item at a time, to be compared with published tables.

None of these is a fair measure: the docstrings say what each one really counts. They stand
beside the honest metrics so that a reader can place a new number next to an old one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tinymed.evaluate.metrics.normalize import normalize


@lru_cache(maxsize=4096)
def _counts(text: str) -> Counter[str]:
    # The originals normalize before they call and again inside; this shows only in
    # strings of more than 32 periods, and there it is part of the published number.
    return Counter(normalize(normalize(text)).split())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Overlap:
    """The counts that the four open metrics are made of."""

    num_answered: int
    """Words of the answer."""
    matched: int
    """Of these, how many occur in the reference."""
    missed: int
    """Words of the reference that the answer lacks."""
    found: int
    """Different words of the reference that the answer holds."""


@lru_cache(maxsize=1024)
def _overlap(prediction: str, reference: str) -> _Overlap:
    words, wanted = _counts(prediction), _counts(reference)
    common = words.keys() & wanted.keys()
    return _Overlap(
        num_answered=words.total(),
        matched=sum(words[word] for word in common),
        missed=wanted.total() - sum(wanted[word] for word in common),
        found=len(common),
    )


def llava_med_open_precision(prediction: str, reference: str) -> float:
    """Share of the answer's words that occur anywhere in the reference.

    >>> llava_med_open_precision("lung lung lung heart", "lung effusion")
    0.75
    """
    overlap = _overlap(prediction, reference)
    return overlap.matched / overlap.num_answered if overlap.matched else 0.0


def llava_med_open_recall(prediction: str, reference: str) -> float:
    """The published "Open": matched words over matched words plus reference words missed.

    Matches are counted in the answer, so saying a right word often raises it, and neither
    word order nor extra words cost anything.

    >>> llava_med_open_recall("lung lung lung heart", "lung effusion")
    0.75
    """
    overlap = _overlap(prediction, reference)
    matched = overlap.matched
    return matched / (matched + overlap.missed) if matched else 0.0


def llava_med_open_f1(prediction: str, reference: str) -> float:
    """Harmonic mean of the published precision and recall.

    >>> llava_med_open_f1("nodule", "the right lower lobe shows a small nodule") == 2 / 7
    True
    """
    precision = llava_med_open_precision(prediction, reference)
    recall = llava_med_open_recall(prediction, reference)
    return 2 * precision * recall / (precision + recall) if precision else 0.0


def llava_med_open_exact(prediction: str, reference: str) -> float:
    """The published "exact match": reference words found, over words answered.

    It is not an exact match: one right word of a long reference scores 1.

    >>> llava_med_open_exact("nodule", "the right lower lobe shows a small nodule")
    1.0
    """
    overlap = _overlap(prediction, reference)
    return overlap.found / overlap.num_answered if overlap.found else 0.0


def llava_med_open_substring(prediction: str, reference: str) -> float:
    """Whether the reference's letters occur in the answer, inside words too.

    >>> llava_med_open_substring("heart", "art"), llava_med_open_substring("lung", "")
    (1.0, 1.0)
    """
    return float(normalize(reference) in normalize(prediction))


def llava_med_open_candidate(
    prediction: str, reference: str, candidates: Sequence[str | int]
) -> float:
    """Whether the candidate closest to the answer is the reference.

    The closest has the largest share of its distinct words in the answer, the first one on
    a tie; where nothing overlaps, that is the first of the list. The candidates that the
    published tables used were never released.

    Raises:
        ValueError: If there are no candidates.

    Example:
        >>> candidates = ["pleural effusion", "right lower lobe", "left lower lobe"]
        >>> llava_med_open_candidate("lower lobe", "right lower lobe", candidates)
        1.0
        >>> llava_med_open_candidate("kidney", "pleural effusion", candidates)
        1.0
    """
    return Candidates(candidates).accuracy(prediction, reference)


class Candidates:
    """Candidate answers, normalized once for any number of `llava_med_open_candidate`s."""

    def __init__(self, candidates: Sequence[str | int]) -> None:
        """Take the candidates in the order that decides ties.

        Raises:
            ValueError: If there are none.
        """
        if not candidates:
            raise ValueError("There are no candidates.")
        self._normalized = [normalize(str(candidate)) for candidate in candidates]
        self._sizes = np.array([len(set(one.split())) or 1 for one in self._normalized])
        holding: dict[str, list[int]] = {}
        for place, candidate in enumerate(self._normalized):
            for word in set(candidate.split()):
                holding.setdefault(word, []).append(place)
        self._holding = {word: np.array(places) for word, places in holding.items()}

    def accuracy(self, prediction: str, reference: str) -> float:
        """Whether the candidate closest to the answer is the reference."""
        num_found = np.zeros(len(self._sizes))
        for word in set(normalize(prediction).split()):
            if word in self._holding:
                num_found[self._holding[word]] += 1
        closest = self._normalized[int(np.argmax(num_found / self._sizes))]
        return float(closest == normalize(reference))


def llava_med_closed_published(prediction: str, reference: str) -> float:
    """The closed accuracy of LLaVA-Med's published table (`run_eval_batch.py`).

    A substring test, so "no" is found in "normal", "abnormal", "nodule" and "cannot".

    >>> llava_med_closed_published("I cannot see the image", "no")
    1.0
    """
    return float(normalize(reference) in normalize(prediction))


def llava_med_closed_run_eval(prediction: str, reference: str) -> float:
    """LLaVA-Med's `run_eval.py`: substring, and 0 without "yes" or "no" somewhere.

    >>> llava_med_closed_run_eval("MRI", "MRI"), llava_med_closed_run_eval("abnormal", "no")
    (0.0, 1.0)
    """
    text = normalize(prediction)
    return float(("yes" in text or "no" in text) and normalize(reference) in text)


def llava_med_closed_run_eval_before_fix(prediction: str, reference: str) -> float | None:
    """`run_eval.py` before its commit b9a98a7; None leaves the mean altogether.

    A wrong answer that holds "yes" or "no" vanishes instead of counting as wrong.

    >>> llava_med_closed_run_eval_before_fix("No", "yes") is None
    True
    """
    text = normalize(prediction)
    if "yes" not in text and "no" not in text:
        return 0.0
    return 1.0 if normalize(reference) in text else None


def tinyllava_med_closed(prediction: str, reference: str) -> float:
    """The closed accuracy of TinyLLaVA-Med and Med-MoE: lower-cased substring.

    >>> tinyllava_med_closed("none", "no"), tinyllava_med_closed("1", "one")
    (1.0, 0.0)
    """
    return float(reference.lower() in prediction.lower())


_ANSWER_OPENINGS = (
    "**answer**:",
    "**answer**",
    "*answer*:",
    "**answer:**",
    "answer is",
    "answer:",
    "答案:",
    "final answer",
)


def medevalkit_closed(prediction: str, reference: str) -> float | None:
    """MedEvalKit's rule for yes/no questions; None where the reference is not yes or no.

    What stands in a box, an answer tag or behind "answer is" counts alone. Right if the text
    holds exactly one of "yes" and "no" (inside words too) and it is the reference.

    Source:
        MedEvalKit `utils/utils.py` (`judge_judgement`) and `utils/VQA_RAD/VQA_RAD.py`;
        written anew from their rules.

    Example:
        >>> medevalkit_closed("The answer is: yes.", "Yes"), medevalkit_closed("normal", "no")
        (1.0, 1.0)
        >>> medevalkit_closed("yes or no", "no"), medevalkit_closed("left", "left")
        (0.0, None)
    """
    wanted = reference.lower().strip()
    if wanted not in ("yes", "no"):
        return None
    text = _marked_answer(prediction.lower())
    for opening in _ANSWER_OPENINGS:
        text = text.split(opening)[-1]
    text = text.replace("\n", "").replace(".", "")
    return float(("yes" in text) != ("no" in text) and wanted in text)


def _marked_answer(text: str) -> str:
    """What stands in the last box or between answer tags, else the whole text."""
    _, box, content = text.rpartition("\\boxed{")
    depth = 1
    for place, letter in enumerate(content if box else ""):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if depth == 0:
            return content[:place].strip()
    if "boxed" in text:
        return ""
    tagged = [piece.partition("</answer>") for piece in text.split("<answer>")[1:]]
    return " ".join(inside for inside, end, _ in tagged if end).strip() or text
