"""Whether an image is like those that the model was trained on.

The vision encoder's features, averaged over its patches, of every training image span few
directions. Of an image that is like them, most of what makes it differ from their mean lies in
those directions; of a photo, a page or a tissue slice, most does not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from tinymed.engines.protocol import EncodedImage, Stages
from tinymed.errors import ModelError
from tinymed.models.headers.safetensors_header import check_safetensors
from tinymed.runs import write_bytes
from tinymed.safe.gate import Alert, Gates

Floats = npt.NDArray[np.float32]

FORMAT = "tinymed-scope-1"
SCOPE_FILE = "scope.safetensors"
NUM_DIRECTIONS = 64
"""Principal directions of the training images' features that are kept. 32 to 256 were tried and
do nearly as well; Mahalanobis distances within them, and nearest neighbours, do worse."""
QUANTILE = 0.995
"""Share of held-out images in scope that the threshold leaves in scope."""
_NUM_FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What the training images look like to one vision encoder."""

    center: Floats
    """Mean of the training images' pooled features; shape (features,)."""
    directions: Floats
    """Their principal directions, orthonormal; shape (directions, features)."""
    threshold: float
    """The distance above which an image is out of scope."""
    weights_sha256: str
    """What read the images: an engine's `weights_digest`."""
    fitted_to: str
    """The training images in words, such as "SLAKE train, VQA-RAD train"."""

    @classmethod
    def fit(
        cls,
        features: Floats,
        *,
        weights_sha256: str,
        fitted_to: str,
        held_out: Floats | None = None,
    ) -> Scope:
        """Fit to the training images and choose the threshold.

        The threshold is the quantile `QUANTILE` of distances of images that were not fitted
        to: each fifth of the training images against the other four, and `held_out`.

        Args:
            features: Pooled features, shape (images, features); at least ten images.
            weights_sha256: The `weights_digest` of the engine that read them.
            fitted_to: The images in words.
            held_out: Pooled features of more images in scope, none of them in `features`.
        """
        center, directions = _subspace(features)
        whole = cls(
            center=center,
            directions=directions,
            threshold=1.0,
            weights_sha256=weights_sha256,
            fitted_to=fitted_to,
        )
        fold = np.random.default_rng(0).integers(0, _NUM_FOLDS, len(features))
        distances = [] if held_out is None else [whole.pooled_distance(row) for row in held_out]
        for number in range(_NUM_FOLDS):
            center, directions = _subspace(features[fold != number])
            part = replace(whole, center=center, directions=directions)
            distances += [part.pooled_distance(row) for row in features[fold == number]]
        return replace(whole, threshold=float(np.quantile(distances, QUANTILE)))

    def pooled_distance(self, features: Floats) -> float:
        """The share of an image's deviation that the training images' directions leave out.

        The sine of the angle between the deviation and the directions: in [0, 1].

        Args:
            features: What `pooled` gives; shape (features,).
        """
        deviation = features.astype(np.float64) - self.center
        length = float(np.linalg.norm(deviation))
        if length == 0:
            return 0.0
        left_out = deviation - self.directions.T @ (self.directions @ deviation)
        return float(np.linalg.norm(left_out)) / length

    def distance(self, stages: Stages) -> float | None:
        """`pooled_distance` of an image; None where an engine cannot tell.

        Args:
            stages: What `engine.encode(pixels, keep_stages=True)` tells.
        """
        features = pooled(stages)
        return None if features is None else self.pooled_distance(features)

    def save(self, path: Path) -> None:
        """Write the file that `load` reads, whole or not at all."""
        row = {
            "format": FORMAT,
            "weights_sha256": self.weights_sha256,
            "fitted_to": self.fitted_to,
            "threshold": repr(self.threshold),
        }
        tensors = {"center": self.center, "directions": self.directions}
        write_bytes(path, save(tensors, metadata=row))

    @classmethod
    def load(cls, path: Path, *, weights_sha256: str) -> Scope:
        """Read a file of `save`.

        Args:
            path: Where it lies.
            weights_sha256: The `weights_digest` of the engine that will read the images.

        Raises:
            ModelError: If it is missing, damaged, of another format or another encoder's.
        """
        check_safetensors(path)
        try:
            with safe_open(str(path), framework="np") as file:
                row = file.metadata() or {}
                if row.get("format") != FORMAT:
                    raise ModelError(
                        f"'{path}' has the format {row.get('format')!r}; needed: {FORMAT!r}."
                    )
                made = cls(
                    center=file.get_tensor("center"),
                    directions=file.get_tensor("directions"),
                    threshold=float(row["threshold"]),
                    weights_sha256=row["weights_sha256"],
                    fitted_to=row["fitted_to"],
                )
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise ModelError(f"'{path}' is not a readable scope file: {error}.") from error
        if made.weights_sha256 != weights_sha256:
            raise ModelError(
                f"'{path}' was fitted to another model (weights {made.weights_sha256[:12]}…, here "
                f"{weights_sha256[:12]}…). Fit it to this one: tinymed evaluate gates --train."
            )
        return made


def _subspace(features: Floats) -> tuple[Floats, Floats]:
    """Mean and principal directions of features, shape (images, features)."""
    center = features.mean(axis=0, dtype=np.float64)
    _, _, directions = np.linalg.svd(features - center, full_matrices=False)
    kept = directions[: min(NUM_DIRECTIONS, len(features) - 1)]
    return center.astype(np.float32), kept.astype(np.float32)


def pooled(stages: Stages) -> Floats | None:
    """What the vision encoder made of an image, averaged over its patches.

    Returns:
        Shape (features,); None where an engine cannot tell.
    """
    if stages.vision_features is None:
        return None
    mean: Floats = stages.vision_features.mean(axis=0)
    return mean


def scope_alerts(encoded: EncodedImage, scope: Scope, gates: Gates) -> tuple[Alert, ...]:
    """An alert where an image is unlike all that the model was trained on.

    Args:
        encoded: An image encoded with `keep_stages=True`.
        scope: The training images'.
        gates: What the gate "scope" may do.
    """
    if gates.scope == "off" or encoded.stages is None:
        return ()
    distance = scope.distance(encoded.stages)
    if distance is None or distance <= scope.threshold:
        return ()
    return (
        Alert(
            code="image-out-of-scope",
            gate="scope",
            withholds=gates.scope == "withhold",
            detail=(
                "The picture is unlike the radiology images that the model was trained on "
                f"({scope.fitted_to})."
            ),
            figures={
                "distance": round(distance, 3),
                "most": round(scope.threshold, 3),
            },
        ),
    )
