"""Time `answer` question by question against `answer_all`, taking turns, and compare answers.

Once on samples, image by image as `tinymed evaluate run` asks them, and once on one image
with 1 to 16 of their questions. Reading the image is left out: both ways share it.

Example:
    python benchmarks/batching.py nano --samples data/vqa-rad/test.jsonl --json batching.json
"""

# ruff: noqa: T201  # a script that prints its table

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from tinymed.engines.choose import open_engine
from tinymed.engines.protocol import Answer, EncodedImage, Engine
from tinymed.engines.rows import answer_in_rounds
from tinymed.hardware.memory import peak_memory_mib
from tinymed.images.intake import read_image
from tinymed.images.prepare import prepare
from tinymed.jsonl import read_samples

MAX_NEW_TOKENS = 64
SIZES = (1, 2, 4, 8, 16)
"""Questions about one image."""

Ways = dict[str, list[float]]
"""Milliseconds of each run, "single" and "together"."""


def main() -> None:
    """Measure, print a table, write JSON."""
    options = _options()
    engine = open_engine(options.model, threads=options.threads)
    questions = _by_image(options.samples, options.limit)
    report: dict[str, Any] = {"conditions": _conditions(options, questions)}
    print(json.dumps(report["conditions"]))
    report |= _samples(engine, questions, options.runs)
    print(json.dumps(report["answers"]))
    _print("all samples, s", report["samples"])
    flat = [question for asked in questions.values() for question in asked]
    image = _encode(engine, next(iter(questions)))
    report["one_image"] = {}
    for size in SIZES:
        asked = [flat[index] for index in np.linspace(0, len(flat) - 1, size).astype(int)]
        ways: Ways = {"single": [], "together": []}
        for run in range(options.small_runs + 1):
            times, _ = _take_turns(engine, image, asked, run)
            if run:  # the first warms up
                for way, ms in times.items():
                    ways[way].append(ms / size)
        report["one_image"][size] = _summary(ways)
        _print(f"{size} on one image, ms each", report["one_image"][size])
    report["peak_memory_mib"] = peak_memory_mib()
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time answering question by question and all.")
    parser.add_argument("model")
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument("--limit", type=int, help="only the first so many samples")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3, help="over all samples")
    parser.add_argument("--small-runs", type=int, default=15, help="on one image")
    parser.add_argument("--json", type=Path, help="write the report here too")
    return parser.parse_args()


def _by_image(path: Path, limit: int | None) -> dict[Path, list[str]]:
    questions: dict[Path, list[str]] = {}
    for sample in read_samples(path)[:limit]:
        if sample.image is not None:
            questions.setdefault(sample.image, []).append(sample.question)
    return questions


def _conditions(options: argparse.Namespace, questions: dict[Path, list[str]]) -> dict[str, Any]:
    return {
        "machine": platform.processor() or platform.machine(),
        "processors": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "model": options.model,
        "threads": options.threads,
        "samples": options.samples.name,
        "images": len(questions),
        "questions": sum(map(len, questions.values())),
        "runs": options.runs,
        "small_runs": options.small_runs,
    }


def _encode(engine: Engine, image: Path) -> EncodedImage:
    return engine.encode(prepare(read_image(image), engine.preprocessing))


def _samples(engine: Engine, questions: dict[Path, list[str]], runs: int) -> dict[str, Any]:
    ways: Ways = {"single": [0.0] * runs, "together": [0.0] * runs}
    pairs: list[tuple[Answer, Answer]] = []
    logits_gap = 0.0
    for path, asked in tqdm(questions.items(), unit="image"):
        image = _encode(engine, path)
        # Also warms both ways up for this image.
        first = [
            [engine.answer(image, question, keep_logits=True) for question in asked],
            _together_with_logits(engine, image, asked),
        ]
        logits_gap = max(logits_gap, *(_gap(*pair) for pair in zip(*first, strict=True)))
        for run in range(runs):
            times, answers = _take_turns(engine, image, asked, run)
            for way, ms in times.items():
                ways[way][run] += ms / 1000
        pairs += zip(answers["single"], answers["together"], strict=True)
    return {
        "answers": {
            "questions": len(pairs),
            "same_text": sum(single.text == both.text for single, both in pairs),
            "largest_confidence_gap": max(
                abs(single.confidence - both.confidence) for single, both in pairs
            ),
            "largest_first_logits_gap": logits_gap,
        },
        "samples": _summary(ways),
    }


def _together_with_logits(
    engine: Any, image: EncodedImage, questions: Sequence[str]
) -> list[Answer]:
    """What `answer_all` gives, with the first token's logits, which it does not keep."""
    return answer_in_rounds(
        [engine._prompt.question_ids(question) for question in questions],  # noqa: SLF001
        lambda asked: engine._answer(image.state, asked, MAX_NEW_TOKENS, keep_logits=True),  # noqa: SLF001
    )


def _gap(single: Answer, together: Answer) -> float:
    """Largest difference of the first token's logits, as a share of their range."""
    one, other = single.first_token_logits, together.first_token_logits
    assert one is not None
    assert other is not None
    return float(np.abs(one - other).max() / np.ptp(one))


def _take_turns(
    engine: Engine, image: EncodedImage, questions: Sequence[str], run: int
) -> tuple[dict[str, float], dict[str, list[Answer]]]:
    """Milliseconds and answers of each way; every other run begins with the other one."""
    ways = {
        "single": lambda: [
            engine.answer(image, question, max_new_tokens=MAX_NEW_TOKENS) for question in questions
        ],
        "together": lambda: engine.answer_all(image, questions, max_new_tokens=MAX_NEW_TOKENS),
    }
    times, answers = {}, {}
    for way in sorted(ways, reverse=run % 2 == 1):
        start = time.perf_counter()
        answers[way] = ways[way]()
        times[way] = 1000 * (time.perf_counter() - start)
    return times, answers


def _summary(ways: Ways) -> dict[str, dict[str, float]]:
    ratios = [
        single / together for single, together in zip(ways["single"], ways["together"], strict=True)
    ]
    return {
        name: {
            "median": round(statistics.median(values), 2),
            "low": round(min(values), 2),
            "high": round(max(values), 2),
        }
        for name, values in (*ways.items(), ("times_faster", ratios))
    }


def _print(name: str, summary: dict[str, dict[str, float]]) -> None:
    cells = [
        f"{way} {value['median']:7.2f} ({value['low']:.2f} to {value['high']:.2f})"
        for way, value in summary.items()
    ]
    print(f"{name:26}" + "   ".join(cells))


if __name__ == "__main__":
    main()
