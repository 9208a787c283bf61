"""A model that takes the time it is told to, in a measuring process of its own.

Called as a script it stands where `tinymed.profile.run.child` does: `slow_model.py JOURNAL
SCRIPTS REQUEST`, with one script for each time that a point is measured.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinymed.engines.protocol import Answer, EncodedImage, Pixels
from tinymed.errors import ModelError
from tinymed.hardware.load import Load
from tinymed.images.prepare import Preprocessing
from tinymed.profile.run import gauges, session
from tinymed.profile.run.child import serve
from tinymed.profile.run.observation import Request
from tinymed.profile.run.opening import OpenEngine

DIGEST = "d" * 64


@dataclass(frozen=True, kw_only=True)
class Script:
    """What a measuring process sees."""

    encode_ms: float = 2.0
    token_ms: float = 0.5
    tokens: int = 33
    """At which every answer ends."""
    slow_every: int = 0
    """One in so many images takes a hundred times as long."""
    used_by_others: float | None = 0.01
    stolen: float | None = 0.0
    throttled: bool | None = None
    joules_a_second: float | None = None
    fails: str = ""
    """"damaged", "killed" or "crashes"."""
    stops_at_image: int = 0
    """Waits a minute before it encodes this one; 0 for never."""


class SlowEngine:
    """Answers by sleeping; every image must differ from the one before."""

    name = "openvino"
    scheme = "openvino-int8"
    model = "tiny"
    preprocessing = Preprocessing(size_px=8)
    weights_digest = DIGEST
    num_threads = 1
    prompt_template = "{image}{question}"

    def __init__(self, script: Script) -> None:
        self.script = script
        self.num_encoded = 0
        self.last = b""

    def encode(self, pixels: Pixels, *, keep_stages: bool = False) -> EncodedImage:
        self.num_encoded += 1
        assert pixels.tobytes() != self.last, "the same image twice"
        self.last = pixels.tobytes()
        if self.num_encoded == self.script.stops_at_image:
            time.sleep(60)
        slow = self.script.slow_every and self.num_encoded % self.script.slow_every == 0
        ms = self.script.encode_ms * (100 if slow else 1)
        time.sleep(ms / 1000)
        return EncodedImage(state=None, num_image_tokens=4, encode_ms=ms / 2, prefill_ms=ms / 2)

    def answer(
        self,
        image: EncodedImage,
        question: str,
        *,
        max_new_tokens: int = 64,
        on_text: Callable[[str], None] | None = None,
        keep_logits: bool = False,
    ) -> Answer:
        tokens = min(max_new_tokens, self.script.tokens)
        time.sleep(tokens * self.script.token_ms / 1000)
        return Answer(
            text="yes",
            confidence=0.5,
            num_tokens=tokens,
            prefill_ms=self.script.token_ms,
            decode_ms=(tokens - 1) * self.script.token_ms,
        )

    def answer_all(
        self, image: EncodedImage, questions: Sequence[str], *, max_new_tokens: int = 64
    ) -> list[Answer]:
        return [self.answer(image, one, max_new_tokens=max_new_tokens) for one in questions]


def _watch(script: Script) -> Any:
    """In the place of hardware.load.Watch: the machine is as the script says."""

    class Watch:
        def start(self) -> None:
            pass

        def stop(self) -> Load:
            return Load(
                seconds=1.0,
                used_by_others=script.used_by_others,
                stolen=script.stolen,
                throttled=script.throttled,
            )

    return Watch


def _find_counter(script: Script) -> Any:
    class Counter:
        name = "rapl"

        def read_joules(self) -> float:
            assert script.joules_a_second is not None
            return script.joules_a_second * time.perf_counter()

        def close(self) -> None:
            pass

    return lambda **_: None if script.joules_a_second is None else Counter()


def _open(script: Script) -> OpenEngine:
    sys.stdout.write("a library that prints\n")  # no line of the child's
    sys.stdout.flush()
    if script.fails == "damaged":
        raise ModelError("The build is damaged; build it again.")
    if script.fails == "killed":
        os.kill(os.getpid(), 9)
    if script.fails == "crashes":
        raise RuntimeError("out of cheese")
    return OpenEngine(
        engine=SlowEngine(script),
        device="cpu",
        on_gpu=False,
        count_prompt=lambda image, question: image.num_image_tokens + len(question.split()),
    )


def main() -> None:
    """Measure by the script whose turn it is."""
    journal, rows, request = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
    asked = Request(**request)
    turn = journal.read_text().splitlines().count(asked.scheme) if journal.exists() else 0
    script = Script(**rows[min(turn, len(rows) - 1)])
    with journal.open("a") as file:
        file.write(f"{asked.scheme}\npid {os.getpid()}\n")
    session.Watch = _watch(script)  # type: ignore[misc]
    gauges.find_counter = _find_counter(script)
    sys.exit(serve(asked, prepare=lambda: None, open_engine=lambda: _open(script)))


if __name__ == "__main__":
    main()
