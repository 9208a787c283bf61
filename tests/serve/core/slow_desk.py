"""A model and a decoder that do what a test tells them, as slowly as it wants."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tinymed.engines.batch import Finished
from tinymed.engines.decoding import Decoding
from tinymed.engines.protocol import Answer, EncodedImage, Pixels
from tinymed.errors import ImageError
from tinymed.images.medical_image import MedicalImage
from tinymed.images.prepare import Preprocessing
from tinymed.images.received import GreyLevels, ImageFacts, ReceivedFrame
from tinymed.safe.answering import OpenQuestion, SeenImage
from tinymed.safe.gate import Alert, GateName
from tinymed.safe.safe_answer import SafeAnswer
from tinymed.serve.asked.events import Answered, Event
from tinymed.serve.asked.question import Question
from tinymed.serve.audit.log import AuditLog
from tinymed.serve.cases.cases import Case
from tinymed.serve.desk.loaded_model import LoadedModel, ModelFacts
from tinymed.serve.service import Service
from tinymed.serve.settings import ServeSettings

BLURRED = Alert(code="blurred", gate="quality", withholds=False, detail="It is blurred.")
OUT_OF_SCOPE = Alert(
    code="image-out-of-scope", gate="scope", withholds=False, detail="It is unlike all images."
)
NOT_CHECKED: dict[GateName, str] = {"text": "no detector"}
FACTS = ModelFacts(
    name="tiny", scheme="tiny-f32", weights_sha256="w" * 64, is_calibrated=False, split=None
)


def picture(name: str = "chest", *, frames: int = 1, words: tuple[str, ...] = ()) -> bytes:
    """An image file that `JsonDecoder` can read."""
    return json.dumps({"name": name, "frames": frames, "words": words}).encode()


class JsonDecoder:
    """Decodes what `picture` makes; writes down which frames it was asked for."""

    def __init__(self) -> None:
        self.frames: list[int | None] = []
        self.process_id: int | None = 1
        self.is_closed = False
        self.may_decode = threading.Event()
        self.may_decode.set()

    def decode(self, data: bytes, *, frame: int | None = None) -> ReceivedFrame:
        self.frames.append(frame)
        self.may_decode.wait(10)
        if data == b"killer":
            assert self.process_id is not None
            self.process_id += 1
        try:
            row = json.loads(data)
        except ValueError as error:
            raise ImageError("Cannot read this file: it is no image.") from error
        frame = row["frames"] // 2 if frame is None else frame
        grey = np.full((16, 24), frame, np.uint16)
        return ReceivedFrame(
            image=MedicalImage(pixels=np.full((16, 24, 3), frame, np.uint8), source="png"),
            levels=GreyLevels(values=grey, center=5.0, width=9.0, is_inverted=True),
            frame=frame,
            num_frames=row["frames"],
            facts=ImageFacts(modality="CR"),
            private_words=tuple(row["words"]),
        )

    def close(self) -> None:
        self.is_closed = True


@dataclass(kw_only=True)
class SlowModel:
    """Engine, batch and gates in one.

    A question that opens with "is" is closed and answered "yes". Another is answered by its own
    words, one a step. What a test puts into `wrong` is raised where it names.
    """

    room: int = 2
    least_confidence: float | None = None
    probabilities: tuple[float, ...] = ()
    """Of an open answer after each of its words; 1 where not told."""
    may_step: threading.Event = field(default_factory=threading.Event)
    may_load: threading.Event = field(default_factory=threading.Event)
    may_encode: threading.Event = field(default_factory=threading.Event)
    wrong: dict[str, BaseException] = field(default_factory=dict)
    """What to raise, by "encode", "step", "load", or a question's text."""
    with_scope: bool = False
    encoded: list[str] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    seen: list[SeenImage] = field(default_factory=list)
    thread_names: set[str] = field(default_factory=set)

    name = "slow"
    scheme = "tiny-f32"
    model = "tiny"
    preprocessing = Preprocessing(size_px=8)
    weights_digest = "w" * 64
    num_threads = 1
    prompt_template = "{image}{question}"

    def __post_init__(self) -> None:
        self.may_step.set()
        self.may_load.set()
        self.may_encode.set()
        self._open: dict[int, tuple[str, list[str], int, Callable[[str, float], None]]] = {}
        self._ticket = 0

    def loaded(self) -> LoadedModel:
        self.may_load.wait(10)
        self._raise("load")
        me: Any = self
        return LoadedModel(
            engine=me,
            batch=me,
            answering=me,
            look=lambda frame: (BLURRED,),
            scope=(lambda encoded: (OUT_OF_SCOPE,)) if self.with_scope else None,
            facts=FACTS,
            not_checked=NOT_CHECKED,
        )

    def encode(self, pixels: Pixels, *, keep_stages: bool = False) -> EncodedImage:
        self.thread_names.add(threading.current_thread().name)
        self._raise("encode")
        self.may_encode.wait(10)
        assert keep_stages == self.with_scope
        self.encoded.append(f"{pixels.mean():.4f}")
        state = np.zeros(1000, np.uint8)
        return EncodedImage(state=state, num_image_tokens=1, encode_ms=2.0, prefill_ms=1.0)

    def begin(
        self, image: SeenImage, question: str, decoding: Decoding
    ) -> SafeAnswer | OpenQuestion:
        self.seen.append(image)
        self._raise(question)
        if question.startswith("is"):
            self.answered.append(question)
            return answer_to(question, "yes", kind="yes-no")
        return OpenQuestion(
            question=question,
            image=image,
            decoding=decoding,
            least_confidence=self.least_confidence,
        )

    def finish(self, asked: OpenQuestion, answer: Answer) -> SafeAnswer:
        self._raise(f"finish {asked.question}")
        is_withheld = answer.confidence < (asked.least_confidence or 0.0)
        text = "cannot tell" if is_withheld else answer.text
        return answer_to(asked.question, text, is_withheld=is_withheld, model_text=answer.text)

    def __len__(self) -> int:
        return len(self._open)

    def add(
        self,
        image: EncodedImage,
        question: str,
        decoding: Decoding,
        on_text: Callable[[str, float], None],
    ) -> int:
        self._raise(f"add {question}")
        assert len(self) < self.room
        self._ticket += 1
        self._open[self._ticket] = (question, question.split(), 0, on_text)
        return self._ticket

    def step(self) -> list[Finished]:
        self.may_step.wait(10)
        self._raise("step")
        return [ended for ticket in list(self._open) if (ended := self._one(ticket)) is not None]

    def drop(self, ticket: int) -> None:
        question, *_ = self._open.pop(ticket)
        self._raise(f"drop {question}")
        self.dropped.append(question)

    def _one(self, ticket: int) -> Finished | None:
        question, words, place, on_text = self._open[ticket]
        told = self.probabilities[place : place + 1]
        probability = told[0] if told else 1.0
        on_text(words[place] if place == 0 else f" {words[place]}", probability)
        self._open[ticket] = (question, words, place + 1, on_text)
        if place + 1 < len(words):
            return None
        del self._open[ticket]
        self.answered.append(question)
        answer = Answer(
            text=question,
            confidence=probability,
            num_tokens=len(words),
            prefill_ms=0.0,
            decode_ms=0.0,
        )
        return Finished(ticket=ticket, answer=answer)

    def _raise(self, where: str) -> None:
        if where in self.wrong:
            raise self.wrong.pop(where)


def answer_to(
    question: str,
    text: str,
    *,
    kind: Any = "open",
    is_withheld: bool = False,
    model_text: str | None = None,
) -> SafeAnswer:
    return SafeAnswer(
        question=question,
        kind=kind,
        text=text,
        is_withheld=is_withheld,
        finding=None,
        confidence=0.9,
        calibrated=None,
        alerts=(BLURRED,),
        gates=(),
        model_text=text if model_text is None else model_text,
    )


@asynccontextmanager
async def running(
    folder: Path,
    model: SlowModel | None = None,
    *,
    settings: ServeSettings | None = None,
    decoder: JsonDecoder | None = None,
    audit: AuditLog | None = None,
) -> AsyncIterator[Service]:
    """A service that is ready, and closed at the end."""
    model = SlowModel() if model is None else model
    service = Service(
        settings or ServeSettings(),
        load=model.loaded,
        decoder=decoder or JsonDecoder(),
        audit=audit or AuditLog.open(folder / "audit.sqlite"),
    )
    await service.start()
    try:
        await until(lambda: service.state != "loading")
        yield service
    finally:
        model.may_step.set()
        model.may_load.set()
        model.may_encode.set()
        await service.close()


async def ask(service: Service, case: Case, text: str, **rest: Any) -> list[Event]:
    """All events of a question."""
    user = rest.pop("user", case.user)
    question = Question(text=text, **rest)
    return [event async for event in service.ask(case, question, user=user)]


def answer_in(events: list[Event]) -> SafeAnswer:
    last = events[-1]
    assert isinstance(last, Answered)
    return last.answer


async def until(holds: Callable[[], object], *, seconds: float = 30) -> None:
    """Wait for another thread to have done something."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 (there is no event to wait for)
            await asyncio.sleep(0.001)
