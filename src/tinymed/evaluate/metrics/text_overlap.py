"""BLEU and ROUGE-L, computed by the libraries that the field cites.

Both see the honest metrics' words, so that case, punctuation and scripts written without
spaces do not decide. They compare words in order and know nothing of meaning: "no effusion"
and "effusion" overlap well. They stand here because papers report them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from tinymed.evaluate.metrics.words import normalized_words
from tinymed.extras import is_installed

MAX_ORDER = 4

LEFT_OUT = "BLEU and ROUGE-L left out: they need `pip install 'tinymed[text-metrics]'`."


def is_available() -> bool:
    """Whether both libraries are installed."""
    return is_installed("sacrebleu", "rouge_score")


def bleu_counts() -> Callable[[str, str], list[int]]:
    """A function that counts what one answer adds to corpus BLEU.

    Its result has ten numbers: n-grams of order 1 to 4 that occur in the reference, n-grams
    of order 1 to 4 in the answer, words of the answer, words of the reference. Summed over
    answers they are what `bleu` takes.
    """
    from sacrebleu.metrics.bleu import BLEU

    # The order is "effective" only for the sentence's own score, which nobody reads here.
    metric = BLEU(tokenize="none", max_ngram_order=MAX_ORDER, effective_order=True)

    def counts(prediction: str, reference: str) -> list[int]:
        answer, wanted = (" ".join(normalized_words(text)) for text in (prediction, reference))
        found = metric.sentence_score(answer, [wanted])
        return [*found.counts, *found.totals, found.sys_len, found.ref_len]

    return counts


def bleu(sums: npt.NDArray[np.float64], *, order: int) -> npt.NDArray[np.float64]:
    """Corpus BLEU with n-grams up to `order`, unsmoothed, with the brevity penalty.

    Args:
        sums: Shape (resamples, 10): summed counts as `bleu_counts` gives them.
        order: 1 to 4.

    Returns:
        Shape (resamples,): fractions in [0, 1]; NaN where nothing was drawn.

    Source:
        Papineni et al. (2002); computed by sacrebleu (Post 2018).
    """
    from sacrebleu.metrics.bleu import BLEU

    def value(row: Sequence[int]) -> float:
        if row[-1] == 0:
            return float("nan")
        found = BLEU.compute_bleu(
            correct=list(row[:order]),
            total=list(row[MAX_ORDER : MAX_ORDER + order]),
            sys_len=row[-2],
            ref_len=row[-1],
            smooth_method="none",
            max_ngram_order=order,
        )
        # Percent, of which rounding can leave a hair more than a hundred.
        return min(1.0, found.score / 100)

    different, places = np.unique(sums, axis=0, return_inverse=True)
    return np.array([value([int(count) for count in row]) for row in different])[places]


class _Words:
    """The tokenizer that rouge-score asks for."""

    def tokenize(self, text: str) -> Sequence[str]:
        return normalized_words(text)


def rouge_l() -> Callable[[str, str], float]:
    """A function that gives ROUGE-L's F-measure of an answer and a reference, in [0, 1].

    Source:
        Lin (2004); computed by rouge-score.
    """
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], tokenizer=_Words())

    def f_measure(prediction: str, reference: str) -> float:
        return float(scorer.score(reference, prediction)["rougeL"].fmeasure)

    return f_measure
