"""Drawing single scores together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tinymed.evaluate.judge.aggregate import Group, Judged, groups, order_effect
from tinymed.evaluate.judge.parse import Rated, Unparsed, parse_strictly, rated
from tinymed.evaluate.judge.report import JudgeReport, Usage, judge_text

CASES = json.loads((Path(__file__).parent / "judge-aggregation.json").read_text())


def published_cases() -> list[Judged]:
    return [
        Judged(
            id=item["question_id"],
            question_type=item["type"],
            domain=item["domain"],
            cluster=item["question_id"],
            published=rated(parse_strictly(item["judge_first_line"]), "published"),
        )
        for item in CASES["items"]
    ]


def by_name(found: list[Group]) -> dict[str, Group]:
    return {group.name: group for group in found}


def test_the_published_summary_comes_out() -> None:
    found = by_name(groups(published_cases()))
    assert set(found) == set(CASES["expected"])
    names = {
        "gpt4_score": "reference_score",
        "pred_score": "prediction_score",
        "pred_relative_score": "relative_score_percent",
    }
    for name, expected in CASES["expected"].items():
        assert found[name].num_samples == expected["data_size"]
        assert found[name].published.num_unparsed == 0
        for theirs, ours in names.items():
            if theirs in expected:
                value = getattr(found[name].published, ours)
                assert value == pytest.approx(expected[theirs], abs=1e-9), (name, ours)
    ratio = found["overall"].published.ratio_of_means_percent
    assert ratio == pytest.approx(CASES["ratio_of_means_would_be"]["overall"], abs=5e-5)


def test_groups_stand_in_the_order_of_the_published_tables_and_others_follow() -> None:
    judged = [
        Judged(id="1", question_type="x", domain="ct_scan", cluster="1", published=RATED),
        Judged(id="2", question_type="detailed_description", domain="ultrasound", cluster="2",
               published=RATED),
        Judged(id="3", question_type="conversation", domain=None, cluster="3", published=RATED),
        Judged(id="4", question_type=None, domain="chest_xray", cluster="4", published=RATED),
    ]  # fmt: skip
    assert [(one.kind, one.name, one.num_samples) for one in groups(judged)] == [
        ("type", "conversation", 1),
        ("type", "detailed_description", 1),
        ("type", "x", 1),
        ("domain", "chest_xray", 1),
        ("domain", "ct_scan", 1),
        ("domain", "ultrasound", 1),
        ("overall", "overall", 4),
    ]


RATED = Rated(reference=8, prediction=4)


def judged(
    id_: str, published: Rated | Unparsed, swapped: Rated | Unparsed | None = None
) -> Judged:
    return Judged(
        id=id_,
        question_type="conversation",
        domain="mri",
        cluster=id_,
        published=published,
        swapped=swapped,
    )


def overall(items: list[Judged]) -> Group:
    return groups(items)[-1]


def test_an_unparsed_reply_is_counted_and_has_no_part_in_a_mean() -> None:
    unparsed = Unparsed(reason="no")
    found = overall([judged("1", RATED, unparsed), judged("2", unparsed, RATED)])
    assert (found.num_samples, found.published.num_unparsed) == (2, 1)
    assert found.published.relative_score_percent == 50
    assert found.swapped is not None
    assert found.swapped.num_unparsed == 1
    # Neither sample has both.
    assert found.both is not None
    assert found.both.num_unparsed == 2
    assert found.both.relative_score_percent is None


def test_a_group_without_any_score_has_figures_of_none() -> None:
    found = overall([judged("1", Unparsed(reason="no"))])
    assert found.published.num_unparsed == 1
    assert found.published.relative_score_percent is None
    assert found.published.interval_percent is None
    assert found.swapped is None
    assert found.both is None


def test_an_interval_is_in_percent_and_needs_two_clusters() -> None:
    items = [judged("1", RATED), judged("2", Rated(reference=8, prediction=8))]
    assert overall(items).published.interval_percent == (50, 100)
    alone = [
        Judged(id=id_, question_type=None, domain=None, cluster="one", published=RATED)
        for id_ in "ab"
    ]
    assert overall(alone).published.interval_percent is None


def test_both_orders_together_are_the_mean_of_each_samples_two() -> None:
    found = overall(
        [judged("1", Rated(reference=8, prediction=4), Rated(reference=5, prediction=5))]
    )
    assert found.both is not None
    assert found.both.relative_score_percent == (50 + 100) / 2
    assert found.both.reference_score == 6.5
    assert found.both.prediction_score == 4.5
    assert found.both.ratio_of_means_percent == pytest.approx(100 * 4.5 / 6.5)


def test_a_judge_that_adds_two_points_to_what_it_reads_first_is_found_out() -> None:
    qualities = [(6, 5), (5, 5), (3, 8)]  # of reference and prediction
    items = [
        judged(
            str(number),
            Rated(reference=reference + 2, prediction=prediction),
            Rated(reference=reference, prediction=prediction + 2),
        )
        for number, (reference, prediction) in enumerate(qualities)
    ]
    effect = order_effect(items)
    assert effect is not None
    assert effect.num_compared == 3
    assert effect.position_bias_points == 2
    assert effect.interval_points == (2, 2)
    # 8:5 then 6:7, 7:5 then 5:7, 5:8 then 3:10.
    assert effect.num_verdict_differs == 2
    assert effect.num_verdict_reversed == 2


def test_a_tie_in_one_order_differs_and_is_not_a_reversal() -> None:
    effect = order_effect(
        [judged("1", Rated(reference=8, prediction=4), Rated(reference=5, prediction=5))]
    )
    assert effect is not None
    assert (effect.num_verdict_differs, effect.num_verdict_reversed) == (1, 0)
    # The reference gains 3 by being first, the prediction 1.
    assert effect.position_bias_points == 2
    assert effect.interval_points is None


def test_without_the_other_order_nothing_is_said_about_it() -> None:
    assert order_effect(published_cases()) is None


def test_orders_that_no_sample_shares_have_no_bias() -> None:
    effect = order_effect([judged("1", RATED, Unparsed(reason="no"))])
    assert effect is not None
    assert (effect.num_compared, effect.position_bias_points) == (0, None)


def test_the_table_has_a_column_a_group_and_says_what_is_not_known() -> None:
    cases = published_cases()
    report = JudgeReport(
        run={
            "judge_model": "m", "url": "http://127.0.0.1/v1", "temperature": 0.0, "limit": 7,
            "samples": "s.jsonl", "predictions": "p.jsonl", "samples_sha256": "0" * 64,
        },
        num_samples=len(cases),
        num_without_context=7,
        groups=groups(cases),
        order=order_effect(cases),
        unparsed=[],
        usage=Usage(
            models=(), num_replies=7, num_reminded=0, num_refused=0, num_cut=0,
            num_published_parser_reads=7, prompt_tokens=0, completion_tokens=0,
            num_without_usage=7, median_latency_ms=None, price=None,
        ),
    )  # fmt: skip
    lines = judge_text(report).splitlines()
    assert lines[0].split() == [
        "Conversation", "Description", "CXR", "MRI", "Histology", "Gross", "CT", "Overall"
    ]  # fmt: skip
    assert lines[1].split() == ["n", "5", "2", "2", "1", "2", "1", "1", "7"]
    shown = ["58.2", "71.5", "52.1", "100.0", "52.1", "105.6", "20.0", "62.0"]
    assert lines[3].split()[-8:] == shown
    assert lines[4].split()[-2:] != ["-", "-"]
    text = "\n".join(lines)
    assert "answer first" not in text
    assert "how much the order decides is not known" in text
    assert "the first 7 only" in text
    assert "7 of them without a context" in text
