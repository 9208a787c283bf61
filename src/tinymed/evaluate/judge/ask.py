"""Asking a judge about every sample, several at a time, and nothing twice."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from tinymed.errors import ModelError
from tinymed.evaluate.judge.client import Judge, Reply
from tinymed.evaluate.judge.parse import Order, Rated, Unparsed, parse_scores, rated
from tinymed.evaluate.judge.prompt import Messages, messages_for
from tinymed.evaluate.judge.replies import Call, ReplyLog, key_of
from tinymed.evaluate.pairing import Pair
from tinymed.progress import Progress

Ask = Callable[[Messages], Reply]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One sample, its prediction, and which of the two answers the judge reads first."""

    pair: Pair
    order: Order

    def calls(self, judge: Judge) -> tuple[Call, Call]:
        """The request, and the one that follows where its reply gives no scores."""
        plain, reminded = (
            messages_for(
                self.pair.sample, self.pair.prediction.text, order=self.order, reminded=reminded
            )
            for reminded in (False, True)
        )
        return (
            self._call(judge, plain, reminded=False),
            self._call(judge, reminded, reminded=True),
        )

    def _call(self, judge: Judge, messages: Messages, *, reminded: bool) -> Call:
        return Call(
            id=self.pair.sample.id,
            order=self.order,
            reminded=reminded,
            messages=messages,
            key=key_of(judge, messages),
        )

    def read(self, reply: Reply) -> Rated | Unparsed:
        """The scores that a reply gives to reference and prediction."""
        if reply.refused is not None:
            return Unparsed(reason=f"the server refused the request: {reply.refused}")
        return rated(parse_scores(reply.text), self.order)


def next_call(question: Question, judge: Judge, replies: Mapping[str, Reply]) -> Call | None:
    """What is still to be asked about a question: nothing once a reply settles it.

    A reply with scores or a refusal settles it; so does a second reply, whatever it says.
    """
    for call in question.calls(judge):
        reply = replies.get(call.key)
        if reply is None:
            return call
        if reply.refused is not None or isinstance(question.read(reply), Rated):
            return None
    return None


def replies_to(
    question: Question, judge: Judge, replies: Mapping[str, Reply]
) -> list[tuple[Call, Reply]]:
    """What was asked about a question, in order, with the replies."""
    return [
        (call, reply)
        for call in question.calls(judge)
        if (reply := replies.get(call.key)) is not None
    ]


def ask_all(
    questions: Sequence[Question], judge: Judge, log: ReplyLog, *, ask: Ask, concurrency: int
) -> None:
    """Ask until every question is settled; each reply is on the disk before the next step.

    One request goes out alone until there is a first reply, so that a wrong model name costs
    one call. Where a request fails for good, those under way are waited for and kept.

    Raises:
        ModelError: If the judge fails, or refuses the first request.
    """
    waiting = deque(
        (question, call)
        for question in questions
        if (call := next_call(question, judge, log.replies)) is not None
    )
    under_way = 0
    failed: BaseException | None = None
    done = len(questions) - len(waiting)
    with (
        Progress("judge", total=len(questions), done=done, unit="comparison") as progress,
        _Workers(ask, count=min(concurrency, len(waiting))) as workers,
    ):
        is_answered = any(reply.refused is None for reply in log.replies.values())
        while under_way or (waiting and failed is None):
            while waiting and failed is None and under_way < (concurrency if is_answered else 1):
                workers.begin(*waiting.popleft())
                under_way += 1
            question, call, outcome = workers.wait()
            under_way -= 1
            if isinstance(outcome, BaseException):
                failed = failed or outcome
                continue
            if outcome.refused is not None and not is_answered:
                raise ModelError(
                    f"The judge at {judge.url} refused the first request ({outcome.refused}); "
                    "no other was sent."
                )
            log.append(call, outcome)
            is_answered = True
            follow = next_call(question, judge, log.replies)
            if follow is None:
                progress.step()
            else:
                waiting.appendleft((question, follow))
    if failed is not None:
        raise failed


class _Workers:
    """Threads that ask. They are daemons: Ctrl-C need not wait for a slow judge."""

    def __init__(self, ask: Ask, *, count: int) -> None:
        self._ask = ask
        self._to_do: queue.SimpleQueue[tuple[Question, Call] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[Question, Call, Reply | BaseException]] = (
            queue.SimpleQueue()
        )
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]

    def begin(self, question: Question, call: Call) -> None:
        """Have a free thread ask."""
        self._to_do.put((question, call))

    def wait(self) -> tuple[Question, Call, Reply | BaseException]:
        """What came back next, in any order."""
        return self._done.get()

    def _work(self) -> None:
        while (job := self._to_do.get()) is not None:
            question, call = job
            try:
                outcome: Reply | BaseException = self._ask(call.messages)
            except BaseException as error:  # noqa: BLE001 - raised by the thread that waits
                outcome = error
            self._done.put((question, call, outcome))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for _thread in self._threads:
            self._to_do.put(None)
