"""Judge the answers of one model, and write the run folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import tinymed
from tinymed.errors import ConfigError, DataError
from tinymed.evaluate.judge.address import api_key, check_url, is_loopback
from tinymed.evaluate.judge.aggregate import Judged, groups, order_effect
from tinymed.evaluate.judge.ask import Question, ask_all, next_call, replies_to
from tinymed.evaluate.judge.client import Judge, JudgeClient, Reply
from tinymed.evaluate.judge.estimate import Prices, estimate, estimate_text
from tinymed.evaluate.judge.parse import Order, Rated, Scores, Unparsed, parse_strictly
from tinymed.evaluate.judge.prompt import PROTOCOL
from tinymed.evaluate.judge.replies import Call, ReplyLog
from tinymed.evaluate.judge.report import JudgeReport, UnparsedReply, Usage, judge_json
from tinymed.evaluate.pairing import Pair, pair
from tinymed.evaluate.score import cluster
from tinymed.jsonl import read_predictions, read_samples
from tinymed.runs import only_one, open_run_folder, write_json

REPLIES_FILE = "replies.jsonl"
JUDGE_FILE = "judge.json"

Say = Callable[[str], None]
"""Tells the person at the keyboard something, before it happens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeSettings:
    """What to judge, by whom, and where to write."""

    samples: Path
    """JSON lines of samples; `context` is what the judge may read, `question_type` the type
    and `modality` the domain of the tables."""
    predictions: Path
    out: Path
    """Run folder: new, or one begun with the same settings, which is then finished."""
    judge: Judge
    api_key_variable: str | None = None
    """Environment variable that holds the key; None for the usual one, or none on loopback."""
    limit: int | None = None
    """Only the first so many samples."""
    swap: bool = True
    """Whether to ask again with the prediction read first."""
    concurrency: int = 4
    """Requests under way at once."""
    may_send: bool = False
    """Whether data may go to an address that is not loopback."""
    prices: Prices | None = None
    timeout_s: float = 600.0
    """For one try of one request."""
    max_retries: int = 4
    """Further tries of a request that fails for a reason that may pass."""


def judge_predictions(settings: JudgeSettings, *, say: Say) -> JudgeReport:
    """Have every prediction scored beside its reference, and draw the scores together.

    Each sample is asked about twice, with the reference first and with the prediction first,
    and once more where a reply gives no scores. A run that was stopped in any way goes on
    where it was when started again with the same settings; with every reply on disk it
    contacts nobody.

    Args:
        settings: What to do.
        say: Is told the estimate and what leaves this machine, before the first call.

    Raises:
        DataError: If samples and predictions do not match, or the folder holds another run.
        ConfigError: If data would leave this machine and may not, or there is no key.
        ModelError: If the judge cannot be reached or fails; replies until then are kept.
    """
    check_url(settings.judge.url)
    pairs = _pairs(settings)
    identity = _identity(settings, pairs)
    orders: tuple[Order, ...] = ("published", "swapped") if settings.swap else ("published",)
    questions = [Question(pair=one, order=order) for one in pairs for order in orders]
    with only_one(settings.out):
        open_run_folder(settings.out, identity)
        with ReplyLog(settings.out / REPLIES_FILE) as log:
            _ask(questions, settings, log, say=say)
            report = _report(questions, settings, log.replies, identity)
        write_json(settings.out / JUDGE_FILE, judge_json(report))
    return report


def _pairs(settings: JudgeSettings) -> list[Pair]:
    if settings.limit is not None and settings.limit < 1:
        raise DataError(f"A limit of {settings.limit} leaves no samples; it starts at 1.")
    pairs = pair(read_samples(settings.samples), read_predictions(settings.predictions))
    return pairs[: settings.limit]


def _identity(settings: JudgeSettings, pairs: Sequence[Pair]) -> dict[str, Any]:
    """What makes this run this run; the digests cover what was read, limit and all."""
    judge = settings.judge
    return {
        "command": "evaluate judge",
        "protocol": PROTOCOL,
        "url": judge.url,
        "judge_model": judge.model,
        "samples": settings.samples.name,
        "samples_sha256": _digest(
            [s.id, s.question, s.reference, s.context, s.question_type, s.modality, cluster(s)]
            for s in (one.sample for one in pairs)
        ),
        "predictions": settings.predictions.name,
        "predictions_sha256": _digest([one.sample.id, one.prediction.text] for one in pairs),
        "limit": settings.limit,
        "swap": settings.swap,
        "temperature": judge.temperature,
        "seed": judge.seed,
        "max_tokens": judge.max_tokens,
        "tinymed_version": tinymed.__version__,
    }


def _digest(rows: Any) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update((json.dumps(row) + "\n").encode())
    return digest.hexdigest()


def _ask(
    questions: Sequence[Question], settings: JudgeSettings, log: ReplyLog, *, say: Say
) -> None:
    judge = settings.judge
    waiting = [call for one in questions if (call := next_call(one, judge, log.replies))]
    found = estimate(waiting, max_tokens=judge.max_tokens, prices=settings.prices)
    say(estimate_text(found, url=judge.url))
    if not waiting:
        return
    if not is_loopback(judge.url):
        _leave(waiting, settings, say=say)
    client = JudgeClient(
        judge,
        key=api_key(judge.url, settings.api_key_variable),
        timeout_s=settings.timeout_s,
        max_retries=settings.max_retries,
    )
    try:
        ask_all(questions, judge, log, ask=client.ask, concurrency=settings.concurrency)
    finally:
        client.close()


def _leave(waiting: Sequence[Call], settings: JudgeSettings, *, say: Say) -> None:
    url = settings.judge.url
    how = ", unencrypted" if url.startswith("http:") else ""
    say(
        f"This leaves the machine for {url}{how}: question, reference, context (such as a "
        f"caption) and answer of {len({call.id for call in waiting})} samples. No images."
    )
    if not settings.may_send:
        raise ConfigError(f"Nothing was sent to {url}; add --yes if all of this may be sent.")


def _report(
    questions: Sequence[Question],
    settings: JudgeSettings,
    replies: Mapping[str, Reply],
    identity: Mapping[str, Any],
) -> JudgeReport:
    outcomes: dict[tuple[str, Order], Rated | Unparsed] = {}
    used: list[tuple[Call, Reply]] = []
    for question in questions:
        found = replies_to(question, settings.judge, replies)
        used += found
        outcomes[question.pair.sample.id, question.order] = question.read(found[-1][1])
    samples = [one.pair.sample for one in questions if one.order == "published"]
    judged = [
        Judged(
            id=sample.id,
            question_type=sample.question_type,
            domain=sample.modality,
            cluster=cluster(sample),
            published=outcomes[sample.id, "published"],
            swapped=outcomes.get((sample.id, "swapped")),
        )
        for sample in samples
    ]
    return JudgeReport(
        run=identity,
        num_samples=len(samples),
        num_without_context=sum(sample.context is None for sample in samples),
        groups=groups(judged),
        order=order_effect(judged),
        unparsed=[
            UnparsedReply(id=id_, order=order, reason=outcome.reason)
            for (id_, order), outcome in outcomes.items()
            if isinstance(outcome, Unparsed)
        ],
        usage=_usage(used, settings.prices),
    )


def _usage(used: Sequence[tuple[Call, Reply]], prices: Prices | None) -> Usage:
    replies = [reply for _, reply in used]
    answered = [reply for reply in replies if reply.refused is None]
    prompt_tokens = sum(reply.prompt_tokens or 0 for reply in answered)
    completion_tokens = sum(reply.completion_tokens or 0 for reply in answered)
    return Usage(
        models=tuple(dict.fromkeys(reply.model for reply in answered if reply.model)),
        num_replies=len(replies),
        num_reminded=sum(call.reminded for call, _ in used),
        num_refused=len(replies) - len(answered),
        num_cut=sum(reply.finish_reason == "length" for reply in answered),
        num_published_parser_reads=sum(
            isinstance(parse_strictly(reply.text), Scores)
            for call, reply in used
            if not call.reminded
        ),
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        num_without_usage=sum(
            reply.prompt_tokens is None or reply.completion_tokens is None for reply in answered
        ),
        median_latency_ms=median(reply.latency_ms for reply in answered) if answered else None,
        price=(
            None
            if prices is None
            else prices.of(prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)
        ),
    )
