"""Time OpenVINO GenAI on one exported model and print the figures: for a Python that has it.

`shrink.py --genai` runs this; the Python needs openvino-genai and numpy, nothing else.
"""

# ruff: noqa: T201  # a script that prints its figures

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

NUM_IMAGES = 4


class _Pipeline:
    """A model that is open, and how it is asked."""

    def __init__(self, options: argparse.Namespace, *, reuse: bool) -> None:
        import openvino_genai

        self._library = openvino_genai
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.enable_prefix_caching = reuse
        settings = json.loads(options.settings)
        settings |= {"INFERENCE_NUM_THREADS": options.threads, "scheduler_config": scheduler}
        self._pipeline = openvino_genai.VLMPipeline(str(options.folder), "CPU", **settings)

    def ask(self, image: Any, prompt: str, num_tokens: int) -> Any:
        """Its measurements of one answer of exactly so many tokens."""
        wanted = self._library.GenerationConfig()
        wanted.max_new_tokens = wanted.min_new_tokens = num_tokens
        wanted.ignore_eos, wanted.do_sample, wanted.apply_chat_template = True, False, False
        answer = self._pipeline.generate(prompt, images=[image], generation_config=wanted)
        return answer.perf_metrics


def main() -> None:
    """Measure each figure once; shrink.py repeats."""
    options = _options()
    start = time.perf_counter()
    import openvino

    imported = time.perf_counter()
    # Without the cache of prefixes, which costs the first question a fifth.
    pipeline = _Pipeline(options, reuse=False)
    loaded = time.perf_counter()
    size = (NUM_IMAGES, 1, options.image_px, options.image_px, 3)
    pixels = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    images = [openvino.Tensor(image) for image in pixels]
    cold = pipeline.ask(images[0], options.first, 1)
    cold_peak_mib = _memory_mib("VmHWM")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
    warm = pipeline.ask(images[1], options.first, 1)
    longer = pipeline.ask(images[2], options.first, options.num_decoded)
    figures = {
        "import_s": imported - start,
        "load_s": loaded - imported,
        "cold_first_token_s": cold.get_ttft().mean / 1000,
        "first_token_s": warm.get_ttft().mean / 1000,
        "vision_s": warm.get_prepare_embeddings_duration().mean / 1000,
        "prompt_tokens": float(warm.get_num_input_tokens()),
        "decode_tokens_per_s": 1000 / longer.get_tpot().mean,
        "peak_answering_mib": _memory_mib("VmHWM"),
        "resident_mib": _memory_mib("VmRSS"),
        "anonymous_mib": _memory_mib("RssAnon"),
        "peak_mib": max(cold_peak_mib, _memory_mib("VmHWM")),
    }
    del pipeline
    pipeline = _Pipeline(options, reuse=True)
    for prompt in (options.first, options.second):
        second = pipeline.ask(images[3], prompt, 1)
    figures["second_question_s"] = second.get_ttft().mean / 1000
    figures["second_to_first"] = figures["second_question_s"] / figures["first_token_s"]
    print(json.dumps(figures), flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("folder", type=Path, help="what optimum-cli exported")
    parser.add_argument("--image-px", type=int, required=True, help="side of the image")
    parser.add_argument("--first", required=True, help="prompt, <ov_genai_image_0> in it")
    parser.add_argument("--second", required=True, help="the same with another question")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--num-decoded", type=int, required=True, help="tokens of the answer")
    parser.add_argument("--settings", default="{}", help="OpenVINO's properties, as JSON")
    return parser.parse_args()


def _memory_mib(field: str) -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if field in line)


if __name__ == "__main__":
    main()
