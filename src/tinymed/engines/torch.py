"""The torch engine: plain transformers in float32, the reference for every other engine."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache

from tinymed.engines.protocol import Answer, EncodedImage, Pixels
from tinymed.engines.stream import TextStream
from tinymed.images.prepare import Preprocessing
from tinymed.models.checkpoint import assemble
from tinymed.models.prompt import TEMPLATE, Prompt
from tinymed.models.weights import ModelWeights


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReadImage:
    cache: DynamicCache
    num_tokens: int


class TorchEngine:
    """Answers with transformers' own model; fulfils the Engine protocol."""

    name = "torch"

    def __init__(
        self, weights: ModelWeights, prompt: Prompt, *, threads: int | None = None
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self.model = weights.manifest.name
        self.preprocessing: Preprocessing = weights.manifest.preprocessing
        self.weights_digest = weights.digest
        self.prompt_template = TEMPLATE
        self._prompt = prompt
        self._model = assemble(weights, image_id=prompt.image_id)

    @torch.inference_mode()
    def encode(self, pixels: Pixels) -> EncodedImage:
        """Read an image: vision encoder, connector, and the prompt up to the question."""
        start = time.perf_counter()
        outputs = self._model.get_image_features(
            torch.from_numpy(pixels)[None],
            vision_feature_layer=self._model.config.vision_feature_layer,
            vision_feature_select_strategy=self._model.config.vision_feature_select_strategy,
            return_dict=True,
        )
        tokens: Tensor = outputs.pooler_output
        encoded = time.perf_counter()
        embeds = torch.cat([self._embed(self._prompt.prefix_ids), tokens], dim=1)
        cache = DynamicCache()
        self._step(embeds, cache)
        return EncodedImage(
            state=_ReadImage(cache=cache, num_tokens=embeds.shape[1]),
            num_image_tokens=tokens.shape[1],
            encode_ms=1000 * (encoded - start),
            prefill_ms=1000 * (time.perf_counter() - encoded),
        )

    @torch.inference_mode()
    def answer(
        self,
        image: EncodedImage,
        question: str,
        *,
        max_new_tokens: int = 64,
        on_text: Callable[[str], None] | None = None,
        keep_logits: bool = False,
    ) -> Answer:
        """Answer one question; `on_text` receives each new piece of text as it is decoded."""
        stream = TextStream(self._prompt.decode, on_text)
        asked = self._prompt.question_ids(question)
        start = time.perf_counter()
        cache = copy.deepcopy(image.state.cache)
        logits = self._step(self._embed(asked), cache)
        first_logits = logits.numpy().copy() if keep_logits else None
        token, log_probability = _greedy(logits)
        first = time.perf_counter()
        ids: list[int] = []
        while token != self._prompt.end_id:
            ids.append(token)
            stream.push(ids)
            if len(ids) == max_new_tokens:
                break
            token, more = _greedy(self._step(self._embed([token]), cache))
            log_probability += more
        return Answer(
            text=stream.finish(ids),
            confidence=float(np.exp(log_probability)),
            num_tokens=len(ids) + (token == self._prompt.end_id),
            prefill_ms=1000 * (first - start),
            decode_ms=1000 * (time.perf_counter() - first),
            first_token_logits=first_logits,
        )

    def _embed(self, ids: Sequence[int]) -> Tensor:
        embedded: Tensor = self._model.get_input_embeddings()(torch.tensor([list(ids)]))
        return embedded

    def _step(self, embeds: Tensor, cache: DynamicCache) -> Tensor:
        """Read more tokens into the cache; the last position's logits."""
        hidden = self._model.model.language_model(
            inputs_embeds=embeds, past_key_values=cache, use_cache=True
        ).last_hidden_state
        logits: Tensor = self._model.lm_head(hidden[0, -1])
        return logits


def _greedy(logits: Tensor) -> tuple[int, float]:
    """The likeliest token and the logarithm of its probability."""
    token = int(logits.argmax())
    return token, float(torch.log_softmax(logits.double(), dim=-1)[token])
