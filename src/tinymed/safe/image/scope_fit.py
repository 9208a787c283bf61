"""Fitting a scope: the training images through an engine's vision encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tinymed.engines.protocol import Engine, prepared
from tinymed.errors import ModelError
from tinymed.images.intake import read_image
from tinymed.progress import Progress
from tinymed.safe.image.scope import Floats, Scope, pooled


def fit_scope(
    engine: Engine,
    *,
    training: Sequence[Path],
    held_out: Sequence[Path],
    fitted_to: str,
) -> Scope:
    """Fit a scope to a model's training images.

    Args:
        engine: Any engine of the model that tells its stages.
        training: Image files, each once.
        held_out: More images in scope; only the threshold looks at them.
        fitted_to: The training images in words.

    Raises:
        ImageError: If a file cannot be read.
        ModelError: If the engine does not tell what its encoder gives.
    """
    with Progress("scope", total=len(training) + len(held_out), unit="image") as progress:
        fitted, others = (
            pooled_features(engine, paths, on_image=progress.step) for paths in (training, held_out)
        )
    return Scope.fit(
        fitted,
        weights_sha256=engine.weights_digest,
        fitted_to=fitted_to,
        held_out=others,
    )


def pooled_features(
    engine: Engine, paths: Sequence[Path], *, on_image: Callable[[], None] = lambda: None
) -> Floats:
    """Each image's pooled features: shape (images, features).

    Raises:
        ImageError: If a file cannot be read.
        ModelError: If the engine does not tell what its encoder gives.
    """
    rows = []
    for path in paths:
        encoded = engine.encode(prepared(engine, read_image(path)), keep_stages=True)
        features = None if encoded.stages is None else pooled(encoded.stages)
        if features is None:
            raise ModelError(
                f"'{engine.model}' in '{engine.scheme}' does not tell what its vision encoder "
                "gives. Take another scheme, such as openvino-int8."
            )
        rows.append(features)
        on_image()
    return np.stack(rows)
