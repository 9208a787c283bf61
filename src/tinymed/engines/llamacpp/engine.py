"""The llama.cpp engine: reads images with OpenVINO and answers with llama.cpp's library."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tinymed.engines.greedy import Choice, answer_greedily, check_room, likeliest
from tinymed.engines.llamacpp.build import ADAPTER, LANGUAGE, VISION
from tinymed.engines.llamacpp.library import F16, F32
from tinymed.engines.llamacpp.sequences import MAX_SEQUENCES, Sequences, Text
from tinymed.engines.openvino.compiling import compile_graph, plain_settings
from tinymed.engines.protocol import Answer, EncodedImage, Pixels, Stages
from tinymed.engines.rows import answer_in_rounds
from tinymed.models.build import load_prompt, read_build

Floats = npt.NDArray[np.float32]

IMAGE = 0
"""The sequence that holds an image; those after it hold questions about it."""


class _ReadImage:
    """An image that the language model has read, and where that reading is."""

    def __init__(self, num_tokens: int) -> None:
        self.num_tokens = num_tokens
        self.saved: bytes | None = None
        """Its part of the cache, once another image has taken its place there."""


class LlamaCppEngine:
    """Answers from a build; fulfils the Engine protocol. Calls take turns across threads."""

    name = "llamacpp"

    def __init__(self, folder: Path, *, threads: int | None = None) -> None:
        """Load a build.

        Args:
            folder: Where `build_gguf` put it.
            threads: Threads to compute with; None for one a physical core.

        Raises:
            ModelError: If the build is missing or damaged.
            MissingExtraError: If the extra "gguf" is not installed.
        """
        build = read_build(folder)
        self.scheme = build.scheme
        self.model = build.model
        self.preprocessing = build.preprocessing
        self.prompt_template = build.template.in_words()
        self.weights_digest = build.digest
        self._prompt = load_prompt(build)
        self._context_tokens = build.context_tokens
        self._lock = threading.Lock()
        self._vision = compile_graph(folder / VISION, plain_settings(threads))
        compiled = self._vision.get_compiled_model()
        self.num_threads = int(compiled.get_property("INFERENCE_NUM_THREADS"))
        # 16 bits in the cache cost nothing where activations have no more: 6e-4 of the logits'
        # range either way with 16-bit weights, but 2e-4 against 7e-7 with 32-bit ones.
        is_exact = build.precision("language_model") == "f32"
        self._sequences = Sequences(
            folder / LANGUAGE,
            threads=self.num_threads,
            num_tokens=build.context_tokens,
            cache_type=F32 if is_exact else F16,
            adapter=folder / ADAPTER if (folder / ADAPTER).is_file() else None,
        )
        self._resident: weakref.ref[_ReadImage] | None = None

    def close(self) -> None:
        """Free the model; the engine cannot be used afterwards."""
        with self._lock:
            self._sequences.close()

    def encode(self, pixels: Pixels, *, keep_stages: bool = False) -> EncodedImage:
        """Read an image: vision encoder, connector, and the prompt up to the question."""
        with self._lock:
            start = time.perf_counter()
            outputs = self._vision.infer({"pixels": pixels[None]}, share_inputs=True)
            tokens, features = (outputs[place][0] for place in (0, 1))
            encoded = time.perf_counter()
            image = self._read_image(tokens)
            prefilled = time.perf_counter()
        stages = Stages(vision_features=features, image_tokens=tokens) if keep_stages else None
        return EncodedImage(
            state=image,
            num_image_tokens=len(tokens),
            encode_ms=1000 * (encoded - start),
            prefill_ms=1000 * (prefilled - encoded),
            stages=stages,
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
        with self._lock:
            asked = self._asked(image, [question], max_new_tokens)
            (answer,) = self._answer(
                image.state, asked, max_new_tokens, on_text=on_text, keep_logits=keep_logits
            )
        return answer

    def answer_all(
        self, image: EncodedImage, questions: Sequence[str], *, max_new_tokens: int = 64
    ) -> list[Answer]:
        """Answer several questions about one image together; the answers are those of `answer`.

        Raises:
            UserError: If a question or `max_new_tokens` does not fit the model.
        """
        with self._lock:
            asked = self._asked(image, questions, max_new_tokens)
            return answer_in_rounds(
                asked, lambda together: self._answer_fitting(image.state, together, max_new_tokens)
            )

    def _read_image(self, tokens: Floats) -> _ReadImage:
        """Read the prompt up to the question, in place of the image that was read before."""
        self._keep_resident()
        prefix = self._prompt.prefix_ids
        if prefix:
            self._sequences.read([Text(sequence=IMAGE, start=0, ids=prefix)])
        self._sequences.read_embeddings(tokens, sequence=IMAGE, start=len(prefix))
        image = _ReadImage(len(prefix) + len(tokens))
        self._resident = weakref.ref(image)
        return image

    def _bring_back(self, image: _ReadImage) -> None:
        """Have an image in the cache."""
        if self._resident is not None and self._resident() is image:
            return
        self._keep_resident()
        assert image.saved is not None
        self._sequences.restore(IMAGE, image.saved)
        self._resident = weakref.ref(image)

    def _keep_resident(self) -> None:
        """Empty the cache; the image in it is saved if anybody may still ask about it."""
        resident = self._resident() if self._resident is not None else None
        if resident is not None and resident.saved is None:
            resident.saved = self._sequences.save(IMAGE)
        self._resident = None
        self._sequences.forget_all()

    def _asked(
        self, image: EncodedImage, questions: Sequence[str], max_new_tokens: int
    ) -> list[list[int]]:
        """The questions' token ids, once it is clear that all of them fit."""
        asked = [self._prompt.question_ids(question) for question in questions]
        for ids in asked:
            num_tokens = image.state.num_tokens + len(ids)
            check_room(num_tokens, max_new_tokens, context_tokens=self._context_tokens)
        return asked

    def _answer_fitting(
        self, image: _ReadImage, asked: list[list[int]], max_new_tokens: int
    ) -> list[Answer]:
        """Answer questions, as many at once as the cache has room for; the longest is first."""
        room = self._context_tokens - image.num_tokens
        count = min(MAX_SEQUENCES - 1, room // (len(asked[0]) + max_new_tokens))
        answers: list[Answer] = []
        for start in range(0, len(asked), count):
            answers += self._answer(image, asked[start : start + count], max_new_tokens)
        return answers

    def _answer(
        self,
        image: _ReadImage,
        asked: list[list[int]],
        max_new_tokens: int,
        *,
        on_text: Callable[[str], None] | None = None,
        keep_logits: bool = False,
    ) -> list[Answer]:
        """Answer questions side by side, each in a sequence that begins as the image's."""
        going = list(range(IMAGE + 1, IMAGE + 1 + len(asked)))
        starts = dict.fromkeys(going, image.num_tokens)
        first_logits: list[Floats] = []

        def read(rows: Sequence[Sequence[int]]) -> list[Choice]:
            texts = [
                Text(sequence=sequence, start=starts[sequence], ids=ids)
                for sequence, ids in zip(going, rows, strict=True)
            ]
            logits = self._sequences.read(texts)
            for text in texts:
                starts[text.sequence] += len(text.ids)
            if keep_logits and not first_logits:
                first_logits.extend(logits)
            return [likeliest(row) for row in logits]

        def first() -> list[Choice]:
            self._bring_back(image)
            for sequence in going:
                self._sequences.continue_from(IMAGE, sequence)
            return read(asked)

        def following(kept: list[int], tokens: list[int]) -> list[Choice]:
            nonlocal going
            going = [going[place] for place in kept]
            return read([[token] for token in tokens])

        try:
            answers = answer_greedily(
                first, following, self._prompt, max_new_tokens=max_new_tokens, on_text=on_text
            )
        finally:
            for sequence in starts:
                self._sequences.forget(sequence)
        if not keep_logits:
            return answers
        return [
            replace(answer, first_token_logits=logits)
            for answer, logits in zip(answers, first_logits, strict=True)
        ]
