"""What each metric counts, and what is known to be wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tinymed.evaluate.metrics.table import METRICS

Standing = Literal["honest", "published", "overlap"]
_STANDING: dict[str, Standing] = {
    "llava_med_open_candidate": "published",
    **{metric.name: "published" if metric.is_published else "honest" for metric in METRICS},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricNote:
    """A metric in words for a reader who has not seen its code."""

    title: str
    counts: str
    defect: str = ""


METRIC_NOTES = {
    "accuracy": MetricNote(
        title="Accuracy",
        counts="Share of all questions answered rightly: closed ones by closed_accuracy, open "
        "ones by open_exact_match.",
        defect="An open answer in other words than the reference counts as wrong.",
    ),
    "closed_accuracy": MetricNote(
        title="Closed accuracy",
        counts="Share of closed questions whose answer decides as the reference does: the "
        "verdict yes or no, or the one option that is named, by whole words. A refusal or an "
        "answer that decides nothing is unparsed and counts as wrong.",
        defect="A verdict hidden in a long explanation may be read as none.",
    ),
    "open_exact_match": MetricNote(
        title="Exact match",
        counts="Share of open questions whose answer holds the reference's words, all of them "
        "in order and no others; case, marks and articles do not count.",
        defect="Strict: a right answer in other words counts as wrong.",
    ),
    "open_recall": MetricNote(
        title="Recall of words",
        counts="Share of the reference's words that the answer holds, each counted at most as "
        "often as it stands in the reference; mean over open questions.",
        defect="Words too many cost nothing, so a long answer is favoured.",
    ),
    "open_token_f1": MetricNote(
        title="F1 of words",
        counts="Harmonic mean of word precision and word recall; mean over open questions.",
        defect="Knows no synonyms: “left lung” and “left-sided pulmonary” share one word at most.",
    ),
    "llava_med_open_recall": MetricNote(
        title="“Open” of LLaVA-Med",
        counts="Matched words over matched words plus reference words missed: the figure that "
        "published tables call “Open”.",
        defect="Matches are counted in the answer, so repeating a right word raises it; word "
        "order and extra words cost nothing.",
    ),
    "llava_med_open_precision": MetricNote(
        title="Precision of LLaVA-Med",
        counts="Share of the answer's words that occur anywhere in the reference.",
        defect="One right word as the whole answer scores 100 %.",
    ),
    "llava_med_open_f1": MetricNote(
        title="F1 of LLaVA-Med",
        counts="Harmonic mean of the two figures above.",
        defect="Inherits the inflated matches of the recall.",
    ),
    "llava_med_open_exact": MetricNote(
        title="“Exact match” of LLaVA-Med",
        counts="Distinct reference words found, over words answered.",
        defect="It is not an exact match: one right word of a long reference scores 100 %.",
    ),
    "llava_med_open_substring": MetricNote(
        title="“Open accuracy” of LLaVA-Med, batch script",
        counts="Whether the reference's letters occur in the answer.",
        defect="Inside words too: “art” is found in “heart”.",
    ),
    "llava_med_open_candidate": MetricNote(
        title="“Open accuracy” of LLaVA-Med, by candidates",
        counts="Whether the candidate answer closest to the answer is the reference.",
        defect="The published candidates were never released. Where nothing overlaps, the first "
        "of the list is chosen.",
    ),
    "llava_med_closed_published": MetricNote(
        title="“Closed” of LLaVA-Med's table",
        counts="Whether the reference's letters occur in the answer; this made the published "
        "table.",
        defect="A substring test: “no” is found in “normal”, “abnormal”, “nodule” and “cannot”, "
        "and an answer that says both yes and no is right either way.",
    ),
    "llava_med_closed_run_eval": MetricNote(
        title="“Closed” of LLaVA-Med's run_eval",
        counts="The same substring test, and wrong unless “yes” or “no” occurs somewhere.",
        defect="Choices such as left or right can hardly score.",
    ),
    "llava_med_closed_run_eval_before_fix": MetricNote(
        title="The same before its fix",
        counts="run_eval as it was before its authors mended it.",
        defect="A wrong answer that holds yes or no vanishes instead of counting as wrong, so n "
        "shrinks and the figure soars. Never compare with it.",
    ),
    "tinyllava_med_closed": MetricNote(
        title="“Closed” of TinyLLaVA-Med and Med-MoE",
        counts="Whether the reference occurs in the answer, lower-cased and otherwise as is.",
        defect="The same substring test: the constant answer “I cannot answer: yes” is right "
        "for every yes and every no.",
    ),
    "medevalkit_closed": MetricNote(
        title="“Closed” of MedEvalKit",
        counts="Right if the answer holds exactly one of “yes” and “no” and it is the reference; "
        "over every question whose reference is yes or no.",
        defect="Inside words too: “normal” is a “no”. Its n is its own.",
    ),
    "open_rouge_l": MetricNote(
        title="ROUGE-L",
        counts="Longest common subsequence of words with the reference, as an F-measure.",
        defect="Rewards shared little words; on one-word answers hardly more than exact match.",
    ),
    "open_bleu_1": MetricNote(
        title="BLEU-1",
        counts="Share of the answers' words that occur in the reference, with a penalty where "
        "answers are shorter; over all open questions together, unsmoothed.",
        defect="Made for long translations: on answers of a word or two it says little. "
        "Published figures differ in smoothing and words, and cannot be compared.",
    ),
} | {
    f"open_bleu_{order}": MetricNote(
        title=f"BLEU-{order}",
        counts=f"The same with runs of 1 to {order} words.",
        defect="As BLEU-1; most answers here are too short to hold such runs.",
    )
    for order in (2, 3, 4)
}


def metric_note(name: str) -> MetricNote:
    """The words for a metric; one that has none here is called by its name.

    >>> metric_note("closed_accuracy").title, metric_note("new_metric").title
    ('Closed accuracy', 'new_metric')
    """
    return METRIC_NOTES.get(
        name, MetricNote(title=name, counts="No description of this metric is kept.")
    )


def standing(name: str) -> Standing:
    """Whether a metric is to be believed, to be compared with published tables, or neither.

    >>> standing("open_recall"), standing("llava_med_open_recall"), standing("open_bleu_1")
    ('honest', 'published', 'overlap')
    >>> standing("llava_med_open_candidate")
    'published'
    """
    return _STANDING.get(name, "overlap")
