"""Other programs on the same weights and prompt: native llama.cpp and OpenVINO GenAI."""

# ruff: noqa: T201  # part of a script that prints

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image
from shapes import FIRST_QUESTION, PATCH_PX, PROMPT, SECOND_QUESTION, Shape

from tinymed.hardware.memory import begin_peak_anew, peak_memory_mib, process_memory

GENAI_SETTINGS: dict[str, dict[str, Any]] = {
    "openvino-genai": {},
    # Where a processor multiplies bfloat16 itself, the plugin's own choice is bfloat16: it reads
    # the prompt in half the time and decodes a quarter slower.
    "openvino-genai-f32": {"INFERENCE_PRECISION_HINT": "f32"},
}
LLAMA_SETTINGS: dict[str, list[str]] = {
    "llama.cpp": [],
    # Its choice is flash attention: it reads the prompt faster and, behind a long one, decodes
    # a third slower.
    "llama.cpp-fa-off": ["-fa", "off"],
}
START_S = 120.0
"""A server that has not loaded in so long never will."""

Figures = dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What every peer is asked to do."""

    shape: Shape
    threads: int
    num_decoded: int


# --- llama.cpp ------------------------------------------------------------------------------


def llama_version(program: Path) -> str:
    """What llama.cpp's own program says of itself."""
    result = subprocess.run(
        [program, "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True
    )
    return " ".join(result.stdout.decode().split())


def stock_vision(checkpoint: Path, build: Path, folder: Path) -> Path:
    """The vision encoder's file for a stock llama.cpp: the build's, or one for timing alone."""
    from tinymed.engines.llamacpp.vision_file import write_vision
    from tinymed.models.catalog import find_source, load_source

    path = build / "mmproj.gguf"
    if path.is_file():
        return path
    path = folder / f"{checkpoint.name}-mmproj.gguf"
    if not path.is_file():
        print(f"Making {path} …", file=sys.stderr)
        part = path.with_suffix(".part")
        weights = load_source(find_source(str(checkpoint)))
        write_vision(weights, part, encoder_precision="q8_0", connector_precision="q8_0")
        part.rename(path)
    return path


def read_bytes(file: Path) -> float:
    """Of a language model's GGUF file: what is read for every token, so not the embedding table."""
    from tinymed.models.language_gguf import open_gguf

    tensors = open_gguf(file).tensors
    return float(sum(row.n_bytes for row in tensors if row.name != "token_embd.weight"))


def llama_bench(program: Path, file: Path, run: Run) -> Figures:
    """llama.cpp's own benchmark: the language model alone, its decode with nothing to look back at.

    Raises:
        RuntimeError: If it fails.
    """
    tokens = run.shape.prompt_tokens
    command = [program, "-m", file, "-t", run.threads, "-r", 2, "-o", "json"]
    command += ["-p", tokens, "-n", run.num_decoded - 1]
    prefill, decode = json.loads(output(command))
    return {
        "language_first_token_s": tokens / prefill["avg_ts"],
        "decode_tokens_per_s": decode["avg_ts"],
        "language_bytes": read_bytes(file),
    }


def llama_server(program: Path, files: tuple[Path, Path], settings: list[str], run: Run) -> Figures:
    """llama.cpp's server over the same GGUF files: all of the model, vision encoder too.

    Loading includes its warm-up. Of a CLIP it misplaces the class token (its issue 25814): that
    takes the same time, so the figures hold, though the words would not.

    Args:
        program: llama-server.
        files: Language model; vision encoder with connector.
        settings: Words of its command line beside the usual ones.
        run: What is asked.

    Raises:
        RuntimeError: If it does not start.
    """
    port = _free_port()
    # -lv 4: it tells when the vision encoder is done; no cache of prompts beside the context's
    words = ["-c", 2048, "-np", 1, "-t", run.threads, "--cache-ram", 0, "--host", "127.0.0.1"]
    words += ["--port", port, "-lv", 4, "--log-timestamps", "--log-prefix"]
    command = [program, "-m", files[0], "--mmproj", files[1], *words, *settings]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        start = time.perf_counter()
        server = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log)
        try:
            _wait_until_ready(server, port, log)
            figures = {"load_s": time.perf_counter() - start}
            figures |= _ask_server(port, server.pid, run)
        finally:
            server.terminate()
            server.wait()
        figures |= _vision_s(log)
    return figures | {
        "language_bytes": read_bytes(files[0]),
        "disk_mib": sum(path.stat().st_size for path in files) / 2**20,
    }


def _ask_server(port: int, process: int, run: Run) -> Figures:
    marker = _call(port, "/props")["media_marker"]
    pixels = (2, run.shape.image_px, run.shape.image_px, 3)
    images = [
        _as_png(image)
        for image in np.random.default_rng(0).integers(0, 256, pixels, dtype=np.uint8)
    ]

    def ask(image: str, question: str, num_tokens: int) -> dict[str, float]:
        text = "<s>" + PROMPT.format(image=marker, question=question)
        request = {
            "prompt": {"prompt_string": text, "multimodal_data": [image]},
            "n_predict": num_tokens,
            "temperature": 0,
            "ignore_eos": True,
        }
        timings: dict[str, float] = _call(port, "/completion", request)["timings"]
        return timings

    cold = ask(images[0], FIRST_QUESTION, 1)
    cold_peak_mib = peak_memory_mib(process) or float("nan")
    begin_peak_anew(process)
    warm = ask(images[1], FIRST_QUESTION, 1)
    second = ask(images[1], SECOND_QUESTION, 1)
    longer = ask(images[1], FIRST_QUESTION, run.num_decoded)
    peak_mib = peak_memory_mib(process) or float("nan")
    held = process_memory(process)
    return {
        "cold_first_token_s": cold["prompt_ms"] / 1000,
        "first_token_s": warm["prompt_ms"] / 1000,
        "prompt_tokens": warm["prompt_n"] + warm["cache_n"],
        "second_question_s": second["prompt_ms"] / 1000,
        "second_to_first": second["prompt_ms"] / warm["prompt_ms"],
        "decode_tokens_per_s": 1000 * (longer["predicted_n"] - 1) / longer["predicted_ms"],
        "peak_answering_mib": peak_mib,
        "resident_mib": held.resident_mib,
        "anonymous_mib": held.anonymous_mib,
        "peak_mib": max(cold_peak_mib, peak_mib),
    }


def _vision_s(log: IO[str]) -> Figures:
    """Of the warm image, from its own log; nothing where a version words it otherwise."""
    log.seek(0)
    started: list[float] = []
    ended: list[float] = []
    for line in log:
        stamp = re.match(r"(\d+)\.(\d\d)\.(\d{3})\.(\d{3}) ", line)
        if stamp is None:
            continue
        minutes, seconds, millis, micros = (int(word) for word in stamp.groups())
        at = 60 * minutes + seconds + millis / 1e3 + micros / 1e6
        if "encoding mtmd batch" in line:
            started.append(at)
        elif "decoding image batch 1/" in line:
            ended.append(at)
    if not started or len(started) != len(ended):
        return {}
    return {"vision_s": ended[-1] - started[-1]}


def _wait_until_ready(server: subprocess.Popen[bytes], port: int, log: IO[str]) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and server.poll() is None:
        try:
            _call(port, "/health")
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.01)
        else:
            return
    log.seek(0)
    lines = log.read().strip().splitlines() or [f"exit code {server.poll()}"]
    raise RuntimeError(f"llama-server did not start: {lines[-1]}")


def _call(port: int, path: str, row: dict[str, Any] | None = None) -> dict[str, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        data=None if row is None else json.dumps(row).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=600) as response:  # noqa: S310  # ours
        answer: dict[str, Any] = json.loads(response.read())
    return answer


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


def _as_png(pixels: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


# --- OpenVINO GenAI -------------------------------------------------------------------------


def genai_version(python: Path) -> str:
    """The version of openvino-genai that a Python has."""
    program = "from importlib.metadata import version; print(version('openvino-genai'))"
    return output([python, "-c", program]).strip()


def export_for_genai(checkpoint: Path, shape: Shape, folder: Path, python: Path) -> None:
    """Export a checkpoint in 4 bits as OpenVINO's own tool does it, where it is not there yet."""
    if folder.is_dir():
        return
    print(f"Making {folder} …", file=sys.stderr)
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    with tempfile.TemporaryDirectory() as work:
        for path in checkpoint.iterdir():
            (Path(work) / path.name).symlink_to(path.resolve())
        _write_processor(Path(work), shape)
        command = [python.parent / "optimum-cli", "export", "openvino", "-m", work]
        command += ["--task", "image-text-to-text", "--weight-format", "int4", "--sym"]
        command += ["--group-size", "128", "--ratio", "1.0", part]
        subprocess.run(
            [str(word) for word in command],
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            stdout=sys.stderr,
            check=True,
        )
        shutil.copy(Path(work) / "preprocessor_config.json", part)
    part.rename(folder)


def _write_processor(folder: Path, shape: Shape) -> None:
    """What transformers wants to know of a LLaVA's images, and tinymed does not."""
    image = {
        "image_processor_type": "CLIPImageProcessor",
        "processor_class": "LlavaProcessor",
        "size": {"shortest_edge": shape.image_px},
        "crop_size": {"height": shape.image_px, "width": shape.image_px},
        **dict.fromkeys(("do_resize", "do_center_crop", "do_rescale", "do_normalize"), True),
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
        "resample": 3,
        "rescale_factor": 1 / 255,
    }
    is_clip = shape.kind == "clip"
    both = {
        "processor_class": "LlavaProcessor",
        "patch_size": PATCH_PX,
        "vision_feature_select_strategy": "default" if is_clip else "full",
        "num_additional_image_tokens": int(is_clip),
        "image_token": "<image>",
    }
    for name, row in {"preprocessor_config": image, "processor_config": both}.items():
        path = folder / f"{name}.json"
        path.unlink(missing_ok=True)
        path.write_text(json.dumps(row), encoding="utf-8")


def genai(python: Path, folder: Path, settings: dict[str, Any], run: Run) -> Figures:
    """OpenVINO GenAI's VLMPipeline in a process of its own; see genai.py.

    Raises:
        RuntimeError: If it fails.
    """
    first, second = (
        PROMPT.format(image="<ov_genai_image_0>", question=question)
        for question in (FIRST_QUESTION, SECOND_QUESTION)
    )
    command = [python, Path(__file__).with_name("genai.py"), folder, "--threads", run.threads]
    command += ["--image-px", run.shape.image_px, "--first", first, "--second", second]
    command += ["--num-decoded", run.num_decoded, "--settings", json.dumps(settings)]
    figures: Figures = json.loads(output(command).splitlines()[-1])
    model = folder / "openvino_language_model.bin"  # its embedding table is a file of its own
    return figures | {
        "language_bytes": float(model.stat().st_size),
        "disk_mib": sum(path.stat().st_size for path in folder.iterdir()) / 2**20,
    }


def output(command: Sequence[object]) -> str:
    """What a program prints.

    Raises:
        RuntimeError: If it fails.
    """
    words = [str(word) for word in command]
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    if result.returncode:
        lines = result.stderr.strip().splitlines() or [f"exit code {result.returncode}"]
        raise RuntimeError(f"'{' '.join(words[:3])}' failed: {lines[-1]}")
    return result.stdout
