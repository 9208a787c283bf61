"""Time OpenVINO and llama.cpp on the same language model and token counts, taking turns.

Each engine runs in a process of its own, for its peak memory; the two answer by turns in
one run, so that a noisy minute falls on both. llama.cpp is optional: a Python with the
package xllamacpp, which may be another environment's.

Example:
    python benchmarks/engines.py --build BUILD --gguf MODEL.gguf \\
        --llama-python llama-venv/bin/python --json engines.json
"""

# ruff: noqa: T201  # a script that prints its table

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FIRST_ID = 1000
"""Token ids count up from here: any text will do, the work is the same."""

Times = dict[str, float]


def main() -> None:
    """Measure, print a table, write JSON."""
    options = _options()
    if options.worker:
        _work(options)
        return
    workers = {"openvino": _start("openvino", sys.executable, options)}
    llama = _start("llama.cpp", options.llama_python, options)
    if _loaded(llama) is None:
        print("llama.cpp skipped: xllamacpp is not installed there.", file=sys.stderr)
    else:
        workers["llama.cpp"] = llama
    if _loaded(workers["openvino"]) is None:
        sys.exit("The OpenVINO worker did not start.")
    rows: dict[str, list[Times]] = {name: [] for name in workers}
    for _ in range(options.runs + 1):
        for name, worker in workers.items():
            rows[name].append(_ask(worker))
    report = {
        "conditions": _conditions(options),
        # The first run of each warms it up and is kept apart.
        "first": {name: runs[0] for name, runs in rows.items()},
        "engines": {name: _summary(runs[1:]) for name, runs in rows.items()},
    }
    _print(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time OpenVINO and llama.cpp, taking turns.")
    parser.add_argument("--build", type=Path, required=True, help="an OpenVINO build's folder")
    parser.add_argument("--gguf", type=Path, required=True, help="the language model's GGUF")
    parser.add_argument("--llama-python", default=sys.executable, help="Python with llama.cpp")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prefill", type=int, default=90, help="tokens, image tokens included")
    parser.add_argument("--decode", type=int, default=10, help="tokens")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--json", type=Path, help="write the report here too")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def _start(name: str, python: str, options: argparse.Namespace) -> subprocess.Popen[str]:
    command = [python, __file__, "--worker", name]
    for option in ("build", "gguf", "threads", "prefill", "decode"):
        command += [f"--{option}", str(getattr(options, option))]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _loaded(worker: subprocess.Popen[str]) -> str | None:
    assert worker.stdout is not None
    return worker.stdout.readline() or None


def _ask(worker: subprocess.Popen[str]) -> Times:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write("run\n")
    worker.stdin.flush()
    times: Times = json.loads(worker.stdout.readline())
    return times


def _conditions(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "machine": platform.processor() or platform.machine(),
        "processors": os.cpu_count(),
        "threads": options.threads,
        "prefill_tokens": options.prefill,
        "decode_tokens": options.decode,
        "runs": options.runs,
        "build_mib": _mib(sum(path.stat().st_size for path in options.build.iterdir())),
        "gguf_mib": _mib(options.gguf.stat().st_size),
    }


def _summary(runs: list[Times]) -> dict[str, dict[str, float]]:
    return {
        name: {
            "median": round(statistics.median(run[name] for run in runs), 2),
            "low": round(min(run[name] for run in runs), 2),
            "high": round(max(run[name] for run in runs), 2),
        }
        for name in runs[0]
    }


def _print(report: dict[str, Any]) -> None:
    print(json.dumps(report["conditions"]))
    for name, figures in report["engines"].items():
        print(f"\n{name}")
        for figure, value in figures.items():
            first = report["first"][name][figure]
            print(
                f"  {figure:28}{value['median']:10.1f}   {value['low']:.1f} to {value['high']:.1f}"
                f"   first run {first:.1f}"
            )


def _work(options: argparse.Namespace) -> None:
    start = time.perf_counter()
    run = {"openvino": _openvino, "llama.cpp": _llama}[options.worker](options)
    load_ms = 1000 * (time.perf_counter() - start)
    print("loaded", flush=True)
    for _line in sys.stdin:
        times = run() | {"load_ms": load_ms, "peak_memory_mib": _peak_memory_mib()}
        print(json.dumps(times), flush=True)


def _openvino(options: argparse.Namespace) -> Callable[[], Times]:
    import numpy as np

    from tinymed.engines.openvino import OpenVinoEngine
    from tinymed.models.catalog import find_model
    from tinymed.models.language_gguf import open_gguf
    from tinymed.models.prompt import TEMPLATE, build_prompt
    from tinymed.models.tokenizer import tokenizer_from_gguf

    engine = OpenVinoEngine(
        options.build,
        model="nano",
        prompt=build_prompt(tokenizer_from_gguf(open_gguf(options.gguf))),
        prompt_template=TEMPLATE,
        preprocessing=find_model("nano").preprocessing,
        threads=options.threads,
    )
    size = engine.preprocessing.size_px
    pixels = np.random.default_rng(0).normal(0, 1, (3, size, size)).astype(np.float32)

    def run() -> Times:
        # The language model alone, token for token what llama.cpp does below.
        engine._language.reset_state()  # noqa: SLF001
        times = _timed(lambda ids, at: engine._step(engine._embed(ids), at), options)  # noqa: SLF001
        image = engine.encode(pixels)
        answers = [
            engine.answer(image, question, max_new_tokens=options.decode)
            for question in ("Is there a fracture of the left rib?", "Which organ is enlarged?")
        ]
        return times | {
            "vision_ms": image.encode_ms,
            "image_prefill_ms": image.prefill_ms,
            "first_question_prefill_ms": answers[0].prefill_ms,
            "second_question_prefill_ms": answers[1].prefill_ms,
        }

    return run


def _llama(options: argparse.Namespace) -> Callable[[], Times]:
    try:
        import xllamacpp
    except ImportError:
        sys.exit(0)
    settings = xllamacpp.CommonParams()
    settings.model.path = str(options.gguf)
    settings.n_ctx = 512
    settings.verbosity = 0
    settings.cpuparams.n_threads = options.threads
    settings.cpuparams_batch.n_threads = options.threads
    server = xllamacpp.Server(settings)
    request = {
        "prompt": list(range(FIRST_ID, FIRST_ID + options.prefill)),
        "n_predict": options.decode + 1,  # the first comes out of the prefill
        "ignore_eos": True,
        "temperature": 0,
        "cache_prompt": False,
    }

    def run() -> Times:
        timings = server.handle_completions(request)["timings"]
        return {
            "prefill_ms": timings["prompt_ms"],
            "decode_ms_per_token": timings["predicted_ms"] / options.decode,
        }

    return run


def _timed(step: Callable[[list[int], int], object], options: argparse.Namespace) -> Times:
    prompt = list(range(FIRST_ID, FIRST_ID + options.prefill))
    start = time.perf_counter()
    step(prompt, 0)
    prefilled = time.perf_counter()
    for index in range(options.decode):
        step([FIRST_ID + index], options.prefill + index)
    end = time.perf_counter()
    return {
        "prefill_ms": 1000 * (prefilled - start),
        "decode_ms_per_token": 1000 * (end - prefilled) / options.decode,
    }


def _peak_memory_mib() -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def _mib(num_bytes: int) -> float:
    return round(num_bytes / 2**20, 1)


if __name__ == "__main__":
    main()
