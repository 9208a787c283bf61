"""A question between its gates: closed ones are scored here, open ones decoded by the caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tinymed.engines.decoding import Decoding
from tinymed.engines.protocol import Answer, EncodedImage, Engine
from tinymed.safe.decide import Before, decide, withholds_before
from tinymed.safe.gate import Alert, GateName, Gates
from tinymed.safe.image.facts import spacing_alert
from tinymed.safe.policy import SafetyPolicy
from tinymed.safe.question_kind import ReadQuestion, read_question
from tinymed.safe.safe_answer import SafeAnswer
from tinymed.safe.said import Asker, Said


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenImage:
    """An image that the model has read, and what the gates before the model said of it."""

    encoded: EncodedImage
    alerts: tuple[Alert, ...] = ()
    not_checked: Mapping[GateName, str] = field(default_factory=dict)
    """Gates that could not look at this image, and why."""
    has_spacing: bool = True
    """Whether its file says how large a pixel is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenQuestion:
    """An open question that passed the gates before the model and waits to be decoded."""

    question: str
    image: SeenImage
    decoding: Decoding
    """What to decode with."""
    least_confidence: float | None
    """Text may be shown while the answer's probability so far is at least this: it only ever
    falls, so below it the answer will be withheld. None where nothing is withheld for that."""


class SafeAnswering:
    """Answers one engine's questions safely. For the one thread that owns the engine."""

    def __init__(
        self,
        engine: Engine,
        *,
        gates: Gates,
        policy: SafetyPolicy | None = None,
    ) -> None:
        """Stand before an engine; reads a black image once, for the check without the image.

        Args:
            engine: What answers.
            gates: What each gate may do.
            policy: What `read_policy` found for this engine. Without one there are no
                thresholds and no calibrated figures, and every answer says so.
        """
        self._gates = gates
        self._policy = policy
        self._asker = Asker(engine, gates=gates)

    def begin(
        self, image: SeenImage, question: str, decoding: Decoding
    ) -> SafeAnswer | OpenQuestion:
        """Pass the gates before the model; a closed question is answered on the spot.

        Raises:
            UserError: If the question does not fit the model.
        """
        asked, before = self._read(image, question)
        if withholds_before(before, self._gates):
            return self._decide(asked, before, None)
        if asked.kind == "open":
            return OpenQuestion(
                question=question,
                image=image,
                decoding=decoding,
                least_confidence=self._least_confidence(),
            )
        return self._decide(asked, before, self._asker.closed(image.encoded, asked))

    def finish(self, asked: OpenQuestion, answer: Answer) -> SafeAnswer:
        """Pass the gates behind the model with what was decoded (by a `Batch`)."""
        is_cut = _is_cut(answer, asked.decoding)
        said = self._asker.opened(asked.question, answer, is_cut=is_cut)
        return self._decide(*self._read(asked.image, asked.question), said)

    def _read(self, image: SeenImage, question: str) -> tuple[ReadQuestion, Before]:
        """What the words of a question say, and what is known before the model runs."""
        note = spacing_alert(question, has_spacing=image.has_spacing)
        alerts = image.alerts if note is None else (*image.alerts, note)
        before = Before(alerts=alerts, not_checked=image.not_checked)
        return read_question(question), before.with_question(question)

    def _decide(self, asked: ReadQuestion, before: Before, said: Said | None) -> SafeAnswer:
        return decide(asked, before, said, gates=self._gates, policy=self._policy)

    def _least_confidence(self) -> float | None:
        if self._gates.threshold != "withhold" or self._policy is None:
            return None
        return self._policy.threshold("open")


def _is_cut(answer: Answer, decoding: Decoding) -> bool:
    """Whether an answer ended for want of room or at a stop text, and not by itself."""
    if answer.finish_reason == "length":
        return True
    # The token that ends an answer has no text.
    return bool(decoding.stop) and (not answer.tokens or answer.tokens[-1].text != "")
