"""What the audit says of images, questions, answers and verdicts: no pixels and no names."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tinymed import __version__
from tinymed.safe.safe_answer import SafeAnswer
from tinymed.serve.asked.as_json import image_json, timings_json
from tinymed.serve.asked.events import Timings
from tinymed.serve.asked.question import Question, Verdict
from tinymed.serve.audit.entry import Entry
from tinymed.serve.audit.strike import struck_out
from tinymed.serve.cases.stored_image import StoredImage
from tinymed.serve.desk.loaded_model import ModelFacts
from tinymed.serve.settings import ServeSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedWords:
    """How words of one case enter the audit."""

    private_words: Sequence[str]
    """Casefolded; of the patient's name and numbers, which are struck out."""
    keep: bool
    """Whether words are written down, or their sha256 alone."""

    def of(self, **texts: str | None) -> dict[str, Any]:
        """Each text under its name, or its sha256 under NAME_sha256; None stays None."""
        struck = {
            name: None if text is None else struck_out(text, self.private_words)
            for name, text in texts.items()
        }
        if self.keep:
            return struck
        return {f"{name}_sha256": _sha256(text) for name, text in struck.items()}


def started(settings: ServeSettings, facts: ModelFacts) -> Entry:
    """The server has loaded its model."""
    body = {
        "version": __version__,
        "model": facts.name,
        "scheme": facts.scheme,
        "weights_sha256": facts.weights_sha256,
        "split": facts.split,
        "gates": asdict(settings.gates),
        "allow_raw": settings.allow_raw,
        "keep_words": settings.keep_words,
    }
    return Entry(kind="started", body=body)


def received(image: StoredImage, *, case: str, user: str, num_bytes: int) -> Entry:
    """An image has come in."""
    body = image_json(image) | {"num_bytes": num_bytes}
    return Entry(kind="received", user=user, case=case, body=body)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedQuestion:
    """The rows of one question."""

    id: str
    case: str
    user: str
    image_sha256: str
    frame: int
    question: Question
    words: AuditedWords
    facts: ModelFacts

    def asked(self) -> Entry:
        """It was asked."""
        body = {
            "frame": self.frame,
            "image_sha256": self.image_sha256,
            "safe": self.question.safe,
            "decoding": asdict(self.question.decoding) | {"stop": len(self.question.decoding.stop)},
            **self.words.of(question=self.question.text, own_read=self.question.own_read),
        }
        return self._entry("asked", body)

    def answered(self, answer: SafeAnswer, timings: Timings) -> Entry:
        """It was answered: what was shown, what the model said, and why."""
        words = self.words.of(
            question=self.question.text, text=answer.text, model_text=answer.model_text
        )
        body = {
            "answer": words | _without_words(answer),
            "image_sha256": self.image_sha256,
            "timings": timings_json(timings),
            "model": self.facts.name,
            "scheme": self.facts.scheme,
            "weights_sha256": self.facts.weights_sha256,
        }
        return self._entry("answered", body)

    def stopped(self, why: str) -> Entry:
        """It was not answered."""
        return self._entry("stopped", {"why": why})

    def _entry(self, kind: Any, body: dict[str, Any]) -> Entry:
        return Entry(kind=kind, user=self.user, case=self.case, body={"id": self.id, **body})


def verdict_entry(verdict: Verdict, *, case: str, user: str, words: AuditedWords) -> Entry:
    """A clinician has judged an answer."""
    body = {
        "answer": verdict.answer,
        "decision": verdict.decision,
        **words.of(reason=verdict.reason, text=verdict.text),
    }
    return Entry(kind="verdict", user=user, case=case, body=body)


def _without_words(answer: SafeAnswer) -> dict[str, Any]:
    """An answer but for its words, and alerts but for their sentences.

    Those may quote a text that was read in the image.
    """
    return {
        "kind": answer.kind,
        "is_withheld": answer.is_withheld,
        "finding": answer.finding,
        "confidence": answer.confidence,
        "calibrated": asdict(answer.calibrated) if answer.calibrated is not None else None,
        "alerts": [
            {
                "code": alert.code,
                "gate": alert.gate,
                "withholds": alert.withholds,
                "figures": dict(alert.figures),
            }
            for alert in answer.alerts
        ],
        "gates": [
            {"gate": told.gate, "mode": told.mode, "outcome": told.outcome} for told in answer.gates
        ],
        "finish_reason": answer.finish_reason,
        "num_tokens": answer.num_tokens,
    }


def _sha256(text: str | None) -> str | None:
    # Half a surrogate pair, which JSON can bring, has no UTF-8.
    return None if text is None else hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
