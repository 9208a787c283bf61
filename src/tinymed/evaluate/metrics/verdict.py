"""What an answer in free words decides, in English or Chinese: yes, no, an option, nothing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Literal

from tinymed.evaluate.metrics.words import find_words, normalized_words

_SPEAKER = re.compile(
    r"^\W*(?:(?:(?:human|user|assistant|answer|response)\s*:|(?:the )?answer is\b)\W*)+",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<!\d)[.!?;\n]+(?!\d)|(?<=\d)[.!?;\n]+(?=\s|$)")

# Read on normalized words: apostrophes and articles are gone.
_REFUSAL = re.compile(
    r"\b(?:"
    r"im sorry|i am sorry|i apologi[sz]e|as an ai|language model|"
    r"not sure|unsure|uncertain|undetermined|indeterminate|inconclusive|"
    r"(?:dont|do not|didnt|did not) (?:know|have)|insufficient information|more information|"
    r"(?:cannot|cant|can not|could not|couldnt|unable to|not able to|not possible to|"
    r"impossible to) (?:\w+ )?(?:answer|access|determine|tell|say|judge|decide|provide|assist|"
    r"help|diagnose|interpret|analy[sz]e|assess|evaluate|know|see (?:this |your |any )?image|"
    r"view (?:this |your |any )?image|be (?:answered|determined|assessed|evaluated|judged))"
    r")\b"
)
_REFUSALS_OPEN_WITH = """
    as can cannot cant could couldnt did didnt do dont i im impossible inconclusive indeterminate
    insufficient language more not unable uncertain undetermined unsure
"""
_OPENS_A_REFUSAL = frozenset(_REFUSALS_OPEN_WITH.split())
"""The first words of _REFUSAL's alternatives: without one of them it need not be searched."""
_NEGATIVE_STATEMENT = re.compile(
    r"^(?:based on (?:\w+ ){1,6})?(?:there (?:is|are|was|were) (?:no|not)\b|"
    r"there (?:isnt|arent|wasnt|werent)\b|"
    r"(?:no|without) (?:evidence|sign|signs)\b|(?:\w+ ){0,3}shows? no\b)"
)
_NO_AS_DETERMINER = re.compile(
    r"\W*no\s+(?!(?:the|this|that|these|those|it|there|they|he|she|i|we)\b)\w", re.IGNORECASE
)
_LONGEST_LITTLE_WORD = 3
_SAYS_NOTHING = frozenset({"there", "this", "these", "image", "evidence", "sign", "signs"})
_ASKS_WHETHER_THERE_IS = re.compile(
    r"^(?:(?:is|are|was|were) there|(?:does|do|did|can|could|has|have)\b|"
    r"(?:is|are) \w+(?: \w+)* (?:present|seen|visible|visualized|identified))"
)
_ASKS_FOR_THE_ABSENCE = re.compile(
    r"\b(?:no|not|none|other than|without|absent|absence|free of|normal|normally|healthy|clear|"
    r"intact|unremarkable|ruled out|lack|missing)\b"
)


def is_refusal(text: str) -> bool:
    """Whether the answer is empty or says that it cannot answer.

    >>> is_refusal("I'm sorry, I cannot see the image."), is_refusal(" ")
    (True, True)
    >>> is_refusal("I cannot answer: yes"), is_refusal("It cannot be determined.")
    (True, True)
    >>> is_refusal("No, the optic nerve cannot be seen"), is_refusal("not enlarged")
    (False, False)
    >>> is_refusal("抱歉，我无法判断。"), is_refusal("肿瘤边界不清楚")
    (True, False)
    """
    words = normalized_words(text)
    if not words:
        return True
    if not text.isascii() and _CHINESE_REFUSAL.search(_chinese(text)):
        return True
    # Letters beyond ASCII have word borders that a set of words does not know.
    if text.isascii() and _OPENS_A_REFUSAL.isdisjoint(words):
        return False
    return _REFUSAL.search(" ".join(words)) is not None


def yes_or_no(text: str, question: str = "") -> Literal["yes", "no"] | None:
    """The verdict of an answer, or None where it gives none or two.

    Whole words only. A verdict opens the answer or one of its sentences; "there is no …"
    decides too, but only if the question asks whether that is there. "No abnormality" is
    not a "no" to "Is it normal?". Refusals, both options named in one breath and verdicts
    that contradict each other decide nothing. Chinese is read as strictly (`_chinese_verdicts`);
    answers in other languages decide nothing.

    >>> yes_or_no("Human: Yes, there is something not normal"), yes_or_no("NO.")
    ('yes', 'no')
    >>> yes_or_no("There is no fracture.", "Is there a fracture?")
    'no'
    >>> yes_or_no("There is no fracture.", "Is the bone normal?") is None
    True
    >>> yes_or_no("No abnormality", "Is there an abnormality?")
    'no'
    >>> yes_or_no("No abnormality", "Is the image normal?") is None
    True
    >>> yes_or_no("Is there a nodule? Yes."), yes_or_no("I think so. Yes")
    ('yes', 'yes')
    >>> [yes_or_no(text) for text in ("abnormal", "nodule", "eyes", "none", "not known", "")]
    [None, None, None, None, None, None]
    >>> [yes_or_no(text) for text in ("yes or no", "[Yes, No]", "Yes. No.", "yes and no")]
    [None, None, None, None]
    >>> yes_or_no("I'm sorry, I cannot see it. No") is None
    True
    >>> yes_or_no("No doubt about an effusion") is None
    True
    >>> yes_or_no("是的，图中有肝脏。"), yes_or_no("不包含"), yes_or_no("不正常")
    ('yes', 'no', None)
    >>> yes_or_no("不正常", "肺是正常的吗？"), yes_or_no("没有肝脏", "图中有肝脏吗？")
    ('no', 'no')
    """
    if is_refusal(text):
        return None
    asked = " ".join(normalized_words(question))
    pieces = [piece for piece in _sentences(text) if normalized_words(piece)]
    verdicts = {_opening_verdict(piece, asked) for piece in pieces} - {None}
    if not text.isascii():
        verdicts |= _chinese_verdicts(text, question)
    if not verdicts:
        return "no" if pieces and _denies(pieces[0], asked) else None
    if verdicts == {"yes"}:
        return "yes"
    return "no" if verdicts == {"no"} else None


def _sentences(text: str) -> list[str]:
    return _SENTENCE_END.split(_SPEAKER.sub("", text.strip()))


def _opening_verdict(sentence: str, asked: str) -> str | None:
    """The word a sentence opens with, "both" where it names both options, else None."""
    words = normalized_words(sentence)
    other = {"yes": "no", "no": "yes"}.get(words[0])
    if other is None or words[1:2] == ("doubt",):
        return None
    if _NO_AS_DETERMINER.match(sentence) and _ASKS_FOR_THE_ABSENCE.search(asked):
        return None
    next_words = [word for word in words[1:4] if word not in ("or", "and")]
    return "both" if next_words[:1] == [other] else words[0]


def _denies(sentence: str, asked: str) -> bool:
    """Whether the sentence says that what was asked for is not there."""
    if not _ASKS_WHETHER_THERE_IS.search(asked) or _ASKS_FOR_THE_ABSENCE.search(asked):
        return False
    words = normalized_words(sentence)
    named = {word for word in words if len(word) > _LONGEST_LITTLE_WORD} - _SAYS_NOTHING
    return (
        _NEGATIVE_STATEMENT.search(" ".join(words)) is not None
        and not {"but", "however", "except"}.intersection(words)
        and not named.isdisjoint(asked.split())
    )


# Chinese is read on folded text without blanks: it writes none between words.
_BLANKS = re.compile(r"[^\S\n]+")
_CHINESE_REFUSAL = re.compile(
    "抱歉|对不起|作为(?:一[个名])?(?:ai|人工智能|语言模型)|不确定|不好说|说不准|信息不足|"
    "需要(?:更多|进一步)的?信息|(?:^|[,。!;我并还也])不(?:知道|清楚)|"
    "(?:无法|不能|难以)(?:判断|判定|确定|回答|得知|识别|辨别|分析|诊断|评估|解读|提供|给出)|"
    "(?:无法|不能)(?:看到|看见|查看|访问|打开)(?:这[张幅]|该|此|您的|任何)?[图影照]"
)
_CHINESE_SENTENCE = re.compile(r"[^。.!?;\n]+[。.!?;\n]*")
_CHINESE_SPEAKER = re.compile("^(?:答案|回答|结论|答:|用户:|助手:)(?:是|为)?:?")
_IN_THE_IMAGE = re.compile(
    "^(?:在|从)?(?:这|该|此)?[张幅个]?(?:图片|图像|影像|照片|图)(?:显示|[里中上内])?"
)
_CHINESE_VERDICT = re.compile(
    "(?P<yes>是的?|对的?|正确|有的?|包含|包括|含有|存在|可以|能|会|可见)|"
    "(?P<no>否|不|不是的?|不对|没有?|无|未见|不包含|不包括|不含有?|不存在|不可以|不能|不会|不可见)"
)
_CHINESE_DENIAL = re.compile(
    "^(?:没有|未见|未发现|无|没|未|不是|不在|不包含|不包括|不含有?|不存在|不)(?:明显的?)?(?=.)"
)
_CHINESE_CLAIM = re.compile("^(?:是|有|在|包含|包括|含有|存在|可见)(?=.)")
_CHINESE_STATES = frozenset({"正常", "异常", "健康"})
_ASKED_BOTH_WAYS = re.compile(r"(\w)[不没]\1|是否|有无")
_END_OF_QUESTION = re.compile(r"[吗么呢的了\W]+$")


def _chinese(text: str) -> str:
    return _BLANKS.sub("", unicodedata.normalize("NFKC", text).casefold())


def _chinese_verdicts(text: str, question: str) -> set[str | None]:
    """What the sentences of a Chinese answer decide; "both" where one names both options.

    A sentence decides by opening with a verdict alone ("是的，…", "没有。"), the usual answer
    being the question's own verb. The first may also say or deny what the question ends with:
    "没有肝脏", "不正常". Questions repeated in the answer decide nothing.
    """
    sentences = [
        _CHINESE_SPEAKER.sub("", sentence.strip())
        for sentence in _CHINESE_SENTENCE.findall(_chinese(_SPEAKER.sub("", text)))
        if not re.search(r"[?吗么]\W*$", sentence)
    ]
    clauses = [found for sentence in sentences if (found := re.findall(r"\w+", sentence))]
    verdicts = {_chinese_opening(found) for found in clauses} - {None}
    if not verdicts and clauses:
        verdicts = {_chinese_statement(clauses[0][0], _chinese(question))} - {None}
    return verdicts


def _chinese_opening(clauses: Sequence[str]) -> str | None:
    first, *others = (_CHINESE_VERDICT.fullmatch(clause) for clause in clauses[:2])
    first = first or re.match("(?P<yes>是的|对的)|(?P<no>不是的)", clauses[0])
    if first is None:
        return None
    contradicted = any(other and other.lastgroup != first.lastgroup for other in others)
    return "both" if contradicted else first.lastgroup


def _chinese_statement(clause: str, question: str) -> str | None:
    """The verdict of a clause that says or denies the end of the question.

    Whether the question itself denies it ("不正常吗") turns the verdict round.
    """
    if "还是" in question or "哪" in question:
        return None
    asked = _END_OF_QUESTION.sub("", _ASKED_BOTH_WAYS.sub(r"\1", question))
    clause = _IN_THE_IMAGE.sub("", clause)
    said = _END_OF_QUESTION.sub("", clause)
    denial = _CHINESE_DENIAL.match(said)
    opening = denial or _CHINESE_CLAIM.match(said)
    if opening is None and said not in _CHINESE_STATES:
        return None
    said = said[opening.end() :] if opening else said
    if not said or not asked.endswith(said):
        return None
    before = asked.removesuffix(said)
    is_denied = before.endswith(("不", "没", "没有", "无", "未", "非"))
    return "yes" if is_denied == (denial is not None) else "no"


def options(question: str) -> list[tuple[str, ...]]:
    """The choices a question offers, each without the words that all of them share.

    >>> options("Which is bigger in this image, lung, small bowel or heart?")
    [('lung',), ('small', 'bowel'), ('heart',)]
    >>> options("Is the colon more prominent on the patient's right or left side?")
    [('right',), ('left',)]
    >>> options("Which plane is this, transverse plane or coronal plane?")
    [('transverse',), ('coronal',)]
    >>> options("Is this an MRI or a CT scan?"), options("Is there a mass?")
    ([('mri',), ('ct',)], [])
    >>> options("Is this a T1 weighted or T2 weighted MRI image?")
    [('t1',), ('t2',)]
    >>> options("图中哪侧的脑叶是异常的，左侧还是右侧？"), options("图中肝脏和肺哪个更大？")
    ([('左',), ('右',)], [('肝', '脏'), ('肺',)])
    """
    head, separator, tail = question.rpartition(" or ")
    if not separator:
        return [] if question.isascii() else _chinese_options(_chinese(question))
    before = [normalized_words(piece) for piece in re.split(r"[,:;?]|\bor\b", head)]
    before = [words for words in before if words]
    after = normalized_words(re.split(r"[,:;?]", tail)[0])
    # A choice that the question runs into or out of is one word; one between marks is whole.
    lists = len(before) > 1
    if not lists and before and before[0][-1:] == after[1:2] and after[:1] not in _NEGATIONS:
        # "T1 weighted or T2 weighted": the word that both share is no part of the choice.
        return _distinctive([before[0][-2:-1], after[:1]])
    choices = [_last_choice(words, whole=lists) for words in (before[1:] if lists else before)]
    choices.append(after if lists and len(after) <= _LONGEST_CHOICE else after[:1])
    return _distinctive([choice for choice in choices if choice])


_LONGEST_CHOICE = 3


_CHINESE_CHOICES = re.compile("、|/|还是|或者|或|和|与|,")
_RUNS_INTO_A_CHOICE = re.compile("^.*(?:是|在|位于|属于)")


def _chinese_options(question: str) -> list[tuple[str, ...]]:
    """Choices before "哪个" ("which of them") or around "还是" and "或" ("or")."""
    head, separator, tail = _parted(question)
    if separator.startswith("哪"):
        pieces = _CHINESE_CHOICES.split(_IN_THE_IMAGE.sub("", head))
    else:
        listed = re.split("[,:;?。]", head)[-1]
        first, *others = _CHINESE_CHOICES.split(_RUNS_INTO_A_CHOICE.sub("", listed))
        pieces = [first, *others, re.split("[,:;?。吗么呢]", tail)[0]]
    # "白色的" is white; in "T2加权的图像" what follows is no part of the choice.
    choices = [normalized_words(piece.partition("的")[0]) for piece in pieces]
    return _distinctive([choice for choice in choices if choice]) if separator else []


def _parted(question: str) -> tuple[str, str, str]:
    for mark in ("还是", "或者", "或"):
        if mark in question and not re.search(f"{mark}.*哪", question):
            return question.rpartition(mark)
    return question.partition("哪")


def _last_choice(words: tuple[str, ...], *, whole: bool) -> tuple[str, ...]:
    return words if whole and len(words) <= _LONGEST_CHOICE else words[-1:]


def _distinctive(choices: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    shared = set(choices[0]).intersection(*choices[1:]) if len(choices) > 1 else set()
    kept = [tuple(word for word in choice if word not in shared) for choice in choices]
    return kept if all(kept) and len(kept) > 1 else []


def named(answer: Sequence[str], choices: Sequence[tuple[str, ...]]) -> set[tuple[str, ...]]:
    """The choices that an answer names; the longest name counts, and "not left" names nothing.

    >>> named(("in", "upper", "left"), [("left",), ("upper", "left")])
    {('upper', 'left')}
    >>> named(("not", "left", "but", "right"), [("left",), ("right",)])
    {('right',)}
    >>> named(("not", "in", "left", "hemisphere"), [("left",), ("right",)])
    set()
    >>> named(tuple("不是左侧是右侧"), [("左",), ("右",)])
    {('右',)}
    """
    words = list(answer)
    found = set()
    for choice in sorted(choices, key=len, reverse=True):
        for place in find_words(choice, words):
            if not _is_negated(words[:place]):
                found.add(choice)
            words[place : place + len(choice)] = [""] * len(choice)
    return found


def _is_negated(before: Sequence[str]) -> bool:
    return tuple(before[-1:]) in _NEGATIONS or tuple(before[-2:]) in _NEGATIONS


_NEGATIONS = {(word,) for word in ("not", "no", "non", "不", "没", "无", "非", "未")} | {
    ("not", "in"),
    ("not", "on"),
    ("不", "是"),
    ("不", "在"),
    ("没", "有"),
}
