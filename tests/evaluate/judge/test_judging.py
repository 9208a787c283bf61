"""A whole run: what is asked, what is kept, and how it goes on."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from judge_server import Failure, JudgeServer, completion

from tinymed.errors import ConfigError, DataError, ModelError
from tinymed.evaluate.judge.estimate import Prices, prices_of
from tinymed.evaluate.judge.report import JudgeReport, judge_text
from tinymed.evaluate.judge.run import JudgeSettings, judge_predictions
from tinymed.records import NOTICE


def run(settings: JudgeSettings, **changes: Any) -> JudgeReport:
    return judge_predictions(dataclasses.replace(settings, **changes), say=lambda _: None)


def with_judge(settings: JudgeSettings, **changes: Any) -> JudgeSettings:
    return dataclasses.replace(settings, judge=dataclasses.replace(settings.judge, **changes))


def rows(settings: JudgeSettings) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (settings.out / "replies.jsonl").read_text().splitlines()]


def num_lines(settings: JudgeSettings) -> int:
    """Replies that are whole on the disk, perhaps while another is written."""
    return (settings.out / "replies.jsonl").read_bytes().count(b"\n")


def judge_file(settings: JudgeSettings) -> Any:
    return json.loads((settings.out / "judge.json").read_text())


def is_swapped(message: str) -> bool:
    return message.index("\nprediction") < message.index("\nreference")


def a_judge_of_places(message: str) -> str:
    """8 for what it reads first, 4 for the other; sample 3 gets 10 and 5."""
    return "10 5" if "Question 3?" in message else "8 4"


def test_every_sample_is_asked_about_once_in_each_order(
    settings: JudgeSettings, judge_server: JudgeServer
) -> None:
    report = run(settings)
    asked = sorted(
        (re.findall(r"Question (\d)\?", message)[0], is_swapped(message))
        for message in judge_server.messages()
    )
    assert asked == [(id_, order) for id_ in "0123" for order in (False, True)]
    for message in judge_server.messages():
        (id_,) = re.findall(r"Question (\d)\?", message)
        # Joined by id: the predictions stand in another order.
        for part in ("reference", "prediction", "caption"):
            assert f"{part} {id_}" in message
    assert report.num_samples == 4
    assert sorted(path.name for path in settings.out.iterdir() if path.name[0] != ".") == [
        "judge.json", "replies.jsonl", "run.json",
    ]  # fmt: skip


def test_the_figures_of_a_judge_that_heeds_only_the_place(
    settings: JudgeSettings, judge_server: JudgeServer
) -> None:
    judge_server.answer = a_judge_of_places
    report = run(settings)
    found = judge_file(settings)
    assert found["notice"] == NOTICE
    assert found["run"] == json.loads((settings.out / "run.json").read_text())
    kinds = [(one["group_kind"], one["group"], one["num_samples"]) for one in found["groups"]]
    assert kinds == [
        ("type", "conversation", 3),
        ("type", "detailed_description", 1),
        ("domain", "mri", 2),
        ("domain", "ct_scan", 1),
        ("overall", "overall", 4),
    ]
    overall = found["groups"][-1]
    assert overall["relative_score_percent"] == 50
    assert overall["swapped"]["relative_score_percent"] == 200
    assert overall["both_orders"]["relative_score_percent"] == 125
    assert overall["interval_percent"] == [50, 50]
    assert (overall["reference_score"], overall["prediction_score"]) == (8.5, 4.25)
    assert found["groups"][1]["interval_percent"] is None
    assert found["order"] == {
        "num_compared": 4,
        "position_bias_points": 4.25,
        "interval_points": [4.0, pytest.approx(4.67, abs=0.4)],
        "num_verdict_differs": 4,
        "num_verdict_reversed": 4,
    }
    usage = found["usage"]
    assert usage["models"] == ["stub-judge-7"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (800, 80)
    assert (usage["num_replies"], usage["num_published_parser_reads"]) == (8, 8)
    text = judge_text(report)
    assert "being read first changes a score by +4.25 points" in text
    assert "in 4 of 4 samples the two orders do not agree" in text
    assert NOTICE in text


def test_without_the_swap_each_sample_is_asked_about_once(
    settings: JudgeSettings, judge_server: JudgeServer
) -> None:
    report = run(settings, swap=False, limit=3)
    assert len(judge_server.requests) == report.num_samples == 3
    assert not any(map(is_swapped, judge_server.messages()))
    found = judge_file(settings)
    assert found["order"] is None
    assert found["groups"][-1]["swapped"] is None
    assert found["groups"][-1]["both_orders"] is None


def test_a_reply_without_scores_is_asked_for_once_more_then_counted(
    settings: JudgeSettings, judge_server: JudgeServer
) -> None:
    def answer(message: str) -> str:
        reminded = message.rstrip().endswith("X Y")
        if "Question 0?" in message:
            return "8, 4" if reminded else "Both are good."
        if "Question 1?" in message:
            return "Still both."
        return "8 4"

    judge_server.answer = answer
    report = run(settings, swap=False)
    assert len(judge_server.requests) == 6
    overall = report.groups[-1]
    assert (overall.num_samples, overall.published.num_unparsed) == (4, 1)
    assert overall.published.relative_score_percent == 50
    assert [(one.id, one.order) for one in report.unparsed] == [("1", "published")]
    assert "no two scores in 'Still both.'" in report.unparsed[0].reason
    usage = report.usage
    assert (usage.num_reminded, usage.num_published_parser_reads) == (2, 2)
    assert "Unparsed, and in no mean: 1 ('1': no two scores" in judge_text(report)


def test_a_reply_that_was_cut_counts_if_its_scores_are_there(
    settings: JudgeSettings, judge_server: JudgeServer
) -> None:
    cut = completion("8 4\nThe first is bet")
    cut["choices"][0]["finish_reason"] = "length"
    judge_server.answer = lambda _: cut
    report = run(settings)
    assert report.groups[-1].published.num_unparsed == 0
    assert report.usage.num_cut == len(judge_server.requests) == 8


def test_a_judge_that_only_rambles_gives_no_figure_and_no_crash(
    settings: JudgeSettings, judge_server: JudgeServer
) -> None:
    judge_server.answer = lambda _: "0 10"
    report = run(settings, swap=False)
    assert report.groups[-1].published.num_unparsed == 4
    assert report.groups[-1].published.relative_score_percent is None
    assert len(judge_server.requests) == 8
    assert "the reference's score is 0" in judge_text(report)


def test_with_every_reply_on_disk_no_server_is_asked(
    settings: JudgeSettings, judge_server: JudgeServer
) -> None:
    judge_server.answer = a_judge_of_places
    first = run(settings)
    (settings.out / "judge.json").unlink()
    judge_server.answer = lambda _: Failure(status=500)
    said: list[str] = []
    again = judge_predictions(settings, say=said.append)
    assert again == first
    assert said == ["No calls: every reply is in the run folder."]
    assert len(judge_server.requests) == 8
    assert judge_file(settings)["groups"][-1]["relative_score_percent"] == 50


@pytest.mark.parametrize(
    "changes",
    [{"model": "other"}, {"temperature": 0.5}, {"seed": 1}, {"max_tokens": 65},
     {"url": "http://127.0.0.1:9/v1"}],
)  # fmt: skip
def test_a_folder_is_not_continued_with_another_judge(
    settings: JudgeSettings, judge_server: JudgeServer, changes: dict[str, Any]
) -> None:
    run(settings)
    with pytest.raises(DataError, match="holds another run"):
        run(with_judge(settings, **changes))
    assert len(judge_server.requests) == 8


def test_a_folder_is_not_continued_with_other_texts(
    settings: JudgeSettings, judge_server: JudgeServer
) -> None:
    run(settings)
    for path, old, new in (
        (settings.samples, "caption 2", "caption two"),
        (settings.samples, '"modality": "ct_scan"', '"modality": "mri"'),
        (settings.predictions, "prediction 2", "prediction two"),
    ):
        before = path.read_text()
        assert old in before
        path.write_text(before.replace(old, new))
        with pytest.raises(DataError, match="holds another run"):
            run(settings)
        path.write_text(before)
    for changes in ({"swap": False}, {"limit": 3}):
        with pytest.raises(DataError, match="holds another run"):
            run(settings, **changes)
    assert len(judge_server.requests) == 8


def test_predictions_that_do_not_match_the_samples_are_refused_before_anything(
    settings: JudgeSettings, judge_server: JudgeServer
) -> None:
    lines = settings.predictions.read_text().splitlines()
    settings.predictions.write_text("\n".join(lines[1:]))
    with pytest.raises(DataError, match="1 sample has no prediction"):
        run(settings)
    with pytest.raises(DataError, match="A limit of 0"):
        run(settings, limit=0)
    assert not settings.out.exists()
    assert judge_server.requests == []


def test_the_estimate_comes_before_the_first_call(
    settings: JudgeSettings, judge_server: JudgeServer
) -> None:
    said: list[tuple[str, int]] = []
    judge_predictions(
        dataclasses.replace(settings, prices=Prices(per_million_in=30, per_million_out=60)),
        say=lambda text: said.append((text, len(judge_server.requests))),
    )
    ((text, num_before),) = said
    assert num_before == 0
    assert f"8 calls to {judge_server.url}" in text
    characters = sum(
        len(message["content"]) for one in judge_server.requests for message in one["messages"]
    )
    assert f"about {round(characters / 4):,} prompt tokens by estimate" in text
    assert "at most 512 completion tokens" in text
    price = (30 * characters / 4 + 60 * 512) / 1e6
    assert f"At your prices about {price:.2f}" in text
    # 800 and 80 tokens by the server's count.
    assert judge_file(settings)["usage"]["price"] == pytest.approx((30 * 800 + 60 * 80) / 1e6)


def test_one_price_alone_is_refused() -> None:
    assert prices_of(None, None) is None
    with pytest.raises(ConfigError, match="both --price-in and --price-out"):
        prices_of(1.0, None)


def test_nothing_leaves_the_machine_unless_allowed(
    settings: JudgeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    away = with_judge(settings, url="http://judge.example.org/v1")
    said: list[str] = []
    # The tests' own guard would fail on any look-up of that name.
    with pytest.raises(ConfigError, match=r"Nothing was sent to http://judge.*add --yes"):
        judge_predictions(away, say=said.append)
    assert "8 calls to http://judge.example.org/v1" in said[0]
    assert "unencrypted" in said[1]
    assert "answer of 4 samples. No images." in said[1]


def test_the_key_is_in_no_file(
    settings: JudgeSettings, judge_server: JudgeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUDGE_KEY", "sk-mine")
    judge_server.answer = lambda message: (
        Failure(status=400, body=b'{"error": {"message": "not with sk-mine"}}')
        if "Question 2?" in message
        else "8 6"
    )
    run(settings, api_key_variable="JUDGE_KEY")
    assert all(headers["authorization"] == "Bearer sk-mine" for headers in judge_server.headers)
    for path in settings.out.iterdir():
        assert b"sk-mine" not in path.read_bytes()


def test_a_refused_request_counts_as_unparsed_and_the_run_goes_on(
    settings: JudgeSettings, judge_server: JudgeServer
) -> None:
    judge_server.answer = lambda message: (
        Failure(status=400, body=b'{"error": {"message": "longer than the context"}}')
        if "Question 2?" in message
        else "8 4"
    )
    report = run(settings, swap=False)
    assert report.groups[-1].published.num_unparsed == 1
    assert report.usage.num_refused == 1
    assert report.unparsed[0].reason == "the server refused the request: longer than the context"
    # A refusal is not asked about again, in this run or the next.
    assert len(judge_server.requests) == 4
    run(settings, swap=False)
    assert len(judge_server.requests) == 4


def test_a_refused_first_request_stops_the_run_after_one_call(
    settings: JudgeSettings, judge_server: JudgeServer
) -> None:
    judge_server.answer = lambda _: Failure(status=400, body=b'{"error": "no temperature"}')
    with pytest.raises(ModelError, match=r"refused the first request \(no temperature\)"):
        run(settings)
    assert len(judge_server.requests) == 1
    assert rows(settings) == []


def test_a_judge_that_fails_in_the_middle_keeps_what_it_answered(
    settings: JudgeSettings, judge_server: JudgeServer
) -> None:
    def answer(message: str) -> str | Failure:
        if "Question 2?" in message:
            return Failure(status=401)
        # Still under way when sample 2 fails.
        time.sleep(0.5 if "Question 1?" in message and is_swapped(message) else 0)
        return "8 4"

    judge_server.answer = answer
    with pytest.raises(ModelError, match="refused the key"):
        run(settings, concurrency=3)
    kept = rows(settings)
    # Requests under way when one failed were waited for and kept.
    failed = sum("Question 2?" in message for message in judge_server.messages())
    assert len(kept) == len(judge_server.requests) - failed >= 4
    assert not (settings.out / "judge.json").exists()
    judge_server.answer = lambda _: "8 4"
    before = len(judge_server.requests)
    report = run(settings)
    assert len(judge_server.requests) - before == 8 - len(kept)
    assert report.groups[-1].published.num_unparsed == 0


def test_requests_go_out_side_by_side_after_the_first(
    settings: JudgeSettings, judge_server: JudgeServer
) -> None:
    judge_server.delay_s = 0.1
    run(settings, concurrency=3)
    assert judge_server.most_at_once == 3
    first, second = judge_server.arrived_s[:2]
    assert second - first >= 0.1


def test_a_damaged_reply_log_is_named_and_a_torn_end_is_mended(
    settings: JudgeSettings, judge_server: JudgeServer
) -> None:
    run(settings)
    log = settings.out / "replies.jsonl"
    whole = log.read_bytes()
    log.write_bytes(whole[:-20])
    run(settings)
    assert len(judge_server.requests) == 9
    assert [row["text"] for row in rows(settings)] == ["8 6\nThe first is better."] * 8
    log.write_bytes(whole.replace(b'"text"', b'"txet"', 1))
    with pytest.raises(DataError, match=r"replies\.jsonl' line 1 is not a judge's reply"):
        run(settings)


def test_a_reply_of_any_characters_is_kept_as_it_came(
    settings: JudgeSettings, judge_server: JudgeServer
) -> None:
    text = "8 4\nµ, 病, \ud83d alone, \u2028, \x00"
    judge_server.answer = lambda _: completion(text)
    run(settings)
    assert {row["text"] for row in rows(settings)} == {text}
    before = judge_file(settings)
    run(settings)
    assert judge_file(settings) == before


RUN = """
import signal, sys
from pathlib import Path
from tinymed.evaluate.judge.client import Judge
from tinymed.evaluate.judge.run import JudgeSettings, judge_predictions
samples, predictions, out, url = sys.argv[1:]
# A job that a script put in the background ignores Ctrl-C, and so do its children.
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    judge_predictions(
        JudgeSettings(
            samples=Path(samples), predictions=Path(predictions), out=Path(out),
            judge=Judge(url=url, model="judge", max_tokens=64), concurrency=2,
        ),
        say=lambda _: None,
    )
except KeyboardInterrupt:
    sys.exit(130)
"""


def start(settings: JudgeSettings) -> subprocess.Popen[bytes]:
    arguments = (settings.samples, settings.predictions, settings.out, settings.judge.url)
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *map(str, arguments)],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def wait_for_requests(
    judge_server: JudgeServer, process: subprocess.Popen[bytes], number: int
) -> None:
    while len(judge_server.requests) < number and process.poll() is None:
        time.sleep(0.002)


def a_judge_to_be_reminded(message: str) -> str:
    """Gives no scores to sample 1 unless reminded, and never to sample 2."""
    reminded = message.rstrip().endswith("X Y")
    if "Question 2?" in message or ("Question 1?" in message and not reminded):
        return "Both."
    return "8 4"


@pytest.mark.parametrize("num_requests", [1, 7])
def test_a_killed_run_asks_nothing_again_that_is_on_disk_and_ends_the_same(
    settings: JudgeSettings, judge_server: JudgeServer, tmp_path: Path, num_requests: int
) -> None:
    judge_server.answer = a_judge_to_be_reminded
    judge_server.delay_s = 0.02
    process = start(settings)
    wait_for_requests(judge_server, process, num_requests)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (settings.out / "judge.json").exists()
    time.sleep(0.05)  # replies on their way to the dead
    kept = {row["key"] for row in rows(settings)} if num_requests > 1 else set()
    before = len(judge_server.requests)
    # Two may have been under way.
    assert before - 2 <= len(kept) <= before or num_requests == 1

    judge_server.delay_s = 0
    run(settings)
    assert len(judge_server.requests) - before == 12 - len(kept)
    keys = [row["key"] for row in rows(settings)]
    assert len(keys) == len(set(keys)) == 12

    unkilled = dataclasses.replace(settings, out=tmp_path / "unkilled")
    run(unkilled)
    ours, theirs = judge_file(settings), judge_file(unkilled)
    for found in (ours, theirs):
        found["usage"].pop("median_latency_ms")
    assert ours == theirs


def test_ctrl_c_does_not_wait_for_a_slow_judge_and_keeps_the_rest(
    settings: JudgeSettings, judge_server: JudgeServer
) -> None:
    def answer(message: str) -> str:
        if "Question 1?" in message:
            time.sleep(20)
        return "8 4"

    judge_server.answer = answer
    process = start(settings)
    wait_for_requests(judge_server, process, 4)
    end = time.monotonic() + 15
    while num_lines(settings) < 2 and time.monotonic() < end:
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=15) == 130
    assert len(rows(settings)) >= 2
