"""The recipe of a training run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraConfig:
    """The language model's adapter."""

    rank: int = 32
    """Width of the update; adapter size grows in proportion."""
    alpha: float = 64.0
    """Scale of the update: it is multiplied by alpha / rank."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """Small changes to training images. Never a mirror image: sides are findings."""

    num_views: int = 3
    """Variants of each image whose features are cached; 1 = the image alone."""
    max_rotation_degrees: float = 8.0
    max_shift: float = 0.06
    """Largest shift, as a fraction of the image's side."""
    max_zoom: float = 0.10
    """Largest change of scale, as a fraction."""
    max_brightness: float = 0.15
    """Largest change of brightness and of contrast, as a fraction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """One training run: a frozen vision encoder, a trained connector, an adapted language model."""

    samples: tuple[Path, ...]
    """JSON-lines files to train on; train splits only."""
    validation: Path
    """JSON-lines file whose exact-answer rate is printed after each epoch."""
    name: str = "nano"
    """What the trained model is called."""
    description: str = ""
    """What `models list` says of it."""
    vision_encoder: str = "efficientnet-lite2"
    """A name in `tinymed.models.parts.VISION_ENCODERS`; stays frozen."""
    language_model: str = "smollm2-135m-instruct"
    """A name in `tinymed.models.parts.LANGUAGE_MODELS`; frozen but for the adapter."""
    fold: int | None = None
    """Patches along one side that the connector folds into one image token; None is the
    encoder's own. Folding 3 x 3 leaves a ninth of the image tokens, and of their time."""
    epochs: int = 5
    batch_images: int = 8
    """Images in a step, each with all its questions."""
    learning_rate: float = 1e-3
    """Peak, for the adapter; warms up, then falls to zero along a cosine."""
    connector_learning_rate: float = 1e-3
    """Peak, for the connector."""
    warmup_fraction: float = 0.03
    """Of all optimizer steps."""
    weight_decay: float = 0.0
    max_gradient_norm: float = 1.0
    seed: int = 1
    threads: int | None = None
    """CPU threads; None leaves torch's choice."""
    device: str = "auto"
    """"auto" (a GPU where there is one), "cpu" or "cuda"."""
    compile: bool = False
    """Compile the language model's layers: faster on a CPU after a minute; needs g++."""
    checkpoint_steps: int = 50
    """Optimizer steps between checkpoints."""
    lora: LoraConfig = field(default_factory=LoraConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
