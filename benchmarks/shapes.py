"""The LLaVAs that are timed: known shapes with random weights, and what each has to compute."""

# ruff: noqa: T201  # part of a script that prints

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinymed.models.shape.known import find_config
from tinymed.models.shape.random_checkpoint import make_random_checkpoint
from tinymed.models.shape.read import read_shape
from tinymed.models.shape.shape import ModelShape, TensorShape

FIRST_QUESTION = "Any effusion?"
SECOND_QUESTION = "Any fracture?"
"""As many tokens as the first: the tokenizer has one a byte."""
PROMPT = "USER: {image}\n{question} ASSISTANT:"
"""With the token that begins every text, 32 tokens beside the image's."""
PATCH_PX = 14
"""Of every encoder here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What of a LLaVA decides how long it takes."""

    config: dict[str, Any]
    model: ModelShape

    @property
    def kind(self) -> str:
        """Of its vision encoder: "clip" or "siglip"."""
        return self.model.vision.encoder

    @property
    def image_px(self) -> int:
        """Side of the images it reads."""
        return self.model.vision.image_px

    @property
    def patches(self) -> int:
        """Image tokens: a LLaVA has one a patch."""
        return self.model.image_tokens

    @property
    def prompt_tokens(self) -> int:
        """Of image and text, up to where the answer begins."""
        return self.patches + 1 + len(PROMPT.format(image="", question=FIRST_QUESTION))

    @property
    def num_operations(self) -> float:
        """Multiplications and additions with weights before the first token, no attention."""
        vision, tensors = self.model.vision, self.model.tensors
        one_layer = _matrices(one for one in tensors if ".encoder.layers.0." in one.name)
        connector = _matrices(one for one in tensors if one.part == "connector")
        language = _matrices(one for one in tensors if one.part == "language_model")
        encoded = self.patches * (vision.layers * one_layer + connector)
        return 2.0 * (encoded + self.prompt_tokens * language)

    @property
    def num_read_weights(self) -> int:
        """Weights of the language model that every token is multiplied with."""
        text, tensors = self.model.text, self.model.tensors
        output = text.vocabulary * text.width
        return output + _matrices(one for one in tensors if one.part == "language_model")


def make_checkpoint(folder: Path, shape: Shape) -> None:
    """Write a checkpoint with random weights where there is none yet."""
    if folder.exists():
        return
    print(f"Making {folder} …", file=sys.stderr)
    make_random_checkpoint(shape.config, folder)


def _matrices(tensors: Iterable[TensorShape]) -> int:
    return sum(one.num_weights for one in tensors if one.kind == "matrix")


def _shape(name: str, *, clip_px: int | None = None) -> Shape:
    """TinyLLaVA-1.5B, or its language model behind the encoder of LLaVA 1.5.

    Args:
        name: What it is called here.
        clip_px: Side of that encoder's images.
    """
    config = find_config("tinyllava-1.5b")
    if clip_px is not None:
        other = find_config("llava-1.5-7b")
        config = other | {
            "vision_config": other["vision_config"] | {"image_size": clip_px},
            "text_config": config["text_config"],
        }
    return Shape(config=config, model=read_shape(config, name=name))


SHAPES = {
    "tinyllava-1.5b": _shape("tinyllava-1.5b"),
    "clip-576": _shape("clip-576", clip_px=336),
    # The same reading a small image: what a connector that folds patches would leave.
    "clip-64": _shape("clip-64", clip_px=112),
}
