"""The frozen vision encoder's features of every training image, computed once and kept.

The encoder never changes while training, so its features need not be computed again in
each epoch. A file a view; a file is written whole or not at all, so a killed run goes on
where it stopped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load, save
from torch import Tensor
from tqdm import tqdm

from tinymed.images.intake import read_image
from tinymed.images.prepare import Preprocessing, prepare
from tinymed.runs import write_bytes
from tinymed.train.augment import augmented
from tinymed.train.config import AugmentConfig

BATCH_IMAGES = 8


class VisionEncoder(Protocol):
    """A frozen encoder: a square of patches, each with its features."""

    digest: str
    """Of its weights; part of the cache's key."""
    preprocessing: Preprocessing
    feature_size: int
    """Features a patch."""
    grid: int
    """Patches along one side."""

    def __call__(self, pixels: Tensor) -> Tensor:
        """Shape (batch, 3, size, size) to (batch, grid * grid, feature_size)."""
        ...


class FeatureCache:
    """Features of images by path and view, bfloat16, on disk and then in memory."""

    def __init__(self, encoder: VisionEncoder, folder: Path, augment: AugmentConfig) -> None:
        self.encoder = encoder
        self.folder = folder
        self.augment = augment
        self.loaded: dict[tuple[str, int], Tensor] = {}

    def fill(self, images: Sequence[str], *, num_views: int, label: str) -> None:
        """Compute what is missing, show progress, and hold it all in memory."""
        self.folder.mkdir(parents=True, exist_ok=True)
        wanted = [(image, view) for view in range(num_views) for image in images]
        missing = []
        for image, view in wanted:
            path = self._path(image, view)
            if path.exists():
                self.loaded[image, view] = load(path.read_bytes())["features"]
            else:
                missing.append((image, view, path))
        chunks = range(0, len(missing), BATCH_IMAGES)
        for start in tqdm(chunks, desc=f"features of {label}", unit="batch", disable=not missing):
            chunk = missing[start : start + BATCH_IMAGES]
            pixels = np.stack([self._pixels(image, view) for image, view, _ in chunk])
            features = self.encoder(torch.from_numpy(pixels)).to(torch.bfloat16)
            for (image, view, path), one in zip(chunk, features, strict=True):
                self.loaded[image, view] = one.clone(memory_format=torch.contiguous_format)
                write_bytes(path, save({"features": self.loaded[image, view]}))

    def batch(self, images: Sequence[str], view_of: Callable[[str], int]) -> Tensor:
        """Features of several images, shape (batch, patches, feature_size), float32."""
        return torch.stack([self.loaded[image, view_of(image)] for image in images]).float()

    def _pixels(self, image: str, view: int) -> npt.NDArray[np.float32]:
        content = read_image(Path(image))
        if view > 0:
            digest = hashlib.sha256(Path(image).read_bytes()).digest()
            seed = (int.from_bytes(digest[:8], "little"), view)
            content = augmented(content, self.augment, seed=seed)
        return prepare(content, self.encoder.preprocessing)

    def _path(self, image: str, view: int) -> Path:
        facts = [
            hashlib.sha256(Path(image).read_bytes()).hexdigest(),
            self.encoder.digest,
            repr(self.encoder.preprocessing),
            repr(sorted(asdict(self.augment).items())) if view else "",
            str(view),
        ]
        key = hashlib.sha256("\n".join(facts).encode()).hexdigest()
        return self.folder / f"{key}.safetensors"
