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
from tinymed.engines.rows import Rows, answer_in_rounds, padded, rows_of
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
        self.num_threads = torch.get_num_threads()
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
        prefix = self._embed(torch.tensor([self._prompt.prefix_ids]))
        embeds = torch.cat([prefix, tokens], dim=1)
        cache = DynamicCache()
        self._read(embeds, cache, rows_of([embeds.shape[1]], num_cached=0))
        return EncodedImage(
            state=cache,
            num_image_tokens=tokens.shape[1],
            encode_ms=1000 * (encoded - start),
            prefill_ms=1000 * (time.perf_counter() - encoded),
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
        """Answer one question; `on_text` receives each new piece of text as it is decoded."""
        asked = self._prompt.question_ids(question)
        (answer,) = self._answer(
            image.state, [asked], max_new_tokens, on_text=on_text, keep_logits=keep_logits
        )
        return answer

    def answer_all(
        self, image: EncodedImage, questions: Sequence[str], *, max_new_tokens: int = 64
    ) -> list[Answer]:
        """Answer several questions about one image together; the answers are those of `answer`."""
        return answer_in_rounds(
            [self._prompt.question_ids(question) for question in questions],
            lambda together: self._answer(image.state, together, max_new_tokens),
        )

    @torch.inference_mode()
    def _answer(
        self,
        image: DynamicCache,
        asked: list[list[int]],
        max_new_tokens: int,
        *,
        on_text: Callable[[str], None] | None = None,
        keep_logits: bool = False,
    ) -> list[Answer]:
        """Answer questions side by side, each in a row of the cache that begins as the image's."""
        cache = copy.deepcopy(image)
        rows = rows_of([len(ids) for ids in asked], num_cached=image.get_seq_length())
        first_logits: list[Tensor] = []

        def first() -> list[Choice]:
            cache.batch_repeat_interleave(len(asked))
            logits = self._read(self._embed(torch.from_numpy(padded(asked))), cache, rows)
            if keep_logits:
                first_logits.extend(logits)
            return [_greedy(row) for row in logits]

        def following(kept: list[int], tokens: list[int]) -> list[Choice]:
            nonlocal rows
            rows = rows.following(kept)
            cache.batch_select_indices(torch.tensor(kept))
            logits = self._read(self._embed(torch.tensor(tokens)[:, None]), cache, rows)
            return [_greedy(row) for row in logits]

        answers = answer_greedily(
            first, following, self._prompt, max_new_tokens=max_new_tokens, on_text=on_text
        )
        if not keep_logits:
            return answers
        return [
            replace(answer, first_token_logits=logits.numpy().copy())
            for answer, logits in zip(answers, first_logits, strict=True)
        ]

    def _embed(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self._model.get_input_embeddings()(ids)
        return embedded

    def _read(self, embeds: Tensor, cache: DynamicCache, rows: Rows) -> Tensor:
        """Read more tokens into the cache: the logits of each row's last."""
        # Where everything is seen, as one answer's decoding does, no mask is the faster one.
        mask = None if rows.visible.all() else torch.from_numpy(rows.visible)
        hidden = self._model.model.language_model(
            inputs_embeds=embeds,
            position_ids=torch.from_numpy(rows.positions),
            attention_mask=mask,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        logits: Tensor = self._model.lm_head(hidden[range(len(hidden)), rows.last])
        return logits


def _greedy(logits: Tensor) -> Choice:
    """The likeliest token and the logarithm of its probability."""
    token = int(logits.argmax())
    return token, float(torch.log_softmax(logits.double(), dim=-1)[token])
