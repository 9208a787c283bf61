"""The honest metrics on answers that fool the published ones."""

from __future__ import annotations

import pytest

from tinymed.evaluate.metrics.honest import (
    closed_accuracy,
    open_exact_match,
    open_recall,
    open_token_f1,
)
from tinymed.evaluate.metrics.published import llava_med_closed_published, tinyllava_med_closed
from tinymed.evaluate.metrics.verdict import is_refusal, options, yes_or_no
from tinymed.evaluate.metrics.words import normalized_words


@pytest.mark.parametrize("reference", ["yes", "no"])
def test_the_constant_that_fools_the_published_scorers_scores_nothing(reference: str) -> None:
    """`I cannot answer: yes` gets 92.28 % on VQA-RAD under a published scorer."""
    constant = "I cannot answer: yes"
    assert tinyllava_med_closed(constant, reference) == 1.0
    assert llava_med_closed_published(constant, reference) == 1.0
    assert closed_accuracy(constant, reference) is None


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("yes", "yes"),
        ("  No  ", "no"),
        ("Yes, there is no doubt", "yes"),
        ("Human: [Yes]", "yes"),
        ("The answer is yes.", "yes"),
        ("Answer: No.", "no"),
        ("**Yes**", "yes"),
        ("No, the nerve cannot be seen.", "no"),
        ("No the lung is clear", "no"),
        ("The first of two. Yes, it is", "yes"),
        ("normal", None),
        ("nodule", None),
        ("eyes", None),
        ("yesterday", None),
        ("not yes", None),
        ("yes/no", None),
        ("Yes or no?", None),
        ("no, yes", None),
        ("1. Yes: deviated.\n2. No: not deviated.", None),
        ("No doubt there is one", None),
        ("I'm not sure. Yes", None),
        ("No, I cannot see the image.", None),
        ("", None),
        ("...", None),
    ],
)
def test_a_verdict_is_a_whole_word_that_opens_a_sentence(text: str, verdict: str | None) -> None:
    assert yes_or_no(text) == verdict


@pytest.mark.parametrize(
    ("text", "question", "verdict"),
    [
        ("There is no fracture seen.", "Is there a rib fracture?", "no"),
        ("There isn't a fracture.", "Is a fracture present?", "no"),
        ("Based on the chest X-ray, there is no fracture.", "Does it show a fracture?", "no"),
        ("No evidence of a fracture", "Is there a fracture?", "no"),
        ("The image shows no fracture", "Is there a fracture?", "no"),
        ("There is no abnormality.", "Is the image normal?", None),
        ("There is no organ of it.", "Do none of the organs belong to it?", None),
        ("No CT", "Is this something other than a CT?", None),
        ("No abnormality", "Are the lungs clear?", None),
        ("There is no effusion.", "Is there a fracture?", None),
        ("There is no fracture but an effusion.", "Is there a fracture or effusion?", None),
        ("There is a fracture.", "Is there a fracture?", None),
        ("There is no fracture.", "Which bone is fractured?", None),
    ],
)
def test_a_statement_decides_only_what_the_question_asks(
    text: str, question: str, verdict: str | None
) -> None:
    assert yes_or_no(text, question) == verdict


@pytest.mark.parametrize(
    ("prediction", "reference", "question", "value"),
    [
        ("lung", "Lung", "Which is bigger in this image, lung or heart?", 1.0),
        ("the heart", "Lung", "Which is bigger in this image,lung or heart?", 0.0),
        ("lung and heart", "Lung", "Which is bigger in this image, lung or heart?", None),
        ("liver", "Lung", "Which is bigger in this image, lung or heart?", None),
        ("yes", "Lung", "Which is bigger in this image, lung or heart?", None),
        ("yes", "Lung", "Which organ is it?", None),
        ("lung", "Lung", "Which organ is it?", 1.0),
        ("lungs", "Lung", "Which organ is it?", 0.0),
        ("not the lung", "Lung", "Which organ is it?", 0.0),
        ("left kidney", "Left Kidney", "Which is bigger, spleen, left kidney or liver?", 1.0),
        ("upper left", "Left", "Where is it, left, top or upper left?", 0.0),
        ("upper left", "Upper left", "Where is it, left, top or upper left?", 1.0),
        ("transverse", "Transverse Plane", "Which is it, transverse plane or coronal plane?", 1.0),
        ("not left, the right", "Right", "Is the lesion on the left or right?", 1.0),
        ("in both lungs", "Both", "Is it left, right, or in both lungs?", 1.0),
        ("left lung", "Both", "Is it left, right, or in both lungs?", 0.0),
        ("bilateral thickening", "Both", "Is it left, right, or both sides?", 1.0),
        ("not bilateral", "Both", "Is it left, right, or both sides?", 0.0),
        ("not in the left, in the right", "Right", "Is it on the left or right?", 1.0),
        ("No, in the left", "Left", "Is it on the left or right?", 1.0),
        ("1", "one", "Are there multiple or just 1 focus?", 1.0),
        ("", "Left", "Is it left or right?", None),
    ],
)
def test_an_option_is_judged_by_whole_words_against_the_other_options(
    prediction: str, reference: str, question: str, value: float | None
) -> None:
    assert closed_accuracy(prediction, reference, question) == value


def test_abnormal_is_not_normal() -> None:
    assert llava_med_closed_published("abnormal", "normal") == 1.0
    assert closed_accuracy("abnormal", "normal", "Is it normal or abnormal?") == 0.0


@pytest.mark.parametrize("question", ["", "Is it left?", " or ", "left or", "lung or lung"])
def test_a_question_without_two_different_choices_offers_no_options(question: str) -> None:
    assert options(question) == []


@pytest.mark.parametrize("metric", [open_exact_match, open_recall, open_token_f1])
def test_open_metrics_are_one_for_the_reference_and_none_for_a_refusal(metric: object) -> None:
    assert callable(metric)
    assert metric("The right lower lobe.", "right lower lobe") == 1.0
    assert metric("spleen", "right lower lobe") == 0.0
    assert metric("I'm sorry, but I don't have access to the lobe", "lobe") is None
    assert metric("", "lobe") is None


def test_repeating_a_right_word_gains_nothing() -> None:
    assert open_recall("lung lung lung", "lung effusion") == open_recall("lung", "lung effusion")
    once, thrice = (open_token_f1(text, "lung effusion") for text in ("lung", "lung lung lung"))
    assert once is not None
    assert thrice is not None
    assert thrice < once


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("X-RAY", ("x", "ray")),
        ("3.5 cm.", ("3.5", "cm")),
        ("5.", ("5",)),
        ("12,345,678", ("12345678",)),
        ("liver,spleen", ("liver", "spleen")),
        ("फेफड़ा", ("फेफड़ा",)),
        ("Œdème", ("œdème",)),
        ("T2/FLAIR", ("t2", "flair")),
        ("vitamin A", ("vitamin", "a")),
        ("none", ("none",)),
        ("_*_", ()),
    ],
)
def test_words_keep_what_carries_meaning(text: str, words: tuple[str, ...]) -> None:
    import unicodedata

    assert normalized_words(text) == tuple(unicodedata.normalize("NFKC", word) for word in words)


def test_findings_that_could_not_be_seen_are_no_refusal() -> None:
    assert not is_refusal("The optic nerve cannot be visualized.")
    assert not is_refusal("No, the borders are not visible.")
