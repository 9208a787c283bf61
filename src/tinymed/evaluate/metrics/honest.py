"""The honest metrics: each counts what its name says.

Each returns a value in [0, 1], or None for an answer that cannot be judged: a refusal, an
empty answer or, for closed questions, one that decides nothing. None counts as wrong.
"""

from __future__ import annotations

from collections import Counter

from tinymed.evaluate.metrics.verdict import is_refusal, named, options, yes_or_no
from tinymed.evaluate.metrics.words import normalized_words

_BOTH = ("both",)
_SAYS_BOTH = [_BOTH, ("bilateral",), ("bilaterally",)]
_BARE_VERDICTS = {
    normalized_words(verdict) for verdict in ("yes", "no", "是", "是的", "不是", "否")
}


def closed_accuracy(prediction: str, reference: str, question: str = "") -> float | None:
    """Whether the answer decides as the reference does, by whole words.

    A reference of yes or no is compared with the answer's verdict. Any other reference is
    an option: the answer must name it and none of the other options of the question.

    >>> closed_accuracy("Yes.", "yes"), closed_accuracy("No, it is normal", "Yes")
    (1.0, 0.0)
    >>> closed_accuracy("I cannot answer: yes", "yes") is None
    True
    >>> closed_accuracy("Abnormal opacity", "no") is None
    True
    >>> question = "Is this image normal or abnormal?"
    >>> closed_accuracy("It is abnormal", "Normal", question)
    0.0
    >>> closed_accuracy("normal or abnormal", "Normal", question) is None
    True
    >>> closed_accuracy("yes", "Left", "Is it on the left or right side?") is None
    True
    >>> closed_accuracy("the right", "Right side", "Is it on the left or right side?")
    1.0
    >>> closed_accuracy("abnormal", "normal"), closed_accuracy("both lungs", "both")
    (0.0, 1.0)
    >>> closed_accuracy("没有。", "不包含"), closed_accuracy("是的", "不是")
    (1.0, 0.0)
    >>> closed_accuracy("横断面", "冠状面", "这是哪个平面，横断面还是冠状面？")
    0.0
    """
    if is_refusal(prediction):
        return None
    wanted = normalized_words(reference)
    right = _verdict_of_reference(reference, question)
    if right is not None:
        verdict = yes_or_no(prediction, question)
        return None if verdict is None else float(verdict == right)
    answer = normalized_words(prediction)
    if wanted == _BOTH:
        return float(bool(named(answer, _SAYS_BOTH)))
    return _choice_accuracy(answer, wanted, options(question))


def _verdict_of_reference(reference: str, question: str) -> str | None:
    if not reference.isascii():
        return yes_or_no(reference, question)
    words = normalized_words(reference)
    return words[0] if words[:1] in (("yes",), ("no",)) else None


def _choice_accuracy(
    answer: tuple[str, ...], wanted: tuple[str, ...], choices: list[tuple[str, ...]]
) -> float | None:
    meant = named(wanted, choices)
    if len(meant) == 1:
        chosen = named(answer, choices)
        return float(chosen == meant) if len(chosen) == 1 else None
    if answer in _BARE_VERDICTS:
        return None
    return float(bool(named(answer, [wanted])))


def open_exact_match(prediction: str, reference: str) -> float | None:
    """Whether the two hold the same words in the same order.

    >>> open_exact_match("Left lung.", "the left lung")
    1.0
    >>> open_exact_match("left lung", "left lung lower lobe"), open_exact_match("one", "1")
    (0.0, 1.0)
    >>> open_exact_match("heart", "art"), open_exact_match("x–ray", "X-ray")
    (0.0, 1.0)
    >>> open_exact_match("I'm sorry, I cannot see the image.", "lung") is None
    True
    """
    if is_refusal(prediction):
        return None
    return float(normalized_words(prediction) == normalized_words(reference))


def open_recall(prediction: str, reference: str) -> float | None:
    """Share of the reference's words that the answer holds, each counted as often as in both.

    >>> open_recall("lung lung lung heart", "lung effusion")
    0.5
    >>> open_recall("the right lower lobe", "right lower lobe"), open_recall("heart", "art")
    (1.0, 0.0)
    >>> open_recall("", "lung") is None, open_recall("lung", "")
    (True, 0.0)
    """
    if is_refusal(prediction):
        return None
    words, wanted = Counter(normalized_words(prediction)), Counter(normalized_words(reference))
    return (words & wanted).total() / wanted.total() if wanted else 0.0


def open_token_f1(prediction: str, reference: str) -> float | None:
    """Harmonic mean of word precision and recall, each word counted as often as in both.

    Unlike recall it falls with every word too many, so a long answer cannot win by chance.

    >>> open_token_f1("lung lung lung heart", "lung effusion") == 1 / 3
    True
    >>> open_token_f1("left lung", "left lung"), open_token_f1("spleen", "liver")
    (1.0, 0.0)
    >>> open_token_f1("As an AI, I do not know", "liver") is None
    True
    """
    if is_refusal(prediction):
        return None
    words, wanted = Counter(normalized_words(prediction)), Counter(normalized_words(reference))
    return 2 * (words & wanted).total() / (words.total() + wanted.total())
