"""Opening a batch: answers side by side where an engine can, else one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol, runtime_checkable

from tinymed.engines.batch import Batch, Finished
from tinymed.engines.decoding import Decoding, check_decoding
from tinymed.engines.draft import Draft, OnText
from tinymed.engines.lanes import Lanes
from tinymed.engines.protocol import Answer, EncodedImage, Engine
from tinymed.engines.sampling import Choice, Sampler
from tinymed.errors import ConfigError

Ask = Callable[[EncodedImage, str, Decoding, OnText], tuple[list[int], Draft]]
"""Checks that a question can be answered so: its token ids, and an answer not begun yet."""
Begin = Callable[[EncodedImage, str, Decoding], Callable[[OnText], Answer]]
"""Checks that a question can be answered so: what answers it."""


@runtime_checkable
class OpensBatch(Protocol):
    """An engine with a way of its own to decode answers step by step."""

    def open_batch(self) -> Batch:
        """A batch with no answers in it."""
        ...


def open_batch(engine: Engine) -> Batch:
    """A batch with no answers in it, for any engine.

    An engine that only knows `answer` decodes greedily and without stop texts, a whole answer
    as it is added, and hands its text on in one piece.
    """
    if isinstance(engine, OpensBatch):
        return engine.open_batch()
    return WholeAnswers(partial(_answer_at_once, engine))


def _answer_at_once(
    engine: Engine, image: EncodedImage, question: str, decoding: Decoding
) -> Callable[[OnText], Answer]:
    check_decoding(decoding)
    if decoding != Decoding(max_new_tokens=decoding.max_new_tokens):
        raise ConfigError(
            f"The engine '{engine.name}' only answers greedily: leave stop texts, temperature, "
            "top_p, seed and top_logprobs out."
        )
    answer = engine.answer(image, question, max_new_tokens=decoding.max_new_tokens)

    def tell(on_text: OnText) -> Answer:
        if answer.text:
            on_text(answer.text, answer.confidence)
        return answer

    return tell


@dataclass(slots=True, kw_only=True, eq=False)
class _Open:
    """An answer on its way."""

    draft: Draft
    sampler: Sampler
    lane: int
    first: Choice | None
    """Chosen when the question was read, and written down by the next step."""
    prefill_ms: float
    decode_ms: float = 0.0


class LaneBatch:
    """Answers side by side, each in a lane; fulfils Batch."""

    def __init__(self, lanes: Lanes, ask: Ask) -> None:
        """Begin with no answers.

        Args:
            lanes: Where they are read.
            ask: Checks questions.
        """
        self.room = lanes.room
        self._lanes = lanes
        self._ask = ask
        self._open: dict[int, _Open] = {}
        self._num_tickets = 0

    def __len__(self) -> int:
        """How many answers are on their way."""
        return len(self._open)

    def add(self, image: EncodedImage, question: str, decoding: Decoding, on_text: OnText) -> int:
        """Read a question, to be answered from the next step on.

        Raises:
            UserError: If question, answer or decoding do not fit the model.
            ValueError: If there is no room.
        """
        _check_room(self)
        asked, draft = self._ask(image, question, decoding, on_text)
        start = time.perf_counter()
        lane, logits = self._lanes.begin(image.state, asked, decoding.max_new_tokens)
        sampler = Sampler(decoding)
        self._num_tickets += 1
        self._open[self._num_tickets] = _Open(
            draft=draft,
            sampler=sampler,
            lane=lane,
            first=sampler.choose(logits),
            prefill_ms=1000 * (time.perf_counter() - start),
        )
        return self._num_tickets

    def step(self) -> list[Finished]:
        """Decode one token of each answer; those that ended leave."""
        finished = []
        for ticket, choice in self._choices().items():
            one = self._open.get(ticket)
            # Whoever receives a text in this very step may drop itself, and others.
            if one is None or one.draft.goes_on_after(choice) or ticket not in self._open:
                continue
            self.drop(ticket)
            answer = one.draft.finish(prefill_ms=one.prefill_ms, decode_ms=one.decode_ms)
            finished.append(Finished(ticket=ticket, answer=answer))
        return finished

    def drop(self, ticket: int) -> None:
        """Forget an answer, because nobody waits for it; nothing happens if it has ended."""
        one = self._open.pop(ticket, None)
        if one is not None:
            self._lanes.end(one.lane)

    def _choices(self) -> dict[int, Choice]:
        """The next token of each answer, by its ticket."""
        choices: dict[int, Choice] = {}
        going: dict[int, _Open] = {}
        for ticket, one in self._open.items():
            if one.first is None:
                going[ticket] = one
            else:
                choices[ticket], one.first = one.first, None
        if going:
            start = time.perf_counter()
            logits = self._lanes.following(
                [one.lane for one in going.values()],
                [one.draft.last_token for one in going.values()],
            )
            for (ticket, one), row in zip(going.items(), logits, strict=True):
                choices[ticket] = one.sampler.choose(row)
            spent_ms = 1000 * (time.perf_counter() - start)
            for one in going.values():
                one.decode_ms += spent_ms / len(going)
        return choices


class WholeAnswers:
    """One answer at a time, decoded as a whole by its one step; fulfils Batch."""

    room = 1

    def __init__(self, begin: Begin) -> None:
        """Answer with what `begin` gives."""
        self._begin = begin
        self._waiting: dict[int, Callable[[], Answer]] = {}
        self._num_tickets = 0

    def __len__(self) -> int:
        """How many answers are on their way."""
        return len(self._waiting)

    def add(self, image: EncodedImage, question: str, decoding: Decoding, on_text: OnText) -> int:
        """Check a question, to be answered by the next step.

        Raises:
            UserError: If question, answer or decoding do not fit the model.
            ValueError: If there is no room.
        """
        _check_room(self)
        answer = partial(self._begin(image, question, decoding), on_text)
        self._num_tickets += 1
        self._waiting[self._num_tickets] = answer
        return self._num_tickets

    def step(self) -> list[Finished]:
        """Decode the answer, if there is one."""
        waiting, self._waiting = self._waiting, {}
        return [Finished(ticket=ticket, answer=answer()) for ticket, answer in waiting.items()]

    def drop(self, ticket: int) -> None:
        """Forget an answer, because nobody waits for it; nothing happens if it has ended."""
        self._waiting.pop(ticket, None)


def _check_room(batch: Batch) -> None:
    if len(batch) >= batch.room:
        raise ValueError(f"The batch has room for {batch.room} answers, and has them.")
