"""Images unlike those that a model was trained on, learnt by `tinymed evaluate gates --train`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scoring_engine import ScoringEngine, truthful, write_set

from tinymed.errors import DataError, ModelError
from tinymed.jsonl import read_samples
from tinymed.safe.image.scope import SCOPE_FILE
from tinymed.safe.measure import MeasureSettings, measure_gates
from tinymed.safe.policy import read_policy, read_scope


@pytest.fixture
def settings(tmp_path: Path) -> MeasureSettings:
    """Forty grey images to train on, as many to choose on; the first of those is coloured."""
    training = write_set(tmp_path / "train", "train", images=range(1, 41))
    samples = write_set(tmp_path / "set", "validation", images=range(50, 90))
    first = read_samples(samples)[0].image
    assert first is not None
    coloured = np.asarray(Image.open(first).convert("RGB")).copy()
    coloured[..., 0] = 255
    Image.fromarray(coloured).save(first)
    return MeasureSettings(
        samples=samples, out=tmp_path / "run", target_accuracy=0.9, training=(training,)
    )


def seen(out: Path) -> list[dict[str, Any]]:
    lines = (out / "seen-validation.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_what_is_unlike_the_training_images_is_out_of_scope(settings: MeasureSettings) -> None:
    engine = ScoringEngine(truthful)
    measure_gates(engine, settings)
    found = [
        [alert["code"] for alert in row["alerts"] if alert["gate"] == "scope"]
        for row in seen(settings.out)
    ]
    assert found[0] == ["image-out-of-scope"]
    assert sum(map(len, found)) <= 2
    assert read_policy(settings.out, engine) is not None
    scope = read_scope(settings.out, engine)
    assert scope is not None
    assert scope.fitted_to == "train train"


def test_it_is_not_fitted_again(settings: MeasureSettings) -> None:
    measure_gates(ScoringEngine(truthful), settings)
    before = (settings.out / SCOPE_FILE).stat().st_mtime_ns
    engine = ScoringEngine(truthful)
    measure_gates(engine, settings)
    assert (settings.out / SCOPE_FILE).stat().st_mtime_ns == before
    assert engine.num_encoded == 1  # the black image


def test_other_training_images_are_another_run(settings: MeasureSettings, tmp_path: Path) -> None:
    measure_gates(ScoringEngine(truthful), settings)
    other = write_set(tmp_path / "other", "train", images=range(3, 50))
    changed = MeasureSettings(
        samples=settings.samples, out=settings.out, target_accuracy=0.9, training=(other,)
    )
    with pytest.raises(DataError):
        measure_gates(ScoringEngine(truthful), changed)


def test_another_models_scope_is_refused(settings: MeasureSettings) -> None:
    measure_gates(ScoringEngine(truthful), settings)
    with pytest.raises(ModelError, match="another model"):
        read_scope(settings.out, ScoringEngine(truthful, weights_digest="1" * 64))


def test_without_training_images_there_is_no_scope(settings: MeasureSettings) -> None:
    plain = MeasureSettings(samples=settings.samples, out=settings.out, target_accuracy=0.9)
    engine = ScoringEngine(truthful)
    measure_gates(engine, plain)
    assert read_scope(settings.out, engine) is None
