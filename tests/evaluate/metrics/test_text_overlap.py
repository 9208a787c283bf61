"""BLEU and ROUGE-L are the libraries' own, over the honest words."""

from __future__ import annotations

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU

from tinymed.evaluate.metrics import table, text_overlap
from tinymed.evaluate.metrics.text_overlap import bleu, bleu_counts, rouge_l
from tinymed.evaluate.metrics.words import normalized_words
from tinymed.evaluate.score import score
from tinymed.records import Prediction, Sample

TEXTS = [
    ("The left lower lobe shows a small nodule.", "a small nodule in the left lower lobe"),
    ("There is no pleural effusion on the right", "There is no pleural effusion."),
    ("liver", "spleen"),
    ("", "right lower lobe pneumonia"),
]


def sums() -> np.ndarray:
    return np.array([bleu_counts()(*texts) for texts in TEXTS], dtype=float).sum(axis=0)[None]


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_bleu_of_summed_counts_is_the_librarys_corpus_score(order: int) -> None:
    words = [[" ".join(normalized_words(text)) for text in texts] for texts in TEXTS]
    whole = BLEU(tokenize="none", smooth_method="none", max_ngram_order=order).corpus_score(
        [answer for answer, _ in words], [[reference for _, reference in words]]
    )
    assert bleu(sums(), order=order)[0] == pytest.approx(whole.score / 100, abs=1e-12)


def test_bleu_1_by_hand() -> None:
    counts = np.array([bleu_counts()("lung lung heart", "left lung is clear")], dtype=float)
    # One of three words is matched once; three words for four: exp(1 - 4/3).
    assert bleu(counts, order=1)[0] == pytest.approx(np.exp(1 - 4 / 3) / 3)


def test_a_resample_without_a_sample_has_no_bleu() -> None:
    assert np.isnan(bleu(np.zeros((1, 10)), order=4)[0])


def test_rouge_l_by_hand() -> None:
    # Longest common subsequence: "left lung clear", of four and of five words.
    value = rouge_l()("The left lung is clear.", "left upper lung seems clear")
    assert value == pytest.approx(2 * (3 / 4) * (3 / 5) / (3 / 4 + 3 / 5))


def _score() -> dict[str, float]:
    samples = [
        Sample(id=str(i), question="?", reference=reference, answer_type="open")
        for i, (_, reference) in enumerate(TEXTS)
    ]
    predictions = [Prediction(id=str(i), text=text) for i, (text, _) in enumerate(TEXTS)]
    return {one.metric: one.value for one in score(samples, predictions)}


def test_scores_hold_bleu_and_rouge_over_open_questions() -> None:
    found = _score()
    for order in range(1, 5):
        assert found[f"open_bleu_{order}"] == bleu(sums(), order=order)[0]
    assert found["open_rouge_l"] == pytest.approx(np.mean([rouge_l()(*texts) for texts in TEXTS]))


def test_a_bleu_of_nought_has_no_share_of_doubt() -> None:
    """Where no answer of 20 holds two right words in a row, no resample does either."""
    samples = [
        Sample(id=str(number), question="?", reference="left lung", answer_type="open")
        for number in range(20)
    ]
    predictions = [Prediction(id=one.id, text="lung left") for one in samples]
    intervals = {one.metric: one.interval for one in score(samples, predictions)}
    assert intervals["open_bleu_2"] == (0.0, 0.0)
    assert intervals["open_exact_match"][1] > 0.1


def test_without_the_libraries_they_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_modules: str) -> bool:
        return False

    monkeypatch.setattr(text_overlap, "is_installed", missing)
    assert not table.overlap_metrics()
    assert not [name for name in _score() if "bleu" in name or "rouge" in name]
