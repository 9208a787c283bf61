"""The OpenVINO engine: runs a build on the CPU."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from tinymed.engines.greedy import Choice, answer_greedily
from tinymed.engines.openvino.build import EMBEDDING, read_build
from tinymed.engines.openvino.layers import Precision
from tinymed.engines.protocol import Answer, EncodedImage, Pixels
from tinymed.errors import ConfigError, ModelError
from tinymed.images.prepare import Preprocessing
from tinymed.models.prompt import Prompt

Logits = npt.NDArray[np.float32]

SETTINGS: dict[Precision, dict[str, Any]] = {
    "f32": {"KV_CACHE_PRECISION": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0},
    "f16": {"KV_CACHE_PRECISION": "f16", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0},
    "int8": {"KV_CACHE_PRECISION": "f16"},
}
"""What each precision asks of the plugin, beside what all ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReadImage:
    """The language model's key-value cache after the prompt's prefix."""

    cache: tuple[Any, ...]
    num_tokens: int


class OpenVinoEngine:
    """Answers from a build; fulfils the Engine protocol. Calls take turns across threads."""

    def __init__(
        self,
        folder: Path,
        *,
        model: str,
        prompt: Prompt,
        prompt_template: str,
        preprocessing: Preprocessing,
        threads: int | None = None,
    ) -> None:
        """Load a build.

        Args:
            folder: Where `build_openvino` put it.
            model: The model's name, such as "nano".
            prompt: How questions are put to this model.
            prompt_template: The same in words, for records.
            preprocessing: How this model's images are prepared.
            threads: Threads to compute with; None for one a physical core.

        Raises:
            ModelError: If the build is missing or damaged.
        """
        build = read_build(folder)
        self.name = "openvino" if build.precision == "int8" else f"openvino-{build.precision}"
        self.model = model
        self.preprocessing = preprocessing
        self.prompt_template = prompt_template
        self.weights_digest = build.weights_digest
        self.precision = build.precision
        self._prompt = prompt
        self._context_tokens = build.context_tokens
        self._lock = threading.Lock()
        settings = _settings(build.precision, threads)
        self._vision = _compile(folder / "vision.xml", settings)
        self._language = _compile(folder / "language.xml", settings)
        self._states = self._language.query_state()
        self._embedding = np.load(folder / EMBEDDING, mmap_mode="r")

    def encode(self, pixels: Pixels) -> EncodedImage:
        """Read an image: vision encoder, connector, and the prompt up to the question."""
        with self._lock:
            start = time.perf_counter()
            tokens = _infer(self._vision, {"pixels": pixels[None]})
            encoded = time.perf_counter()
            embeds = np.concatenate([self._embed(self._prompt.prefix_ids), tokens], axis=1)
            self._language.reset_state()
            self._step(embeds, 0)
            cache = tuple(ov.Tensor(state.state.data.copy()) for state in self._states)
            prefilled = time.perf_counter()
        return EncodedImage(
            state=_ReadImage(cache=cache, num_tokens=embeds.shape[1]),
            num_image_tokens=tokens.shape[1],
            encode_ms=1000 * (encoded - start),
            prefill_ms=1000 * (prefilled - encoded),
        )

    def answer(
        self,
        image: EncodedImage,
        question: str,
        *,
        max_new_tokens: int = 64,
        on_text: Callable[[str], None] | None = None,
        keep_logits: bool = False,
    ) -> Answer:
        """Answer one question; `on_text` receives each new piece of text as it is decoded.

        Raises:
            UserError: If the question or `max_new_tokens` does not fit the model.
        """
        kept: list[Logits] = []
        with self._lock:
            asked = self._prompt.question_ids(question)
            position = image.state.num_tokens + len(asked)
            self._check_room(position, max_new_tokens)

            def first() -> Choice:
                for state, saved in zip(self._states, image.state.cache, strict=True):
                    state.state = saved
                logits = self._step(self._embed(asked), image.state.num_tokens)
                if keep_logits:
                    kept.append(logits.copy())
                return _greedy(logits)

            def following(token: int, num_decoded: int) -> Choice:
                return _greedy(self._step(self._embed([token]), position + num_decoded))

            answer = answer_greedily(
                first, following, self._prompt, max_new_tokens=max_new_tokens, on_text=on_text
            )
        return replace(answer, first_token_logits=kept[0] if keep_logits else None)

    def _embed(self, ids: Sequence[int]) -> npt.NDArray[np.float32]:
        rows = np.asarray(ids, dtype=np.int64)
        return np.asarray(self._embedding[rows], dtype=np.float32)[None]

    def _step(self, embeds: npt.NDArray[np.float32], position: int) -> Logits:
        """Read more tokens; the logits hold until the next step."""
        return _infer(
            self._language,
            {
                "inputs_embeds": embeds,
                "position_ids": np.arange(position, position + embeds.shape[1]),
                "beam_idx": np.zeros(1, np.int32),
            },
        )

    def _check_room(self, num_tokens: int, max_new_tokens: int) -> None:
        room = self._context_tokens - num_tokens
        if not 1 <= max_new_tokens <= room:
            raise ConfigError(
                f"max_new_tokens is {max_new_tokens}; after this question the model has room "
                f"for 1 to {room} tokens."
            )


def _settings(precision: Precision, threads: int | None) -> dict[str, Any]:
    # Activations stay float32: the plugin's own choice differs from processor to processor
    # and so would the answers. int8 products take 8-bit activations in groups all the same.
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        **SETTINGS[precision],
    }
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
    return settings


def _compile(path: Path, settings: dict[str, Any]) -> Any:
    try:
        return ov.Core().compile_model(path, "CPU", settings).create_infer_request()
    except RuntimeError as error:
        raise ModelError(f"OpenVINO cannot load '{path}': {str(error).splitlines()[-1]}") from error


def _infer(request: Any, inputs: dict[str, Any]) -> npt.NDArray[np.float32]:
    """Run a graph with one output; the array holds until the next run."""
    outputs = request.infer(inputs, share_inputs=True, share_outputs=True)
    values: npt.NDArray[np.float32] = outputs[0]
    return values


def _greedy(logits: Logits) -> Choice:
    """The likeliest token and the logarithm of its probability."""
    token = int(np.argmax(logits))
    shifted = logits.astype(np.float64) - float(logits[token])
    return token, -float(np.log(np.exp(shifted).sum()))
