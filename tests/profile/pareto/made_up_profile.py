"""Run folders as `profile run` and `evaluate run` leave them; every number is made up."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tinymed.profile.point import Conditions, Energy, Memory, Point, measured, point_row

VQA_RAD_TEST = "94774a25d4e0acd4d66018f4843714cd7b1cabbbaf72959cf7d23d9fa32daffb"
SLAKE_VALIDATION = "ef9b74910799fc5a991f5f2c9b6af6891fbbedc3bddded6f70528133b70333ad"
OTHER = "f" * 64
QUIET = Conditions(
    used_by_others=0.01,
    stolen=0.0,
    throttled=None,
    widest_spread=0.04,
    widest_figure="first_token_ms",
    is_busy=False,
)
MACHINE = {"processor": "a processor", "cores": 2, "memory_gib": 15.6, "kinds": ["avx2", "amx"]}


def digest(model: str, scheme: str) -> str:
    return f"{model}-{scheme}".encode().hex().ljust(64, "0")[:64]


def around(value: float, *, spread: float = 0.04) -> list[float]:
    """Ten runs with this median, the slowest well above it."""
    steps = (-0.5, -0.4, -0.3, -0.2, -0.1, 0.1, 0.2, 0.4, 0.7, 1.0)
    return [value * (1 + spread * step) for step in steps]


def made_up_point(
    scheme: str = "openvino-int8",
    *,
    model: str = "nano",
    peak: float | None = 400.0,
    first_token: float | None = 300.0,
    **fields: Any,
) -> Point:
    """A point whose memory goes with its peak and whose times go with its first token."""
    size, ms = peak or 400.0, first_token or 300.0
    figures = {
        "image_decode_ms": measured(around(0.1 * ms)),
        "preprocess_ms": measured(around(0.05 * ms)),
        "vision_ms": measured(around(0.4 * ms)),
        "image_prefill_ms": measured(around(0.25 * ms)),
        "question_prefill_ms": measured(around(0.2 * ms)),
        "decode_token_ms": measured(around(0.05 * ms)),
        "load_s": measured([0.8]),
        "first_token_cold_ms": measured([1.6 * ms]),
        "first_token_ms": measured(around(ms)),
        "second_question_ms": measured(around(0.2 * ms)),
        "answer_ms": measured(around(2.5 * ms)),
        "decode_tokens_per_s": measured(around(20000 / ms)),
    }
    if first_token is None:
        figures = {}
    memory = Memory(
        disk=0.5 * size,
        static=0.48 * size,
        static_with_scales=0.5 * size,
        resident=0.8 * size,
        proportional=0.7 * size,
        anonymous=0.5 * size,
        dynamic=0.9 * size,
        above_static=0.4 * size,
        peak=peak,
    )
    point = Point(
        model=model,
        scheme=scheme,
        engine=scheme.partition("-")[0],
        device="cpu",
        threads=2,
        weights_sha256=digest(model, scheme),
        is_random=False,
        parity="passed",
        image="chest.png (png, 1600 x 1250 px, 0.4 MB)",
        image_tokens=81,
        prompt_tokens=101,
        answer_tokens=33,
        figures=figures,
        memory=memory,
        energy=None,
        conditions=QUIET,
        predicted={"peak_mib": 1.06 * size, "disk_mib": 0.5 * size, "first_token_ms": 0.7 * ms},
    )
    return replace(point, **fields)


def made_up_points() -> list[Point]:
    """Eight points, one each of what a page must mark."""
    joules = Energy(counter="rapl", joules_per_answer=measured(around(4.0)), watts=12.5)
    busy = replace(QUIET, is_busy=True, used_by_others=0.4, throttled=True)
    return [
        made_up_point("openvino-int8", peak=520, first_token=260),
        made_up_point("openvino-f32", peak=980, first_token=420, energy=joules),
        made_up_point("native-int8", peak=330, first_token=240),
        made_up_point("native-int4", peak=260, first_token=250, conditions=busy),
        made_up_point("gguf-q8_0", peak=450, first_token=430),
        made_up_point("gguf-q4_k_m", peak=400, first_token=440, parity="failed"),
        made_up_point("torch-f32", peak=1650, first_token=900, parity="none", notes=("A note.",)),
        made_up_point(
            "native-int4", model="tinyllava-1.5b", peak=1700, first_token=9000, is_random=True
        ),
    ]


def write_profile(folder: Path, points: Sequence[Point], **fields: Any) -> Path:
    folder.mkdir(parents=True)
    run = {
        "command": "profile run",
        "image": "chest.png (png, 1600 x 1250 px, 0.4 MB)",
        "question": "Is there a mass?",
        "runs": 10,
        "threads": None,
        "device": "auto",
        "machine": MACHINE,
        **fields,
    }
    row = {**run, "points": [point_row(point) for point in points]}
    (folder / "profile.json").write_text(json.dumps(row))
    return folder


def scores_rows(values: Mapping[str, float], *, half: float = 0.04) -> list[dict[str, Any]]:
    """Scores whose intervals reach `half` to both sides."""
    subsets = {"closed": "closed", "open": "open"}
    return [
        {
            "metric": metric,
            "subset": next((name for word, name in subsets.items() if word in metric), "all"),
            "value": value,
            "interval": [max(0.0, value - half), min(1.0, value + half)],
            "num_samples": 272,
            "num_unparsed": 1,
        }
        for metric, value in values.items()
    ]


def write_evaluation(
    folder: Path,
    scheme: str,
    closed: float,
    *,
    model: str = "nano",
    sha256: str = VQA_RAD_TEST,
    half: float = 0.04,
    **run: Any,
) -> Path:
    """An evaluation with one closed accuracy; the other scores go with it."""
    folder.mkdir(parents=True)
    values = {
        "closed_accuracy": closed,
        "open_recall": closed - 0.3,
        "tinyllava_med_closed": closed + 0.02,
    }
    report = {
        "notice": "",
        "run": {
            "command": "evaluate run",
            "model": model,
            "scheme": scheme,
            "weights_sha256": digest(model, scheme),
            "samples": "test.jsonl",
            "samples_sha256": sha256,
            "train": "train.jsonl",
            "limit": None,
            **run,
        },
        "num_samples": 451,
        "conditions": {"model": scores_rows(values, half=half), "always-no": []},
        "notes": [],
    }
    (folder / "scores.json").write_text(json.dumps(report))
    return folder


def write_runs(folder: Path) -> list[Path]:
    """A profile and evaluations on two sets of samples."""
    runs = [write_profile(folder / "profile", made_up_points())]
    closed = {
        "openvino-int8": 0.701,
        "openvino-f32": 0.706,
        "native-int8": 0.699,
        "native-int4": 0.61,
        "gguf-q8_0": 0.699,
        "gguf-q4_k_m": 0.72,
        "torch-f32": 0.706,
        "nf4": 0.69,
    }
    for scheme, value in closed.items():
        runs.append(write_evaluation(folder / f"eval-rad-{scheme}", scheme, value))
    for scheme in ("openvino-int8", "native-int8"):
        value = closed[scheme] + 0.07
        path = folder / f"eval-slake-{scheme}"
        runs.append(write_evaluation(path, scheme, value, sha256=SLAKE_VALIDATION))
    return runs
