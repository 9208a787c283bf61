"""Twins: for a question whether something is so, the one that asks whether it is not so."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tinymed.evaluate.metrics.words import normalized_words
from tinymed.records import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """A question with a reference of yes or no, and its opposite."""

    presence: Sample
    """As the data set asks it."""
    absence: Sample
    """The same id and image; the opposite question with the opposite reference."""
    form: str
    """Which kind of question: "existence", "property" or "identity"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    form: str
    pattern: re.Pattern[str]
    opposite: Callable[[re.Match[str]], str]


# Their scope turns with a negation ("not both" is not "neither"), or they negate already.
_UNSAFE = re.compile(
    r"\b(?:not|no|non|none|nor|neither|never|without|absent|absence|lacks?|missing|free of|"
    r"and|or|both|either|all|each|every|entire|whole|only|just|more|less|most|least|few|fewer|"
    r"some|many|much|than|exactly|still|already|also|yet|now|again|slight|slightly|anyone|anything|something|everything|"
    r"nothing|nobody|cannot|hardly|barely|scarcely|rarely|seldom|little|fails?|failed|unable|"
    r"what|which|where|why|how|who|when)\b|n't\b|[/<>=;,:?!0-9]|\.\s|\s[-\u2013\u2014]\s",
    re.IGNORECASE,
)
# These hold a digit but no count.
_NAMES_WITH_DIGITS = re.compile(r"\b[TCLS]\d{1,2}\b")

_OPPOSITES = {
    "normal": "abnormal",
    "abnormal": "normal",
    "healthy": "unhealthy",
    "unhealthy": "healthy",
    "typical": "atypical",
    "atypical": "typical",
}
_STATE = "|".join(sorted(_OPPOSITES, key=len, reverse=True))
_SEEN = "present|seen|visible|visuali[sz]ed|observed|evident|identified|identifiable|detected"
_PROPERTY = (
    r"affected|atrophied|benign|blunted|calcified|circumscribed|collapsed|compressed|"
    r"decreased|deviated|dilated|displaced|edematous|elevated|enhancing|enlarged|flat|flattened|"
    r"fractured|given|herniated|homogene?ous|hyperdense|hyperinflated|hyperintense|hypodense|"
    r"hypointense|increased|infected|inflamed|intact|large|located|lying|malignant|narrowed|"
    r"obscured|obstructed|pathologic(?:al)?|perforated|preserved|prominent|ring[- ]enhancing|"
    r"rotated|ruptured|shifted|showing|swollen|symmetric(?:al)?|taken|thickened|tortuous|"
    rf"wedge-shaped|well-(?:defined|circumscribed)|widened|within normal|{_SEEN}|"
    r"in an? \w+ (?:position|plane)|midline$"
)
_WHOLE_SUBJECT = r"(?:the|this|these|that|those) (?:(?!\b(?:is|are|was|were|an?|any)\b)[\w' -])+?"
_DETERMINER_OR_PREPOSITION = (
    r"(?<! of)(?<! in)(?<! on)(?<! the)(?<! and)(?<! with)(?<!^the)(?<!^this)(?<!^these)"
)
_BARE_SUBJECT = r"(?!(?:the|this|these|that|those|there|it)\b)[\w' -]+?"
_PICTURE = r"(?:the|this) (?:image|picture|scan|x-?ray|ct|mri)"


def _rule(form: str, pattern: str, opposite: str | Callable[[re.Match[str]], str]) -> _Rule:
    compiled = re.compile(f"^{pattern}$", re.IGNORECASE)
    if isinstance(opposite, str):
        template = opposite
        return _Rule(form=form, pattern=compiled, opposite=lambda match: match.expand(template))
    return _Rule(form=form, pattern=compiled, opposite=opposite)


def _with_other_state(match: re.Match[str]) -> str:
    other = _OPPOSITES[match["state"].casefold()]
    article = match.groupdict().get("article") or ""
    if article:
        article = "an " if other[0] in "aeiou" else "a "
    return match["before"] + article + other + match["after"]


def _is_for_does(match: re.Match[str]) -> str:
    verb = "Is" if match["verb"].casefold() == "does" else "Are"
    return f"{verb} {match['subject']} absent from {match['picture']}"


RULES: tuple[_Rule, ...] = (
    # Is there (a, any) mass present? Not "Is there abnormalities?", whose twin would be no better.
    _rule(
        "existence",
        r"((?:is|was) there) (?:(?:an?|any) )?(?!the\b|an?\b|any\b|(?:\w+ )?\w+ies\b)(.+)",
        r"\1 no \2",
    ),
    # Are there (any) lesions in this image?
    _rule("existence", r"((?:are|were) there) (?:any )?(?!the\b|an?\b|any\b)(.+)", r"\1 no \2"),
    # Is cardiomegaly present? Are the kidneys present in this image?
    _rule(
        "existence",
        rf"((?:is|are) (?:{_BARE_SUBJECT}|{_WHOLE_SUBJECT}))(?<! an)(?<! a) "
        rf"present((?: (?!.*\b(?:{_SEEN})\b).*)?)",
        lambda match: (
            f"{match[1]} absent{match[2]}"
            if not re.match(r"\w+ (?:an?|any) ", match[1], re.IGNORECASE)
            else re.sub(r"^(\w+) (?:an?|any) ", r"\1 no ", match[1], flags=re.IGNORECASE)
            + f" present{match[2]}"
        ),
    ),
    # Is pneumoperitoneum evident? Is a mass seen in the liver?
    _rule(
        "existence",
        rf"(is|are) (?:(?:an?|any) )?({_BARE_SUBJECT} (?:{_SEEN})(?: (?!.*\b(?:{_SEEN})\b).*)?)",
        r"\1 no \2",
    ),
    # Does this image show a pneumothorax? Does the picture contain liver? Do you see a mass?
    _rule(
        "existence",
        rf"((?:does|do) (?:{_WHOLE_SUBJECT} (?:contain|show|have|demonstrate|reveal)|you see)) "
        r"(?:(?:an?|any) )?(?!the\b|an?\b|any\b|to\b|that\b)(.+)",
        r"\1 no \2",
    ),
    # Does the picture contain the organ that …?
    _rule(
        "existence",
        rf"((?:does|do) {_WHOLE_SUBJECT}) contain (the .+)",
        r"\1 lack \2",
    ),
    # Does the colon appear in the image? A plural after "does" would spoil the twin's grammar.
    _rule(
        "existence",
        rf"(?P<verb>does) (?P<subject>the [\w ]*(?:[^s]|is|us|ss)) (?:appear|exist) in "
        rf"(?P<picture>{_PICTURE})",
        _is_for_does,
    ),
    _rule(
        "existence",
        rf"(?P<verb>do) (?P<subject>the [\w ]*s) (?:appear|exist) in (?P<picture>{_PICTURE})",
        _is_for_does,
    ),
    # Can cardiomegaly be observed in this picture? … on the left lung in this picture?
    # Not "mass": what is counted one by one is "free of masses", not "free of mass".
    _rule(
        "existence",
        rf"can (?!mass\b)({_BARE_SUBJECT}) be (?:{_SEEN}) in ({_PICTURE})",
        r"Is \2 free of \1",
    ),
    _rule(
        "existence",
        rf"can (?!mass\b)({_BARE_SUBJECT}) be (?:{_SEEN}) (?:on|in) (the [\w ]+) (in {_PICTURE})",
        r"Is \2 free of \1 \3",
    ),
    # Do any of the organs in the picture belong to …?
    _rule("property", r"(do) any (of .+)", r"\1 none \2"),
    # Is the liver normal? Is this abnormal?
    _rule(
        "property",
        rf"(?P<before>(?:is|are) (?:{_WHOLE_SUBJECT}|this|[\w ]*\bfindings) )(?P<state>{_STATE})"
        r"(?P<after>(?: appearing| in [\w ]+)?)",
        _with_other_state,
    ),
    # Is this a normal image? Does this look like a healthy liver?
    _rule(
        "property",
        r"(?P<before>(?:is this|are these|does this look like|are the \w+) )(?P<article>an? )?"
        rf"(?P<state>{_STATE})(?P<after> (?:\w+ ){{0,2}}\w+)",
        _with_other_state,
    ),
    # Does the lung look abnormal?
    _rule(
        "property",
        rf"(?P<before>(?:do|does) {_WHOLE_SUBJECT} (?:look|appear)(?: to be)? )(?P<state>{_STATE})"
        r"(?P<after>(?: in [\w ]+)?)",
        _with_other_state,
    ),
    # Is the heart enlarged? Is the diaphragm clearly visualized? With two properties it is not
    # clear which is asked for.
    _rule(
        "property",
        rf"(?!.*\b(?:{_PROPERTY})\b.*\b(?:{_PROPERTY})\b)"
        rf"((?:is|are|was|were) {_WHOLE_SUBJECT}{_DETERMINER_OR_PREPOSITION}) "
        rf"((?:\w+ly |well )?(?:{_PROPERTY})(?: .*)?)",
        r"\1 not \2",
    ),
    # Is this a CT? "Is this not a CT?" would expect a yes.
    _rule(
        "identity",
        r"(is this) ((?:an?|the) (?!(?<= a )x-?ray)(?!.*\bwith\b).+)",
        r"\1 something other than \2",
    ),
)


def absence_question(question: str) -> tuple[str, str] | None:
    """The opposite question and its form, or None where no rule is sure of it.

    The first rule that fits is used. Questions with a word whose scope a negation would
    turn (both, any, and, more than, …) or that negate already have no twin. A twin of the
    kind "Is the heart not enlarged?" is to be answered as asked: yes means not enlarged.

    >>> absence_question("Is there a pleural effusion?")
    ('Is there no pleural effusion?', 'existence')
    >>> absence_question("Is the heart enlarged?"), absence_question("Is the liver normal?")
    (('Is the heart not enlarged?', 'property'), ('Is the liver abnormal?', 'property'))
    >>> absence_question("Is this a normal x ray?"), absence_question("Is this a CT?")
    (('Is this an abnormal x ray?', 'property'), ('Is this something other than a CT?', 'identity'))
    >>> absence_question("Are nodules present in both lungs?") is None
    True
    >>> absence_question("Is the mass seen in the liver calcified?") is None
    True
    """
    asked = " ".join(question.split()).rstrip("? .!")
    if _UNSAFE.search(_NAMES_WITH_DIGITS.sub("", asked)):
        return None
    for rule in RULES:
        match = rule.pattern.match(asked)
        if match is not None:
            return rule.opposite(match) + "?", rule.form
    return None


def has_yes_or_no(sample: Sample) -> bool:
    """Whether it is a closed question whose reference is yes or no and nothing else."""
    reference = normalized_words(sample.reference)
    return sample.answer_type == "closed" and reference in (("yes",), ("no",))


def twins_of(samples: Sequence[Sample]) -> list[Twin]:
    """The twins of all samples that have one, in the order of the samples."""
    twins = []
    for sample in samples:
        found = absence_question(sample.question) if has_yes_or_no(sample) else None
        if found is None:
            continue
        question, form = found
        reference = "no" if normalized_words(sample.reference) == ("yes",) else "yes"
        absence = replace(sample, question=question, reference=reference)
        twins.append(Twin(presence=sample, absence=absence, form=form))
    return twins


def twin_line(twin: Twin) -> str:
    """A twin as one line of JSON for people to read, its line break included."""
    row = {
        "id": twin.presence.id,
        "form": twin.form,
        "presence": twin.presence.question,
        "presence_reference": twin.presence.reference,
        "absence": twin.absence.question,
        "absence_reference": twin.absence.reference,
    }
    return json.dumps(row, ensure_ascii=False) + "\n"
