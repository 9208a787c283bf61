"""What the server counts, for Prometheus: numbers only, nothing of what was asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from tinymed.engines.protocol import EncodedImage
from tinymed.safe.safe_answer import SafeAnswer
from tinymed.serve.asked.events import Timings

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)

Outcome = Literal["answered", "withheld", "stopped", "failed"]


class Metrics:
    """The counts of one server; for any thread."""

    def __init__(self) -> None:
        """All at zero, in a registry of their own."""
        self._registry = CollectorRegistry()
        self._requests = self._counter("requests", "HTTP requests.", ["route", "status"])
        self._questions = self._counter("questions", "Questions by outcome.", ["kind", "outcome"])
        self._alerts = self._counter("alerts", "Alerts that answers carried.", ["code"])
        self._encodes = self._counter("encodes", "Images that the model read.")
        self._prefix = self._counter(
            "prefix_cache", "Questions whose image the model had read, or not.", ["result"]
        )
        self._audit_failures = self._counter("audit_failures", "Audit rows not written.")
        self._decoder_restarts = self._counter(
            "decoder_restarts", "Processes that decode images and were killed by a file."
        )
        self._encode_s = self._histogram("encode_seconds", "Reading an image.")
        self._wait_s = self._histogram("wait_seconds", "A question's time in the queue.")
        self._first_text_s = self._histogram("first_text_seconds", "Until the first text.")
        self._total_s = self._histogram("answer_seconds", "Until the whole answer.")
        self.watch("resident_bytes", "Memory of the server's process.", _resident_bytes)

    def count_request(self, route: str, status: int) -> None:
        """Count an HTTP request; `route` is a path's pattern, never a path."""
        self._requests.labels(route=route, status=str(status)).inc()

    def count_answer(self, answer: SafeAnswer, timings: Timings) -> None:
        """Count an answer, its alerts and its times."""
        self.count_question(answer.kind, "withheld" if answer.is_withheld else "answered")
        for alert in answer.alerts:
            self._alerts.labels(code=alert.code).inc()
        self._wait_s.observe(timings.wait_ms / 1000)
        self._first_text_s.observe(timings.first_text_ms / 1000)
        self._total_s.observe(timings.total_ms / 1000)

    def count_question(self, kind: str, outcome: Outcome) -> None:
        """Count a question; its kind is "unknown" where it ended before that was told."""
        self._questions.labels(kind=kind, outcome=outcome).inc()

    def count_encode(self, encoded: EncodedImage) -> None:
        """Count an image that the model read."""
        self._encodes.inc()
        self._encode_s.observe((encoded.encode_ms + encoded.prefill_ms) / 1000)

    def count_prefix(self, *, is_hit: bool) -> None:
        """Count a question by whether its image had been read before."""
        self._prefix.labels(result="hit" if is_hit else "miss").inc()

    def count_decoder_restart(self) -> None:
        """Count a process that decodes images and had to be replaced."""
        self._decoder_restarts.inc()

    def count_audit_failure(self) -> None:
        """Count audit rows that could not be written."""
        self._audit_failures.inc()

    def watch(self, name: str, help_: str, value: Callable[[], float]) -> None:
        """Ask for a number each time the metrics are read."""
        gauge = Gauge(f"tinymed_{name}", help_, registry=self._registry)
        gauge.set_function(value)

    def metrics_text(self) -> bytes:
        """Everything, in the format that Prometheus reads (CONTENT_TYPE)."""
        return generate_latest(self._registry)

    def _counter(self, name: str, help_: str, labels: list[str] | None = None) -> Counter:
        return Counter(f"tinymed_{name}", help_, labels or [], registry=self._registry)

    def _histogram(self, name: str, help_: str) -> Histogram:
        return Histogram(f"tinymed_{name}", help_, buckets=_SECONDS, registry=self._registry)


def _resident_bytes() -> float:
    return float(psutil.Process().memory_info().rss)
