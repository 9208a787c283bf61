"""Images unlike those that a model was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinymed.engines.protocol import EncodedImage, Stages
from tinymed.errors import ModelError
from tinymed.safe.gate import Gates
from tinymed.safe.image.scope import NUM_DIRECTIONS, Scope, pooled, scope_alerts

Floats = np.ndarray[Any, Any]


def features(seed: int, count: int, *, unlike: float = 0.0) -> Floats:
    """Features near 20 directions of 200, and away from them by `unlike`."""
    random = np.random.default_rng(seed)
    basis = np.linalg.qr(np.random.default_rng(99).normal(size=(200, 20)))[0].T
    inside = random.normal(size=(count, 20)) @ basis * 5
    outside = random.normal(size=(count, 200))
    return (3 + inside + (0.1 + unlike) * outside).astype(np.float32)


def encoded(row: Floats | None) -> EncodedImage:
    patches = None if row is None else np.stack([row - 1, row + 1])
    stages = Stages(vision_features=patches, image_tokens=np.zeros((1, 4), np.float32))
    return EncodedImage(state=None, num_image_tokens=1, encode_ms=0, prefill_ms=0, stages=stages)


@pytest.fixture(scope="module")
def made() -> Scope:
    return Scope.fit(
        features(0, 300), weights_sha256="a" * 64, fitted_to="made up", held_out=features(1, 50)
    )


def test_images_of_the_kind_fitted_to_are_in_scope(made: Scope) -> None:
    distances = [made.pooled_distance(row) for row in features(2, 200)]
    assert np.mean(np.array(distances) > made.threshold) <= 0.03


def test_images_of_another_kind_are_out_of_scope(made: Scope) -> None:
    distances = [made.pooled_distance(row) for row in features(3, 200, unlike=3.0)]
    assert min(distances) > made.threshold


def test_a_distance_is_the_share_that_the_directions_leave_out(made: Scope) -> None:
    along, away = made.directions[0], np.zeros(200, np.float32)
    away[0] = 1
    away -= made.directions.T @ (made.directions @ away)
    away /= np.linalg.norm(away)
    assert made.pooled_distance(made.center) == 0
    assert made.pooled_distance(made.center + 7 * along) == pytest.approx(0, abs=1e-3)
    assert made.pooled_distance(made.center + 7 * away) == pytest.approx(1, abs=1e-3)
    assert made.pooled_distance(made.center + 3 * along + 4 * away) == pytest.approx(0.8, abs=1e-3)


def test_the_threshold_looks_at_images_that_were_not_fitted_to() -> None:
    train, worse = features(0, 300), features(4, 200, unlike=1.0)
    alone = Scope.fit(train, weights_sha256="a", fitted_to="")
    wider = Scope.fit(train, weights_sha256="a", fitted_to="", held_out=worse)
    fitted = [alone.pooled_distance(row) for row in train]
    assert alone.threshold > np.quantile(fitted, 0.995)
    assert wider.threshold > alone.threshold


def test_patches_are_averaged() -> None:
    row = features(5, 1)[0]
    stages = encoded(row).stages
    assert stages is not None
    assert np.allclose(pooled(stages), row, atol=1e-5)


def test_an_alert_says_what_was_measured(made: Scope) -> None:
    inside, outside = features(2, 1)[0], features(3, 1, unlike=3.0)[0]
    assert scope_alerts(encoded(inside), made, Gates()) == ()
    (alert,) = scope_alerts(encoded(outside), made, Gates())
    assert (alert.code, alert.gate, alert.withholds) == ("image-out-of-scope", "scope", True)
    assert alert.figures["distance"] > alert.figures["most"] == round(made.threshold, 3)
    assert not scope_alerts(encoded(outside), made, Gates(scope="warn"))[0].withholds
    assert scope_alerts(encoded(outside), made, Gates(scope="off")) == ()


def test_an_engine_that_cannot_tell_raises_nothing(made: Scope) -> None:
    assert scope_alerts(encoded(None), made, Gates()) == ()


def test_a_scope_comes_back_as_it_was_written(made: Scope, tmp_path: Path) -> None:
    path = tmp_path / "scope.safetensors"
    made.save(path)
    back = Scope.load(path, weights_sha256="a" * 64)
    assert np.array_equal(back.directions, made.directions)
    assert (back.threshold, back.fitted_to) == (made.threshold, "made up")
    row = features(6, 1)[0]
    assert back.pooled_distance(row) == made.pooled_distance(row)
    assert len(made.directions) == NUM_DIRECTIONS


def test_another_encoders_scope_is_refused(made: Scope, tmp_path: Path) -> None:
    path = tmp_path / "scope.safetensors"
    made.save(path)
    with pytest.raises(ModelError, match="another model"):
        Scope.load(path, weights_sha256="b" * 64)


def test_a_missing_or_damaged_file_is_refused(made: Scope, tmp_path: Path) -> None:
    path = tmp_path / "scope.safetensors"
    with pytest.raises(ModelError):
        Scope.load(path, weights_sha256="a" * 64)
    made.save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError):
        Scope.load(path, weights_sha256="a" * 64)
