"""The torch engine: plain transformers in float32, the reference for every other engine."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from transformers import DynamicCache

from tinymed.engines.greedy import Choice, answer_greedily
from tinymed.engines.protocol import Answer, EncodedImage, Pixels
from tinymed.images.prepare import Preprocessing
from tinymed.models.checkpoint import assemble
from tinymed.models.prompt import TEMPLATE, Prompt
from tinymed.models.weights import ModelWeights


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
            state=cache,
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
        asked = self._prompt.question_ids(question)
        kept: list[Tensor] = []
        cache: list[DynamicCache] = []

        def first() -> Choice:
            cache.append(copy.deepcopy(image.state))
            logits = self._step(self._embed(asked), cache[0])
            if keep_logits:
                kept.append(logits)
            return _greedy(logits)

        def following(token: int, _num_decoded: int) -> Choice:
            return _greedy(self._step(self._embed([token]), cache[0]))

        answer = answer_greedily(
            first, following, self._prompt, max_new_tokens=max_new_tokens, on_text=on_text
        )
        return replace(answer, first_token_logits=kept[0].numpy().copy() if keep_logits else None)

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


def _greedy(logits: Tensor) -> Choice:
    """The likeliest token and the logarithm of its probability."""
    token = int(logits.argmax())
    return token, float(torch.log_softmax(logits.double(), dim=-1)[token])
