"""Time one of tinymed's schemes and print the figures: a process of its own, for `shrink.py`."""

# ruff: noqa: T201  # a script that prints its figures

from __future__ import annotations

import argparse
import json
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from tinymed.hardware.memory import begin_peak_anew, peak_memory_mib, process_memory
from tinymed.models.schemes import find_scheme

MODULES = {
    "native": "tinymed.engines.native.engine",
    "openvino": "tinymed.engines.openvino.runtime",
    "llamacpp": "tinymed.engines.llamacpp.engine",
    "torch": "tinymed.engines.torch.build",
}


def main() -> None:
    """Measure each figure once; shrink.py repeats."""
    options = _options()
    start = time.perf_counter()
    import_module(MODULES[find_scheme(options.scheme).engine])
    imported = time.perf_counter()
    engine = _open(options)
    loaded = time.perf_counter()
    size = engine.preprocessing.size_px
    pixels = np.random.default_rng(0).normal(0, 1, (2, 3, size, size)).astype(np.float32)

    def first_token_s(picture: Any) -> tuple[Any, float]:
        image = engine.encode(picture)
        answer = engine.answer(image, options.first, max_new_tokens=1)
        return image, (image.encode_ms + image.prefill_ms + answer.prefill_ms) / 1000

    _, cold_s = first_token_s(pixels[0])
    cold_peak_mib = _peak_mib()
    begin_peak_anew()
    image, warm_s = first_token_s(pixels[1])
    second = engine.answer(image, options.second, max_new_tokens=1)
    longer = engine.answer(image, options.first, max_new_tokens=options.num_decoded)
    if longer.num_tokens < options.num_decoded // 2:
        sys.exit("the answer ended too early to time its tokens")
    held = process_memory()
    figures = {
        "import_s": imported - start,
        "load_s": loaded - imported,
        "cold_first_token_s": cold_s,
        "first_token_s": warm_s,
        "vision_s": image.encode_ms / 1000,
        "second_question_s": second.prefill_ms / 1000,
        "second_to_first": second.prefill_ms / 1000 / warm_s,
        "decode_tokens_per_s": 1000 * (longer.num_tokens - 1) / longer.decode_ms,
        "peak_answering_mib": _peak_mib(),
        "resident_mib": held.resident_mib,
        "anonymous_mib": held.anonymous_mib,
        "peak_mib": max(cold_peak_mib, _peak_mib()),
    }
    print(json.dumps(figures), flush=True)


def _peak_mib() -> float:
    return peak_memory_mib() or float("nan")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("scheme")
    parser.add_argument("place", type=Path, help="its build, or a checkpoint where it has none")
    parser.add_argument("--first", required=True, help="question")
    parser.add_argument("--second", required=True, help="another question about the same image")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--num-decoded", type=int, required=True, help="tokens of the answer")
    return parser.parse_args()


def _open(options: argparse.Namespace) -> Any:
    from tinymed.engines.choose import open_as_it_is, open_build
    from tinymed.models.build import is_build, read_build
    from tinymed.models.catalog import find_source

    if is_build(options.place):
        return open_build(read_build(options.place), threads=options.threads)
    source = find_source(str(options.place))
    return open_as_it_is(source, find_scheme(options.scheme), threads=options.threads)


if __name__ == "__main__":
    main()
