"""Any checkpoint that transformers itself can ask about an image.

SmolVLM, Qwen-VL, PaliGemma, Gemma 3 (MedGemma), InternVL, LLaVA-NeXT and the like: prompt and
image preparation are the checkpoint's own processor's, decoding is transformers' own, greedy,
because positions and masks differ from model to model. The image passes the vision encoder and
the connector once; the language model reads the whole prompt anew for every question, as
PaliGemma and Gemma 3 need, whose image tokens see what stands behind them.
"""

from __future__ import annotations

import importlib
import inspect
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoProcessor,
    GenerationConfig,
    PretrainedConfig,
)
from transformers.generation.streamers import BaseStreamer
from transformers.models.auto import processing_auto

from tinymed.engines.batch import Batch
from tinymed.engines.batching import WholeAnswers
from tinymed.engines.decoding import Decoding, ScoredChoice, check_decoding
from tinymed.engines.draft import Draft, OnText
from tinymed.engines.greedy import check_room
from tinymed.engines.protocol import Answer, EncodedImage, Stages
from tinymed.engines.sampling import Sampler
from tinymed.engines.scoring import check_choices, log_probability, scored
from tinymed.engines.stream import TextStream
from tinymed.engines.token_texts import TokenTexts
from tinymed.engines.torch.devices import find_device, half_precision, synchronize
from tinymed.engines.torch.quantized import (
    PartReport,
    check_dials_act,
    dials_of,
    float_type,
    layers_to_pack,
    quantize_model,
)
from tinymed.engines.torch.steering import Floats, generate_steered, score_steered
from tinymed.errors import ModelError, UserError
from tinymed.extras import is_installed
from tinymed.images.medical_image import MedicalImage
from tinymed.images.prepare import Preprocessing
from tinymed.models.llava_checkpoint import checkpoint_digest, read_stop_strings
from tinymed.models.schemes import find_scheme

USUAL_SIZE_PX = 448
"""Side of a plain image where a processor takes any size."""
_OF_TEXT = ("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids")
_PLACEHOLDER = "?"
_REGISTERED = ("tinymed.models.moe_language", "tinymed.models.llava_head_bias")
"""Register classes that importers write and transformers does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _SeenImage:
    """An image behind the connector."""

    picture: Image.Image
    features: Any
    """transformers' own output of vision encoder and connector."""
    image_inputs: Mapping[str, Tensor]
    """What the processor made of the image, without the pixels: grid, sizes."""


class TransformersEngine:
    """Answers with any image-text-to-text model of transformers; fulfils Engine, PreparesImages."""

    name = "torch"

    def __init__(
        self,
        folder: Path,
        *,
        scheme: str = "torch-bf16",
        precisions: Mapping[str, str] | None = None,
        threads: int | None = None,
        device: str = "auto",
    ) -> None:
        """Load a checkpoint; "int8" and "nf4" are made of it now, on the processor.

        Args:
            folder: As `save_pretrained` wrote it, processor included. No code of it is run.
            scheme: Of the engine "torch".
            precisions: Of single parts or the output layer, where they are to differ.
            threads: Processor threads; None lets torch choose.
            device: "auto", "cpu" or "cuda".

        Raises:
            ConfigError: If a precision is unknown, or would change nothing.
            ModelError: If the checkpoint is of another kind, or tensors are missing or left over.
            HardwareError: If a GPU is asked for and there is none.
        """
        if threads is not None:
            torch.set_num_threads(threads)
        self.num_threads = torch.get_num_threads()
        self.scheme = scheme
        self.model = folder.resolve().name
        self.weights_digest = checkpoint_digest(folder)
        self.device = find_device(device)
        self._processor = _load_processor(folder)
        self._stop_strings = read_stop_strings(folder)
        self._texts = TokenTexts(self._processor.tokenizer.backend_tokenizer, self._decode)
        self._special = set(self._processor.tokenizer.all_special_tokens)
        self.preprocessing = _nominal(self._processor.image_processor)
        self.prompt_template = self._prompt("{question}")
        dials = dials_of(find_scheme(scheme), precisions)
        half = half_precision(self.device)
        wide = any(precision == "f32" for precision in dials.values())
        self._model = _load_model(folder, torch.float32 if wide else half)
        self._context_tokens: int = self._model.config.get_text_config().max_position_embeddings
        asked = {part: dials[part] for part in precisions or {}}
        check_dials_act(layers_to_pack(self._model, dials), asked)
        self.parts: tuple[PartReport, ...] = quantize_model(
            self._model, dials, device=self.device, half=half
        )
        """What is quantized and what is kept, by name."""
        self._pixel_type = float_type(dials["vision_encoder"], half)

    def prepare(self, image: MedicalImage) -> Image.Image:
        """The image as the checkpoint's own processor takes it."""
        return Image.fromarray(image.pixels).convert("RGB")

    @torch.inference_mode()
    def encode(self, pixels: Image.Image, *, keep_stages: bool = False) -> EncodedImage:
        """Read an image as far as no question is needed: vision encoder and connector."""
        start = time.perf_counter()
        inputs = self._inputs(pixels, _PLACEHOLDER)
        of_image = {name: value for name, value in inputs.items() if name not in _OF_TEXT}
        see = self._model.base_model.get_image_features
        wanted = inspect.signature(see).parameters
        features = see(
            **{name: value for name, value in of_image.items() if name in wanted},
            return_dict=True,
        )
        synchronize(self.device)
        tokens = _joined(features.pooler_output)
        stages = None
        if keep_stages:
            stages = Stages(vision_features=None, image_tokens=tokens.float().cpu().numpy())
        grid = {name: value for name, value in of_image.items() if not name.startswith("pixel_")}
        return EncodedImage(
            state=_SeenImage(picture=pixels, features=features, image_inputs=grid),
            num_image_tokens=len(tokens),
            encode_ms=1000 * (time.perf_counter() - start),
            prefill_ms=0.0,
            stages=stages,
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
        """Answer one question; `on_text` receives each new piece of text as it is decoded.

        Raises:
            UserError: If the question is empty or holds one of the model's control tokens.
        """
        seen: _SeenImage = image.state
        start = time.perf_counter()
        inputs = self._inputs(seen.picture, self._checked(question))
        of_text = {name: inputs[name] for name in _OF_TEXT if name in inputs}
        # What ends an answer as text must not be shown, so such an answer comes as a whole.
        shown = None if self._stop_strings else on_text
        watch = _Watch(TextStream(self._decode, shown), self._end_ids())
        outputs = self._model.generate(
            **of_text,
            **seen.image_inputs,
            mm_encoder_outputs={"image": seen.features},
            generation_config=self._greedily(max_new_tokens),
            streamer=watch,
            tokenizer=self._processor.tokenizer,
        )
        synchronize(self.device)
        end = time.perf_counter()
        logits = [step[0].float().cpu() for step in outputs.logits]
        chosen = outputs.sequences[0, of_text["input_ids"].shape[1] :].tolist()
        log_probability = sum(
            float(torch.log_softmax(step.double(), dim=-1)[token])
            for step, token in zip(logits, chosen, strict=True)
        )
        text = watch.text()
        for stop in self._stop_strings:
            text = text.split(stop)[0].rstrip()
        if self._stop_strings and on_text is not None:
            on_text(text)
        return Answer(
            text=text,
            confidence=math.exp(log_probability),
            num_tokens=len(chosen),
            prefill_ms=1000 * (watch.first - start),
            decode_ms=1000 * (end - watch.first),
            first_token_logits=logits[0].numpy() if keep_logits else None,
            num_prompt_tokens=of_text["input_ids"].shape[1],
        )

    def answer_all(
        self, image: EncodedImage, questions: Sequence[str], *, max_new_tokens: int = 64
    ) -> list[Answer]:
        """Answer several questions about one image, one after the other."""
        return [
            self.answer(image, question, max_new_tokens=max_new_tokens) for question in questions
        ]

    def score(
        self, image: EncodedImage, question: str, choices: Sequence[str]
    ) -> list[ScoredChoice]:
        """How likely the model finds each of several answers to a question, one after the other.

        Raises:
            UserError: If the question cannot be asked, or a choice does not fit the model.
        """
        inputs = self._of_question(image.state, question)
        wanted = [self._wanted(question, choice) for choice in choices]
        num_prompt_tokens = inputs["input_ids"].shape[1]
        check_choices(choices, wanted, room=self._context_tokens - num_prompt_tokens)
        found = [score_steered(self._model, inputs, tokens) for tokens in wanted]
        return [
            scored(choice, *steps, self._texts, num_prompt_tokens=num_prompt_tokens)
            for choice, steps in zip(choices, found, strict=True)
        ]

    def open_batch(self) -> Batch:
        """A batch with no answers in it; each is decoded as a whole."""
        return WholeAnswers(self._begin)

    def _begin(
        self, image: EncodedImage, question: str, decoding: Decoding
    ) -> Callable[[OnText], Answer]:
        check_decoding(decoding)
        inputs = self._of_question(image.state, question)
        num_tokens = inputs["input_ids"].shape[1]
        check_room(num_tokens, decoding.max_new_tokens, context_tokens=self._context_tokens)
        return partial(self._decode_all, inputs, decoding)

    @torch.inference_mode()
    def _decode_all(self, inputs: dict[str, Any], decoding: Decoding, on_text: OnText) -> Answer:
        """Decode an answer as it was asked for."""
        draft = Draft(
            self._texts,
            self._end_ids(),
            replace(decoding, stop=(*decoding.stop, *self._stop_strings)),
            num_prompt_tokens=inputs["input_ids"].shape[1],
            # The space before a text that ends every answer is not shown either.
            on_text=None if self._stop_strings else on_text,
        )
        sampler = Sampler(decoding)
        suppressed = self._model.generation_config.suppress_tokens or []
        start = time.perf_counter()
        first = 0.0

        def choose(logits: Floats) -> tuple[int, bool]:
            nonlocal first
            first = first or time.perf_counter()
            allowed = logits.copy()
            allowed[suppressed] = -np.inf
            choice = sampler.choose(allowed)
            told = log_probability(logits, choice.token)
            return choice.token, draft.goes_on_after(choice._replace(log_probability=told))

        generate_steered(self._model, inputs, choose, max_new_tokens=decoding.max_new_tokens)
        end = time.perf_counter()
        answer = draft.finish(prefill_ms=1000 * (first - start), decode_ms=1000 * (end - first))
        if self._stop_strings:
            answer = replace(answer, text=answer.text.rstrip())
            on_text(answer.text, answer.confidence)
        return answer

    def _of_question(self, seen: _SeenImage, question: str) -> dict[str, Any]:
        """What the model reads of a question about an image that it has seen."""
        inputs = self._inputs(seen.picture, self._checked(question))
        of_text = {name: inputs[name] for name in _OF_TEXT if name in inputs}
        features = {"mm_encoder_outputs": {"image": seen.features}}
        return {**of_text, **seen.image_inputs, **features}

    def _wanted(self, question: str, choice: str) -> list[set[int]]:
        """The tokens of an answer and what ends it; the likeliest, where several can."""
        if self._stop_strings:
            return [{token} for token in self._choice_ids(question, choice + self._stop_strings[0])]
        return [*({token} for token in self._choice_ids(question, choice)), self._end_ids()]

    def _choice_ids(self, question: str, choice: str) -> list[int]:
        """Token ids of an answer, as they are when it stands behind the prompt."""
        tokenizer = self._processor.tokenizer
        prompt, choice = self._prompt(question), choice.strip()

        def ids_of(text: str) -> list[int]:
            ids: list[int] = tokenizer(text, add_special_tokens=False).input_ids
            return ids

        before = ids_of(prompt)
        behind = ids_of(prompt + self._before_answer(prompt, question, choice) + choice)
        is_continued = bool(self._processor.chat_template) and behind[: len(before)] == before
        return behind[len(before) :] if is_continued else ids_of(choice)

    def _before_answer(self, prompt: str, question: str, choice: str) -> str:
        """The space that the checkpoint's own conversations have before an answer, or none."""
        if not self._processor.chat_template:
            return ""
        told: str = self._processor.apply_chat_template(
            [_said("user", question, with_image=True), _said("assistant", choice)], tokenize=False
        )
        between = told[len(prompt) :].partition(choice)[0] if told.startswith(prompt) else ""
        return between if between.isspace() else ""

    def _checked(self, question: str) -> str:
        question = question.strip()
        if not question:
            raise UserError("The question is empty. Write it in quotes after the image.")
        found = next((token for token in sorted(self._special) if token in question), None)
        if found is not None:
            raise UserError(
                f"The question holds '{found}', which this model reads as a command. Leave it out."
            )
        return question

    def _prompt(self, question: str) -> str:
        if not self._processor.chat_template:
            # PaliGemma: the image, then bare words.
            return f"{self._processor.image_token}{question}"
        text: str = self._processor.apply_chat_template(
            [_said("user", question, with_image=True)], add_generation_prompt=True, tokenize=False
        )
        return text

    def _inputs(self, picture: Image.Image, question: str) -> dict[str, Tensor]:
        prompt = self._prompt(question)
        begin = self._processor.tokenizer.bos_token
        # Where the chat template has written the beginning, the tokenizer is not to add it.
        is_begun = begin is not None and prompt.startswith(begin)
        made = self._processor(
            text=[prompt],
            images=[[picture]],
            return_tensors="pt",
            **({"add_special_tokens": False} if is_begun else {}),
        )
        inputs = {}
        for name, value in made.items():
            is_float = value.is_floating_point()
            inputs[name] = value.to(self.device, dtype=self._pixel_type if is_float else None)
        inputs.pop("labels", None)
        return inputs

    def _decode(self, ids: list[int]) -> str:
        text: str = self._processor.tokenizer.decode(ids, skip_special_tokens=True)
        return text

    def _end_ids(self) -> set[int]:
        ends = self._model.generation_config.eos_token_id
        return set(ends) if isinstance(ends, list) else {ends}

    def _greedily(self, max_new_tokens: int) -> GenerationConfig:
        """Greedy, whatever the checkpoint's own settings say of sampling and penalties."""
        own = self._model.generation_config
        return GenerationConfig(
            max_new_tokens=max_new_tokens,
            do_sample=False,
            eos_token_id=own.eos_token_id,
            pad_token_id=own.pad_token_id,
            bos_token_id=own.bos_token_id,
            # An importer's image token has a row of its own, which no answer may choose.
            suppress_tokens=own.suppress_tokens,
            stop_strings=list(self._stop_strings) or None,
            return_dict_in_generate=True,
            output_logits=True,
        )


def _said(role: str, text: str, *, with_image: bool = False) -> dict[str, Any]:
    """A turn as chat templates take it."""
    image = [{"type": "image"}] if with_image else []
    return {"role": role, "content": [*image, {"type": "text", "text": text}]}


class _Watch(BaseStreamer):
    """Takes tokens as they come: the time of the first, and the text."""

    def __init__(self, stream: TextStream, end_ids: set[int]) -> None:
        self.first = 0.0
        self._ids: list[int] = []
        self._stream = stream
        self._end_ids = end_ids
        self._prompt_came = False

    def put(self, value: Tensor) -> None:
        """Take the prompt first, then a token at a time."""
        if not self._prompt_came:
            self._prompt_came = True
            return
        self.first = self.first or time.perf_counter()
        tokens = [token for token in value.flatten().tolist() if token not in self._end_ids]
        if tokens:
            self._ids += tokens
            self._stream.push(self._ids)

    def end(self) -> None:
        """Nothing is left to do."""

    def text(self) -> str:
        """The whole answer."""
        return self._stream.finish(self._ids)


def _load_model(folder: Path, dtype: torch.dtype) -> Any:
    for ours in _REGISTERED:
        importlib.import_module(ours)
    loader: Any = AutoModelForImageTextToText
    try:
        model, found = loader.from_pretrained(
            folder, dtype=dtype, local_files_only=True, output_loading_info=True
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(f"transformers cannot load '{folder}': {_first_line(error)}") from error
    wrong = {
        what.replace("_", " "): sorted(map(str, found[what]))
        for what in ("missing_keys", "unexpected_keys", "mismatched_keys")
        if found[what]
    }
    if wrong:
        words = "; ".join(
            f"{len(names)} {what} (first: {names[:3]})" for what, names in wrong.items()
        )
        raise ModelError(f"The checkpoint '{folder}' does not fit its model: {words}.")
    return model.train(mode=False)


def _load_processor(folder: Path) -> Any:
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        return _processor_class(config).from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(
            f"The checkpoint '{folder}' has no processor that transformers can load: "
            f"{_first_line(error)}"
        ) from error


def _processor_class(config: PretrainedConfig) -> Any:
    """The processor of a model, without its reader of videos where that cannot load.

    Qwen-VL's and InternVL's refuse to load without torchvision, which only videos need.
    """
    names: dict[str, str] = vars(processing_auto)["PROCESSOR_MAPPING_NAMES"]
    name = names.get(config.model_type)
    if name is None or is_installed("torchvision"):
        return AutoProcessor
    whole: Any = getattr(transformers, name)
    readers = [reader for reader in whole.get_attributes() if reader != "video_processor"]
    return type(name, (whole,), {"get_attributes": classmethod(lambda _: readers)})


def _nominal(images: Any) -> Preprocessing:
    """What of an image processor a square can tell: the side, mean and deviation."""
    size = getattr(images, "crop_size", None) or images.size or {}
    side = size.get("height") or size.get("shortest_edge") or USUAL_SIZE_PX
    mean, std = (tuple(map(float, values)) for values in (images.image_mean, images.image_std))
    return Preprocessing(size_px=min(int(side), USUAL_SIZE_PX), mean=mean, std=std)  # type: ignore[arg-type]


def _joined(tokens: Any) -> Tensor:
    """Image tokens as one table, whether they come as one or as a list of tiles."""
    parts = tokens if isinstance(tokens, (list, tuple)) else [tokens]
    return torch.cat([part.flatten(0, -2) for part in parts])


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
