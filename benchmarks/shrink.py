"""Time a LLaVA of a known shape under several schemes, taking turns, against what the machine can.

The checkpoint has random weights: speed and memory depend on the shape alone. It and its
builds are made once, in --folder (4 GB). Then every scheme runs in a process of its own, in
rounds, and before each the memory's bandwidth is probed and the processor's peak in 8-bit
products. A machine that is busy with something else is refused (exit 2): such figures would
mislead.

Example:
    python benchmarks/shrink.py --folder shrink --shape tinyllava-1.5b --json shrink.json
    python benchmarks/shrink.py --folder shrink --shape clip-64 --schemes openvino-int4
"""

# ruff: noqa: T201  # a script that prints its table

from __future__ import annotations

import argparse
import ctypes
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

SCHEMES = ("openvino-int4", "openvino-int8", "gguf-q4_k_m", "nf4", "torch-bf16")
FIRST_QUESTION = "Is there a pleural effusion on the left?"
SECOND_QUESTION = "Are the lungs clear of consolidation now"
"""As many tokens as the first: the tokenizer has one a byte."""
NUM_DECODED = 33
BUSY_SHARE = 0.1
"""Of all processors' time, used by others: more, and the machine is busy."""
WIDEST_SPREAD = 0.25
"""Of a figure over the rounds, (highest - lowest) / median: more, and the machine was busy."""
PROBE_BYTES = 2**30
VERSIONS = ("openvino", "xllamacpp", "torch", "transformers", "bitsandbytes", "numpy")

Figures = dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What of a LLaVA decides how long it takes."""

    kind: str
    image_px: int
    width: int
    middle: int
    heads: int
    layers: int

    @property
    def patches(self) -> int:
        """Image tokens: a LLaVA has one a patch."""
        return (self.image_px // PATCH_PX) ** 2


PATCH_PX = 14
SHAPES = {
    # SigLIP-so400m/14-384, the encoder of TinyLLaVA-1.5B
    "tinyllava-1.5b": Shape(
        kind="siglip", image_px=384, width=1152, middle=4304, heads=16, layers=27
    ),
    # CLIP-L/14-336, the encoder of LLaVA 1.5
    "clip-576": Shape(kind="clip", image_px=336, width=1024, middle=4096, heads=16, layers=24),
    # The same reading a small image: what a connector that folds patches would leave.
    "clip-64": Shape(kind="clip", image_px=112, width=1024, middle=4096, heads=16, layers=24),
}
# TinyLlama-1.1B, the language model of all three
HIDDEN, MIDDLE, LAYERS, HEADS, KV_HEADS, VOCABULARY = 2048, 5632, 22, 32, 4, 32064


def main() -> None:
    """Measure, print a table, write JSON."""
    options = _options()
    if options.worker:
        _work(options)
        return
    shape = SHAPES[options.shape]
    checkpoint = options.folder / options.shape
    _make_checkpoint(checkpoint, shape)
    places = {name: _made(checkpoint, name, options) for name in options.schemes}
    if not options.busy:
        _refuse_busy()
    rounds: dict[str, list[Figures]] = {name: [] for name in places}
    probes: list[Figures] = []
    with tempfile.TemporaryDirectory() as work:
        probe = _Probe(Path(work), options.threads)
        for _ in range(options.rounds):
            for name, place in places.items():
                if not options.busy:
                    _refuse_busy()
                probes.append(probe.measure())
                figures = _run(name, place, checkpoint, options)
                rounds[name].append(_with_ratios(figures, probes[-1], shape))
            if options.llama_bench:
                probes.append(probe.measure())
                figures = _llama_bench(options, places["gguf-q4_k_m"])
                rounds.setdefault("llama-bench", []).append(
                    _with_ratios(figures, probes[-1], shape)
                )
    report = {
        "conditions": _conditions(options, probe.how),
        "probes": _summary(probes),
        "schemes": {name: _summary(runs) for name, runs in rounds.items()},
    }
    _print(report)
    noisy = _noisy(report)
    if noisy and not options.busy:
        _refuse(f"The figures above are not to be quoted: {noisy} over the rounds. Try again.")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--folder", type=Path, required=True, help="for checkpoint and builds")
    parser.add_argument("--shape", choices=sorted(SHAPES), default="tinyllava-1.5b")
    parser.add_argument("--schemes", nargs="+", default=list(SCHEMES))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--llama-bench", type=Path, help="llama.cpp's program, as a further peer")
    parser.add_argument(
        "--busy", action="store_true", help="measure on a busy machine all the same"
    )
    parser.add_argument("--json", type=Path, help="write the report here too")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _refuse(why: str) -> NoReturn:
    print(why, file=sys.stderr)
    sys.exit(2)


# --- the checkpoint -------------------------------------------------------------------------


def _make_checkpoint(folder: Path, shape: Shape) -> None:
    """Write a LLaVA checkpoint with random weights; the folder appears whole or not at all."""
    if folder.exists():
        return
    print(f"Making {folder} …", file=sys.stderr)
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    tokenizer = _tokenizer()
    tokenizer.save(str(part / "tokenizer.json"))
    size = {"height": shape.image_px, "width": shape.image_px}
    files: dict[str, dict[str, Any]] = {
        "config.json": _config(shape, tokenizer.token_to_id("<image>")),
        "tokenizer_config.json": {
            "bos_token": "<s>",
            "eos_token": "</s>",
            "tokenizer_class": "PreTrainedTokenizerFast",
            "chat_template": (
                "{% for message in messages %}{{ message['role'].upper() + ': ' }}"
                "{% for item in message['content'] %}{% if item['type'] == 'image' %}"
                "{{ '<image>\n' }}{% else %}{{ item['text'] }}{% endif %}{% endfor %} "
                "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
            ),
        },
        "preprocessor_config.json": {
            "size": size,
            "image_mean": [0.5] * 3,
            "image_std": [0.5] * 3,
            "resample": 3,
        },
    }
    for name, content in files.items():
        (part / name).write_text(json.dumps(content), encoding="utf-8")
    _write_tensors(part / "model.safetensors", dict(_tensor_shapes(shape)))
    part.rename(folder)


def _tokenizer() -> Tokenizer:
    """One token a byte, and as many that no text has as the embedding table has rows."""
    words = sorted(pre_tokenizers.ByteLevel.alphabet())
    control = ["<s>", "</s>", "<image>"]
    words += [f"<unused{n}>" for n in range(VOCABULARY - len(words) - len(control))]
    tokenizer = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in control])
    return tokenizer


def _config(shape: Shape, image_id: int) -> dict[str, Any]:
    is_clip = shape.kind == "clip"
    vision = {
        "model_type": f"{shape.kind}_vision_model",
        "image_size": shape.image_px,
        "patch_size": PATCH_PX,
        "hidden_size": shape.width,
        "intermediate_size": shape.middle,
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "hidden_act": "quick_gelu" if is_clip else "gelu_pytorch_tanh",
        "layer_norm_eps": 1e-5 if is_clip else 1e-6,
    }
    language = {
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": MIDDLE,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "vocab_size": VOCABULARY,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "max_position_embeddings": 2048,
        "bos_token_id": image_id - 2,
        "eos_token_id": image_id - 1,
        "tie_word_embeddings": False,
    }
    return {
        "architectures": ["LlavaForConditionalGeneration"],
        "model_type": "llava",
        "dtype": "bfloat16",
        "image_token_index": image_id,
        "image_seq_length": shape.patches,
        "projector_hidden_act": "gelu",
        "vision_feature_layer": -2,
        "vision_feature_select_strategy": "default" if is_clip else "full",
        "tie_word_embeddings": False,
        "vision_config": vision if is_clip else vision | {"vision_use_head": False},
        "text_config": language,
    }


def _tensor_shapes(shape: Shape) -> Iterator[tuple[str, list[int]]]:
    """Every tensor's name, as transformers saves it, and shape."""
    width, keys = shape.width, KV_HEADS * HIDDEN // HEADS
    yield "language_model.model.embed_tokens.weight", [VOCABULARY, HIDDEN]
    yield "language_model.lm_head.weight", [VOCABULARY, HIDDEN]
    yield "language_model.model.norm.weight", [HIDDEN]
    for layer in range(LAYERS):
        name = f"language_model.model.layers.{layer}."
        for norm in ("input", "post_attention"):
            yield f"{name}{norm}_layernorm.weight", [HIDDEN]
        for part, rows in {"q": HIDDEN, "k": keys, "v": keys, "o": HIDDEN}.items():
            yield f"{name}self_attn.{part}_proj.weight", [rows, HIDDEN]
        yield f"{name}mlp.gate_proj.weight", [MIDDLE, HIDDEN]
        yield f"{name}mlp.up_proj.weight", [MIDDLE, HIDDEN]
        yield f"{name}mlp.down_proj.weight", [HIDDEN, MIDDLE]
    linears = {
        "multi_modal_projector.linear_1": [HIDDEN, width],
        "multi_modal_projector.linear_2": [HIDDEN, HIDDEN],
    }
    vision = "vision_tower.vision_model."
    norms = [f"{vision}post_layernorm"]
    yield f"{vision}embeddings.patch_embedding.weight", [width, 3, PATCH_PX, PATCH_PX]
    is_clip = shape.kind == "clip"
    yield f"{vision}embeddings.position_embedding.weight", [shape.patches + is_clip, width]
    if is_clip:
        yield f"{vision}embeddings.class_embedding", [width]
        norms.append(f"{vision}pre_layrnorm")
    else:
        yield f"{vision}embeddings.patch_embedding.bias", [width]
    for layer in range(shape.layers):
        name = f"{vision}encoder.layers.{layer}."
        norms += [f"{name}layer_norm{n}" for n in (1, 2)]
        linears |= {f"{name}self_attn.{part}_proj": [width, width] for part in ("q", "k", "v")}
        linears[f"{name}self_attn.out_proj"] = [width, width]
        linears |= {
            f"{name}mlp.fc1": [shape.middle, width],
            f"{name}mlp.fc2": [width, shape.middle],
        }
    for name, size in linears.items():
        yield f"{name}.weight", size
        yield f"{name}.bias", size[:1]
    for name in norms:
        yield f"{name}.weight", [width]
        yield f"{name}.bias", [width]


def _write_tensors(path: Path, shapes: dict[str, list[int]]) -> None:
    """A safetensors file of random bfloat16 values, written one tensor at a time."""
    rng = np.random.default_rng(0)
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    row = json.dumps(header).encode()
    row += b" " * (-len(row) % 8)
    with path.open("wb") as file:
        file.write(len(row).to_bytes(8, "little") + row)
        for name, shape in shapes.items():
            values = rng.standard_normal(shape, dtype=np.float32) * np.float32(0.02)
            if "norm" in name and name.endswith("weight"):
                values += 1
            file.write((values.view(np.uint32) >> 16).astype("<u2").tobytes())


def _made(checkpoint: Path, scheme: str, options: argparse.Namespace) -> Path:
    """The folder of a scheme's build, made where it is not there yet."""
    from tinymed.engines.building import make_build
    from tinymed.engines.choose import has_files
    from tinymed.models.build import is_build
    from tinymed.models.catalog import find_source
    from tinymed.models.schemes import find_scheme

    if not has_files(find_scheme(scheme)):
        return checkpoint
    folder: Path = options.folder / f"{checkpoint.name}-{scheme}"
    if not is_build(folder):
        print(f"Making {folder} …", file=sys.stderr)
        make_build(find_source(str(checkpoint)), find_scheme(scheme), folder)
    return folder


# --- one scheme, in a process of its own ----------------------------------------------------


def _run(name: str, place: Path, checkpoint: Path, options: argparse.Namespace) -> Figures:
    command = [sys.executable, __file__, "--worker", name, "--place", str(place)]
    command += ["--folder", str(checkpoint), "--threads", str(options.threads)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        lines = result.stderr.strip().splitlines() or [f"exit code {result.returncode}"]
        _refuse(f"'{name}' did not run: {lines[-1]}")
    figures: Figures = json.loads(result.stdout.splitlines()[-1])
    return figures


def _work(options: argparse.Namespace) -> None:
    from tinymed.engines.choose import open_as_it_is, open_build
    from tinymed.models.build import is_build, read_build
    from tinymed.models.catalog import find_source
    from tinymed.models.schemes import find_scheme

    scheme = find_scheme(options.worker)
    start = time.perf_counter()
    modules = {
        "openvino": "openvino.runtime",
        "llamacpp": "llamacpp.engine",
        "torch": "torch.build",
    }
    import_module(f"tinymed.engines.{modules[scheme.engine]}")
    imported = time.perf_counter()
    if is_build(options.place):
        build = read_build(options.place)
        engine = open_build(build, threads=options.threads)
        disk_mib = build.num_bytes / 2**20
        sizes = {part.name: part.num_bytes for part in build.parts}
        language_bytes = sizes["language_model"] - _table_bytes(build)
    else:
        engine = open_as_it_is(find_source(str(options.place)), scheme, threads=options.threads)
        disk_mib = sum(path.stat().st_size for path in options.place.iterdir()) / 2**20
        language_bytes = _num_read_weights() * scheme.bits // 8
    loaded = time.perf_counter()
    size = engine.preprocessing.size_px
    pixels = np.random.default_rng(0).normal(0, 1, (2, 3, size, size)).astype(np.float32)

    def first_token_s(picture: Any) -> tuple[Any, float]:
        image = engine.encode(picture)
        answer = engine.answer(image, FIRST_QUESTION, max_new_tokens=1)
        return image, (image.encode_ms + image.prefill_ms + answer.prefill_ms) / 1000

    _, cold_s = first_token_s(pixels[0])
    cold_peak = _memory_mib("VmHWM")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
    image, warm_s = first_token_s(pixels[1])
    second = engine.answer(image, SECOND_QUESTION, max_new_tokens=1)
    longer = engine.answer(image, FIRST_QUESTION, max_new_tokens=NUM_DECODED)
    if longer.num_tokens < NUM_DECODED // 2:
        sys.exit("the answer ended too early to time its tokens")
    figures = {
        "import_s": imported - start,
        "load_s": loaded - imported,
        "cold_first_token_s": cold_s,
        "first_token_s": warm_s,
        "vision_s": image.encode_ms / 1000,
        "second_question_s": second.prefill_ms / 1000,
        "second_to_first": second.prefill_ms / 1000 / warm_s,
        "decode_tokens_per_s": 1000 * (longer.num_tokens - 1) / longer.decode_ms,
        "peak_answering_mib": _memory_mib("VmHWM"),
        "resident_mib": _memory_mib("VmRSS"),
        "anonymous_mib": _memory_mib("RssAnon"),
        "peak_mib": max(cold_peak, _memory_mib("VmHWM")),
        "disk_mib": disk_mib,
        "language_bytes": float(language_bytes),
    }
    print(json.dumps(figures), flush=True)


def _table_bytes(build: Any) -> float:
    """What of a build's language model is looked up by rows, not read for every token."""
    for path in build.folder.glob("embedding*"):
        return float(path.stat().st_size)
    bits = next(part.bits for part in build.parts if part.name == "language_model")
    return VOCABULARY * HIDDEN * bits / 8


def _memory_mib(field: str) -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def _llama_bench(options: argparse.Namespace, place: Path) -> Figures:
    """llama.cpp's own benchmark on the language model alone, as many tokens."""
    (path,) = place.glob("language*.gguf")
    tokens = SHAPES[options.shape].patches + len(FIRST_QUESTION) + 20
    command = [options.llama_bench, "-m", path, "-t", options.threads, "-r", 2, "-o", "json"]
    command += ["-p", tokens, "-n", NUM_DECODED - 1]
    result = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=True
    )
    prefill, decode = json.loads(result.stdout)
    return {
        "language_first_token_s": tokens / prefill["avg_ts"],
        "decode_tokens_per_s": decode["avg_ts"],
        "language_bytes": prefill["model_size"] * _num_read_weights() / prefill["model_n_params"],
    }


# --- what the machine can -------------------------------------------------------------------

PROBE = r"""
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
static char *memory; static size_t share; static int streams;
static double now(void) {
  struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + 1e-9 * t.tv_nsec;
}
typedef uint64_t word __attribute__((vector_size(64), aligned(64), may_alias));
static void *read_share(void *which) {
  const char *start = memory + share * (size_t)which;
  size_t stride = share / streams; word sums[4] = {{0}};
  for (size_t at = 0; at < stride; at += 256 / streams)
    for (int stream = 0; stream < streams; stream++) {
      const char *here = start + stream * stride + at;
      if (streams == 1) {
        for (int n = 0; n < 4; n++) sums[n] += *(const word *)(here + 64 * n);
      } else {
        __builtin_prefetch(here + 2048, 0, 3);
        sums[stream] += *(const word *)here;
      }
    }
  word sum = sums[0] + sums[1] + sums[2] + sums[3]; return (void *)(uintptr_t)sum[0];
}
double read_seconds(size_t bytes, int threads, int num_streams) {
  if (!memory) { memory = aligned_alloc(4096, bytes); memset(memory, 1, bytes); }
  pthread_t started[64]; streams = num_streams; share = bytes / threads / 1024 * 1024;
  double start = now();
  for (long n = 1; n < threads; n++) pthread_create(&started[n], 0, read_share, (void *)n);
  volatile uintptr_t kept = (uintptr_t)read_share(0);
  for (long n = 1; n < threads; n++) pthread_join(started[n], 0);
  (void)kept; return now() - start;
}
"""


class _Probe:
    """Reads memory as fast as it can be read, and multiplies bytes as fast as it can."""

    def __init__(self, work: Path, threads: int) -> None:
        self._threads = threads
        self._read_seconds: Any = None
        compiler = shutil.which("gcc") or shutil.which("cc")
        self.how = "numpy, one thread: no C compiler here, so the ratios flatter"
        if compiler:
            (work / "probe.c").write_text(PROBE, encoding="ascii")
            command = [compiler, "-O3", "-march=native", "-shared", "-fPIC", "-pthread"]
            command += ["-o", str(work / "probe.so"), str(work / "probe.c")]
            subprocess.run(command, check=True)
            self._read_seconds = ctypes.CDLL(str(work / "probe.so")).read_seconds
            self._read_seconds.restype = ctypes.c_double
            self.how = f"C, {threads} threads, 4 KiB pages; the better of one and four streams"

    def measure(self) -> Figures:
        """Bandwidth in GB/s and the peak of 8-bit products in GOP/s."""
        found: Figures = {}
        if self._read_seconds:
            for streams in (1, 4):
                times = [
                    self._read_seconds(ctypes.c_size_t(PROBE_BYTES), self._threads, streams)
                    for _ in range(5)
                ]
                found[f"read_{streams}_gb_per_s"] = PROBE_BYTES / statistics.median(times) / 1e9
        else:
            memory = np.ones(PROBE_BYTES // 8, np.int64)
            found["read_1_gb_per_s"] = PROBE_BYTES / _median_s(memory.sum) / 1e9
        found["read_gb_per_s"] = max(found.values())
        try:
            import torch
        except ImportError:
            return found
        torch.set_num_threads(self._threads)
        shapes = ((640, HIDDEN), (HIDDEN, MIDDLE))
        left, right = (torch.randint(-100, 100, shape, dtype=torch.int8) for shape in shapes)
        found["int8_gop_per_s"] = (
            2e-9 * 640 * HIDDEN * MIDDLE / _median_s(lambda: torch._int_mm(left, right))  # noqa: SLF001
        )
        return found


def _median_s(call: Any) -> float:
    call()
    times = []
    for _ in range(7):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _num_read_weights() -> int:
    """Weights of the language model that every token is multiplied with."""
    keys = KV_HEADS * HIDDEN // HEADS
    return LAYERS * HIDDEN * (2 * HIDDEN + 2 * keys + 3 * MIDDLE) + VOCABULARY * HIDDEN


def _num_operations(shape: Shape) -> float:
    """Multiplications and additions with weights before the first token, attention left out."""
    layer = 4 * shape.width**2 + 2 * shape.width * shape.middle
    vision = shape.patches * (shape.layers - 1) * layer
    connector = shape.patches * HIDDEN * (shape.width + HIDDEN)
    text = shape.patches + len(FIRST_QUESTION) + len("<USER: \n ASSISTANT:")
    language = text * (_num_read_weights() - VOCABULARY * HIDDEN)
    return 2.0 * (vision + connector + language)


def _with_ratios(figures: Figures, probe: Figures, shape: Shape) -> Figures:
    read = figures["language_bytes"] * figures["decode_tokens_per_s"] / 1e9
    figures["decode_of_bandwidth"] = read / probe["read_gb_per_s"]
    figures["decode_of_plain_bandwidth"] = read / probe["read_1_gb_per_s"]
    if "int8_gop_per_s" in probe and "first_token_s" in figures:
        bound = _num_operations(shape) / probe["int8_gop_per_s"] / 1e9
        figures["first_token_to_bound"] = figures["first_token_s"] / bound
    return figures


# --- the report -----------------------------------------------------------------------------


def _refuse_busy() -> None:
    """Stop if others use the processors now."""
    if not Path("/proc/stat").is_file():
        if os.getloadavg()[0] > BUSY_SHARE * (os.cpu_count() or 1):
            _refuse("The machine is busy: stop what else runs on it, or pass --busy.")
        return
    before = _idle_and_total()
    time.sleep(1)
    idle, total = (late - early for early, late in zip(before, _idle_and_total(), strict=True))
    if 1 - idle / total > BUSY_SHARE:
        _refuse(
            f"Others use {1 - idle / total:.0%} of this machine's processors: stop them, or pass "
            "--busy."
        )


def _idle_and_total() -> tuple[int, int]:
    first = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0]
    ticks = [int(word) for word in first.split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)


def _summary(runs: list[Figures]) -> dict[str, dict[str, float]]:
    return {
        name: {
            "median": statistics.median(run[name] for run in runs),
            "low": min(run[name] for run in runs),
            "high": max(run[name] for run in runs),
        }
        for name in runs[0]
    }


def _noisy(report: dict[str, Any]) -> str:
    """Which figure of speed spread too wide, in words; "" if none did."""
    speeds = {f"the probe's {n}": f for n, f in report["probes"].items() if n == "read_gb_per_s"}
    for scheme, figures in report["schemes"].items():
        for name in ("first_token_s", "decode_tokens_per_s"):
            if name in figures:
                speeds[f"{name} of {scheme}"] = figures[name]
    for name, figure in speeds.items():
        spread = (figure["high"] - figure["low"]) / figure["median"]
        if spread > WIDEST_SPREAD:
            return f"{name} spread by {spread:.0%}"
    return ""


def _conditions(options: argparse.Namespace, probe: str) -> dict[str, Any]:
    versions = {}
    for package in VERSIONS:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "absent"
    return {
        "machine": _processor(),
        "processors": os.cpu_count(),
        "threads": options.threads,
        "shape": options.shape,
        "image_tokens": SHAPES[options.shape].patches,
        "question_tokens": len(FIRST_QUESTION),
        "rounds": options.rounds,
        "bandwidth_probe": probe,
        "busy_machine_allowed": options.busy,
        "python": platform.python_version(),
        "versions": versions,
    }


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    words = {line.partition(":")[0].strip(): line.partition(":")[2].strip() for line in lines}
    known = {"amx_int8", "avx512_vnni", "avx_vnni", "avx512f", "avx2"}
    flags = known & set(words.get("flags", "").split())
    return f"{words.get('model name', platform.machine())} ({', '.join(sorted(flags))})"


def _print(report: dict[str, Any]) -> None:
    print(json.dumps(report["conditions"], indent=2))
    for name, figures in {"probes": report["probes"], **report["schemes"]}.items():
        print(f"\n{name}")
        for figure, value in figures.items():
            if figure != "language_bytes":
                print(
                    f"  {figure:28}{value['median']:10.3f}   "
                    f"{value['low']:.3f} to {value['high']:.3f}"
                )


if __name__ == "__main__":
    main()
