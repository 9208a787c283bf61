"""Asking a model of ours, or a LLaVA checkpoint, in torch."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from tinymed.engines.batch import Batch
from tinymed.engines.batching import LaneBatch
from tinymed.engines.decoding import Decoding, ScoredChoice, check_decoding
from tinymed.engines.draft import Draft, OnText, with_chance
from tinymed.engines.greedy import check_room
from tinymed.engines.lanes import OneLane
from tinymed.engines.protocol import Answer, EncodedImage, Pixels, Stages
from tinymed.engines.reading import Floats, Reading, answer_along
from tinymed.engines.rows import Rows, answer_in_rounds, padded, rows_of
from tinymed.engines.scoring import CHOICES_AT_ONCE, check_choices, score_along, scored
from tinymed.engines.token_texts import TokenTexts
from tinymed.engines.torch.devices import find_device, synchronize
from tinymed.errors import ConfigError
from tinymed.images.prepare import Preprocessing
from tinymed.models.checkpoint import Model, assemble
from tinymed.models.prompt import Prompt, build_prompt
from tinymed.models.weights import ModelWeights

WHOLE = {"torch-f32": torch.float32, "torch-bf16": torch.bfloat16}
"""Schemes that quantize nothing: a model runs as it is, without a build."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model ready to compute, and what is known of it."""

    model: Model
    device: torch.device
    prompt: Prompt
    scheme: str
    name: str
    preprocessing: Preprocessing
    digest: str


class TorchEngine:
    """Answers with transformers' own model; fulfils the Engine protocol."""

    name = "torch"

    def __init__(
        self,
        weights: ModelWeights,
        *,
        scheme: str = "torch-f32",
        threads: int | None = None,
        device: str = "auto",
    ) -> None:
        """Load a model in full precision.

        Args:
            weights: The model.
            scheme: "torch-f32" or "torch-bf16"; quantized schemes are opened from builds.
            threads: Processor threads; None lets torch choose.
            device: "auto", "cpu" or "cuda".

        Raises:
            ConfigError: If the scheme is another one.
            ModelError: If the model is incomplete or damaged.
            HardwareError: If a GPU is asked for and there is none.
        """
        if scheme not in WHOLE:
            raise ConfigError(
                f"'{scheme}' runs from a build. Known without one: {', '.join(WHOLE)}."
            )
        place = find_device(device)
        prompt = build_prompt(weights.tokenizer, weights.template)
        model = assemble(weights, image_id=prompt.image_id, dtype=WHOLE[scheme])
        self._take(
            Loaded(
                model=model.to(place),  # type: ignore[arg-type]
                device=place,
                prompt=prompt,
                scheme=scheme,
                name=weights.name,
                preprocessing=weights.preprocessing,
                digest=weights.digest,
            ),
            threads=threads,
        )

    @classmethod
    def of(cls, loaded: Loaded, *, threads: int | None = None) -> TorchEngine:
        """An engine for a model that is loaded already, such as a build's."""
        engine = cls.__new__(cls)
        engine._take(loaded, threads=threads)  # noqa: SLF001  # a second constructor
        return engine

    def _take(self, loaded: Loaded, *, threads: int | None) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self.num_threads = torch.get_num_threads()
        self.scheme = loaded.scheme
        self.model = loaded.name
        self.preprocessing = loaded.preprocessing
        self.weights_digest = loaded.digest
        self.prompt_template = loaded.prompt.template.in_words()
        self.device = loaded.device
        self._prompt = loaded.prompt
        self._texts = TokenTexts(loaded.prompt.tokenizer)
        self._model = loaded.model
        self._context_tokens = loaded.model.config.get_text_config().max_position_embeddings

    @torch.inference_mode()
    def encode(self, pixels: Pixels, *, keep_stages: bool = False) -> EncodedImage:
        """Read an image: vision encoder, connector, and the prompt up to the question."""
        start = time.perf_counter()
        features = self._see(torch.from_numpy(pixels)[None])
        connector = self._model.model.multi_modal_projector
        tokens = connector(features.to(_float_type(connector))).flatten(1, -2)
        synchronize(self.device)
        encoded = time.perf_counter()
        prefix = self._embed(torch.tensor([self._prompt.prefix_ids], dtype=torch.int64))
        embeds = torch.cat([prefix, tokens.to(prefix.dtype)], dim=1)
        cache = DynamicCache()
        self._read(embeds, cache, rows_of([embeds.shape[1]], num_cached=0))
        synchronize(self.device)
        prefilled = time.perf_counter()
        stages = None
        if keep_stages:
            stages = Stages(
                vision_features=features[0].float().cpu().numpy(),
                image_tokens=tokens[0].float().cpu().numpy(),
            )
        return EncodedImage(
            state=cache,
            num_image_tokens=tokens.shape[1],
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

    def _answer(
        self,
        image: DynamicCache,
        asked: list[list[int]],
        max_new_tokens: int,
        *,
        on_text: Callable[[str], None] | None = None,
        keep_logits: bool = False,
    ) -> list[Answer]:
        """Answer questions side by side."""
        drafts = [
            self._draft(image, ids, Decoding(max_new_tokens=max_new_tokens), with_chance(on_text))
            for ids in asked
        ]
        return answer_along(self._reading(image, asked), drafts, keep_logits=keep_logits)

    def open_batch(self) -> Batch:
        """A batch with no answers in it; they are decoded one after the other."""
        return LaneBatch(OneLane(self._reading_of_one), self._ask)

    def _ask(
        self, image: EncodedImage, question: str, decoding: Decoding, on_text: OnText
    ) -> tuple[list[int], Draft]:
        check_decoding(decoding)
        asked = self._prompt.question_ids(question)
        num_tokens = image.state.get_seq_length() + len(asked)
        check_room(num_tokens, decoding.max_new_tokens, context_tokens=self._context_tokens)
        return asked, self._draft(image.state, asked, decoding, on_text)

    def _draft(
        self, image: DynamicCache, asked: list[int], decoding: Decoding, on_text: OnText | None
    ) -> Draft:
        return Draft(
            self._texts,
            {self._prompt.end_id},
            decoding,
            num_prompt_tokens=image.get_seq_length() + len(asked),
            on_text=on_text,
        )

    def score(
        self, image: EncodedImage, question: str, choices: Sequence[str]
    ) -> list[ScoredChoice]:
        """How likely the model finds each of several answers to a question, in their order.

        Raises:
            UserError: If the question or a choice does not fit the model.
        """
        asked = self._prompt.question_ids(question)
        wanted = [self._prompt.answer_ids(choice) for choice in choices]
        num_prompt_tokens = image.state.get_seq_length() + len(asked)
        check_choices(choices, wanted, room=self._context_tokens - num_prompt_tokens)
        scores: list[list[float]] = []
        for start in range(0, len(wanted), CHOICES_AT_ONCE):
            reading = self._reading(image.state, [asked])
            scores += score_along(reading, wanted[start : start + CHOICES_AT_ONCE])
        return [
            scored(choice, ids, found, self._texts, num_prompt_tokens=num_prompt_tokens)
            for choice, ids, found in zip(choices, wanted, scores, strict=True)
        ]

    @contextmanager
    def _reading_of_one(
        self,
        image: DynamicCache,
        asked: list[list[int]],
        max_new_tokens: int,  # noqa: ARG002 (a cache grows as it is filled)
    ) -> Iterator[Reading]:
        yield self._reading(image, asked)

    @torch.inference_mode()
    def _reading(self, image: DynamicCache, asked: list[list[int]]) -> Reading:
        """Begin to answer questions, each in a row of the cache that begins as the image's."""
        cache = copy.deepcopy(image)
        rows = rows_of([len(ids) for ids in asked], num_cached=image.get_seq_length())

        @torch.inference_mode()
        def first() -> Floats:
            cache.batch_repeat_interleave(len(asked))
            return self._read(self._embed(torch.from_numpy(padded(asked))), cache, rows)

        @torch.inference_mode()
        def following(kept: list[int], tokens: list[int]) -> Floats:
            nonlocal rows
            rows = rows.following(kept)
            cache.batch_select_indices(torch.tensor(kept, device=self.device))
            return self._read(self._embed(torch.tensor(tokens)[:, None]), cache, rows)

        return Reading(first=first, following=following)

    def _see(self, pixels: Tensor) -> Tensor:
        """What the vision encoder gives the connector: shape (1, patches, features)."""
        config = self._model.config
        tower: Any = self._model.model.vision_tower
        outputs = tower(
            pixels.to(device=self.device, dtype=_float_type(tower)), output_hidden_states=True
        )
        features: Tensor = outputs.hidden_states[config.vision_feature_layer]
        # A class token stands first.
        return features[:, 1:] if config.vision_feature_select_strategy == "default" else features

    def _embed(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self._model.get_input_embeddings()(ids.to(self.device))
        return embedded

    def _read(self, embeds: Tensor, cache: DynamicCache, rows: Rows) -> Floats:
        """Read more tokens into the cache: the logits of each row's last, on the processor."""
        # Where everything is seen, as one answer's decoding does, no mask is the faster one.
        visible = rows.visible
        mask = None if visible.all() else torch.from_numpy(visible).to(self.device)
        hidden = self._model.model.language_model(
            inputs_embeds=embeds,
            position_ids=torch.from_numpy(rows.positions).to(self.device),
            attention_mask=mask,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        last = hidden[range(len(hidden)), rows.last]
        head = self._model.lm_head
        logits: Floats = head(last.to(_float_type(head, last.dtype))).float().cpu().numpy()
        return logits


def _float_type(module: nn.Module, otherwise: torch.dtype = torch.float32) -> torch.dtype:
    """In which numbers a part computes; packed matrices alone, being whole numbers, say none."""
    types = (value.dtype for value in module.parameters() if value.is_floating_point())
    return next(types, otherwise)
