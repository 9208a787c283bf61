"""The protocol every engine fulfils."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from tinymed.engines.decoding import ChosenToken, FinishReason, ScoredChoice
from tinymed.images.medical_image import MedicalImage
from tinymed.images.prepare import Preprocessing, prepare

Pixels = npt.NDArray[np.float32]
"""Normalized image, shape (3, height, width)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """What an image became on its way to the language model, for parity checks."""

    vision_features: npt.NDArray[np.float32] | None
    """Shape (patches, features), as the encoder gives them; None where an engine cannot tell."""
    image_tokens: npt.NDArray[np.float32]
    """Shape (image tokens, hidden): what the connector gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedImage:
    """An image the language model has already read: ask it as often as you like."""

    state: Any
    """The engine's own: image tokens and the key-value cache of the prompt up to them."""
    num_image_tokens: int
    encode_ms: float
    """Vision encoder and connector."""
    prefill_ms: float
    """Language model over the prompt's part before the question (paid once an image)."""
    stages: Stages | None = None
    """Only where asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer: greedy, but for those that a `Batch` was told to draw."""

    text: str
    confidence: float
    """Product of the probabilities of the tokens chosen, the end token (or those of a stop text)
    included: the model's own probability of exactly this answer. In [0, 1]; not calibrated."""
    num_tokens: int
    """Tokens decoded, the end token (or those of a stop text) included."""
    prefill_ms: float
    """Language model over the question, up to and including the first token. Questions that
    were answered together share this time, and the next, in equal parts: they add up."""
    decode_ms: float
    """Every token after the first."""
    first_token_logits: npt.NDArray[np.float32] | None = None
    """Shape (vocabulary,); only where asked for, by parity checks."""
    finish_reason: FinishReason = "stop"
    tokens: tuple[ChosenToken, ...] = ()
    """Those of the text, and the end token if it came; not those of a stop text alone."""
    num_prompt_tokens: int = 0
    """Read before the first was chosen, image tokens included."""


class Engine(Protocol):
    """Encodes an image once and answers questions about it, greedily."""

    name: str
    """"openvino", "native", "llamacpp" or "torch"."""
    scheme: str
    """How the weights are stored: a name in `tinymed.models.schemes.SCHEMES`."""
    model: str
    """The model's name, such as "nano"."""
    preprocessing: Preprocessing
    """How `encode` wants its pixels prepared."""
    weights_digest: str
    """sha256 over every weight the engine runs on."""
    num_threads: int
    """Threads it computes with. Where activations are rounded to 8 bits (GGUF's Q8_0 and K-quants,
    OpenVINO's int4, LLM.int8) some answers depend on it; in the native engine none does."""
    prompt_template: str
    """The prompt in words, with `{image}` and `{question}`."""

    def encode(self, pixels: Pixels, *, keep_stages: bool = False) -> EncodedImage:
        """Read an image: vision encoder, connector, and the prompt up to the question."""
        ...

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
        ...

    def answer_all(
        self, image: EncodedImage, questions: Sequence[str], *, max_new_tokens: int = 64
    ) -> list[Answer]:
        """Answer several questions about one image together; the answers are those of `answer`.

        In the native engine all come out the same to the last bit. In OpenVINO first tokens do,
        and later ones up to rounding, because the cache's padding changes the order of sums. In
        float32 that changes no word; activations rounded to 8 bits magnify it: `nano` so worded
        2 of 751 answers otherwise.
        """
        ...

    def score(
        self, image: EncodedImage, question: str, choices: Sequence[str]
    ) -> list[ScoredChoice]:
        """How likely the model finds each of several answers to a question, in their order.

        A choice is put into tokens as a reference answer is for training, and read token by
        token; the end token counts. So the probabilities of different answers add up to 1 at
        most, and that of the greedy answer is its `confidence`. All choices go on from one
        reading of the question: two of one token each cost little more than an answer of one
        token. Only transformers' own models read image and question anew for each.

        Raises:
            UserError: If the question or a choice does not fit the model.
        """
        ...


@runtime_checkable
class PreparesImages(Protocol):
    """An engine whose model wants its images otherwise than as one square of `preprocessing`.

    Checkpoints that cut an image into tiles, or read it in whatever size it has, bring their
    own preparation. Such an engine's `preprocessing.size_px` is the size of a plain image that
    its model reads without scaling.
    """

    def prepare(self, image: MedicalImage) -> Any:
        """What `encode` takes for this image."""
        ...


def prepared(engine: Engine, image: MedicalImage) -> Any:
    """What an engine's `encode` takes for an image."""
    if isinstance(engine, PreparesImages):
        return engine.prepare(image)
    return prepare(image, engine.preprocessing)
