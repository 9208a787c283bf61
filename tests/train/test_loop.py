"""The training loop, on a tiny real model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from PIL import Image  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from tests.tiny import TINY, tiny_tensors, write_tiny_gguf  # noqa: E402
from torch import Tensor  # noqa: E402

from tinymed.errors import ConfigError, DataError, ModelError  # noqa: E402
from tinymed.images.prepare import Preprocessing  # noqa: E402
from tinymed.jsonl import read_samples, write_samples  # noqa: E402
from tinymed.models.manifest import Manifest, Part, read_manifest  # noqa: E402
from tinymed.models.prompt import build_prompt  # noqa: E402
from tinymed.models.trained import merge, read_trained  # noqa: E402
from tinymed.records import Sample  # noqa: E402
from tinymed.train.checkpoints import newest_checkpoint  # noqa: E402
from tinymed.train.config import AugmentConfig, LoraConfig, TrainConfig  # noqa: E402
from tinymed.train.loop import Trainer  # noqa: E402
from tinymed.train.model import build_trainable  # noqa: E402
from tinymed.train.packing import collate, pack  # noqa: E402
from tinymed.train.run import Parts, train  # noqa: E402


class MeanColours:
    """A real, tiny frozen encoder: each patch's mean colours and their squares."""

    digest = "mean-colours"
    preprocessing = Preprocessing(size_px=16)
    feature_size = 6
    grid = 4

    def __call__(self, pixels: Tensor) -> Tensor:
        means = torch.nn.functional.avg_pool2d(pixels, 4).flatten(2).transpose(1, 2)
        return torch.cat([means, means.square()], dim=-1)


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    gguf = write_tiny_gguf(tmp_path / "tiny.gguf", tiny_tensors())
    part = Part(
        role="language_model",
        package="p",
        version="1",
        wheel="w",
        wheel_sha256="",
        wheel_bytes=0,
        member="m",
        sha256="tiny",
        num_bytes=0,
        licence="MIT",
    )
    manifest = Manifest(
        name="tiny",
        description="",
        vision_encoder="mean-colours",
        parts=(part,),
        trained_file="trained.safetensors",
        trained_sha256="",
        num_image_tokens=4,
        fold=2,
        preprocessing=MeanColours.preprocessing,
        folder=tmp_path,
    )
    return Parts(manifest=manifest, language_gguf=gguf, vision_file=tmp_path / "unused")


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    """Twelve images, red or blue, and one question about each: learnable from the image."""
    rng = np.random.default_rng(0)
    samples = []
    for number in range(16):
        is_red = number % 2 == 0
        pixels = rng.integers(0, 40, (20, 24, 3), dtype=np.uint8)
        pixels[..., 0 if is_red else 2] += 200
        path = tmp_path / f"{number}.png"
        Image.fromarray(pixels).save(path)
        samples.append(
            Sample(
                id=str(number),
                question="the?",
                reference="r" if is_red else "b",
                answer_type="closed" if number % 4 < 2 else "open",
                image=path,
                group=path.name,
            )
        )
    write_samples(tmp_path / "train.jsonl", samples[:12])
    write_samples(tmp_path / "validation.jsonl", samples[12:])
    return TrainConfig(
        samples=(tmp_path / "train.jsonl",),
        validation=tmp_path / "validation.jsonl",
        epochs=3,
        batch_images=3,
        learning_rate=2e-2,
        connector_learning_rate=2e-2,
        checkpoint_steps=5,
        threads=1,
        device="cpu",
        lora=LoraConfig(rank=4, alpha=8.0),
        augment=AugmentConfig(num_views=2),
    )


def _train(config: TrainConfig, parts: Parts, folder: Path, *, resume: bool = False) -> Path:
    features = folder.parent / "features"
    return train(
        config, parts, folder, features_folder=features, resume=resume, encoder=MeanColours()
    )


def _metrics(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_packed_question_gets_the_losses_it_would_have_alone(
    config: TrainConfig, parts: Parts, tmp_path: Path
) -> None:
    from tinymed.models.language_gguf import open_gguf
    from tinymed.models.tokenizer import tokenizer_from_gguf

    prompt = build_prompt(tokenizer_from_gguf(open_gguf(parts.language_gguf)))
    model = build_trainable(
        tiny_tensors(), TINY, MeanColours(), fold=2, lora=config.lora, image_id=prompt.image_id
    )
    model.language.float()
    samples = [
        Sample(id=str(i), question=q, reference=a, answer_type="open", image=tmp_path / "x.png")
        for i, (q, a) in enumerate([("the?", "yes the"), ("a longer question", "b"), ("c", "no")])
    ]
    features = torch.randn(1, 16, 6)
    together = pack("x", samples, prompt, num_image_tokens=4)
    losses, _, _ = model.losses(collate([together], padding_id=2), features)
    alone = []
    for sample in samples:
        row = pack("x", [sample], prompt, num_image_tokens=4)
        alone.append(model.losses(collate([row], padding_id=2), features)[0])
    torch.testing.assert_close(losses, torch.cat(alone), rtol=1e-4, atol=1e-5)


def test_training_learns_from_the_image(config: TrainConfig, parts: Parts, tmp_path: Path) -> None:
    _train(replace(config, epochs=12), parts, tmp_path / "run")
    result = json.loads((tmp_path / "run" / "manifest.json").read_text())["validation"]
    assert result["exact"] == 1.0
    assert result["exact_open"] == result["exact_closed"] == 1.0


def test_a_resumed_run_ends_bit_for_bit_as_an_unbroken_one(
    config: TrainConfig, parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _train(config, parts, tmp_path / "whole")
    steps_done = 0
    step = Trainer._step

    def dies_at_step_eight(self: Trainer, *arguments: object) -> tuple[float, int]:
        nonlocal steps_done
        steps_done += 1
        if steps_done == 8:
            raise KeyboardInterrupt
        return step(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Trainer, "_step", dies_at_step_eight)
    with pytest.raises(KeyboardInterrupt):
        _train(config, parts, tmp_path / "broken")
    checkpoint = newest_checkpoint(tmp_path / "broken" / "checkpoint")
    assert checkpoint is not None
    assert checkpoint.step == 5
    monkeypatch.undo()
    resumed = _train(config, parts, tmp_path / "broken", resume=True)

    expected = load_file(whole / "trained.safetensors")
    for name, values in load_file(resumed / "trained.safetensors").items():
        assert torch.equal(values, expected[name]), name
    losses = [
        [row["loss"] for row in _metrics(tmp_path / run) if "loss" in row]
        for run in ("whole", "broken")
    ]
    assert losses[0] == losses[1]


def test_the_trained_file_merges_into_the_model_that_was_trained(
    config: TrainConfig, parts: Parts, tmp_path: Path
) -> None:
    model = _train(config, parts, tmp_path / "run")
    manifest = read_manifest(model / "manifest.json")
    trained = read_trained(model / manifest.trained_file)
    assert trained.rank == 4
    assert len(trained.adapter) == 7 * TINY.num_layers
    merged = merge(tiny_tensors(), trained)
    changed = [n for n, v in merged.items() if not np.array_equal(v, tiny_tensors()[n])]
    assert len(changed) == 7 * TINY.num_layers


def test_a_taken_run_folder_is_not_overwritten(
    config: TrainConfig, parts: Parts, tmp_path: Path
) -> None:
    config = replace(config, epochs=1)
    _train(config, parts, tmp_path / "run")
    with pytest.raises(ConfigError, match=r"holds a run. Add --resume"):
        _train(config, parts, tmp_path / "run")
    with pytest.raises(ConfigError, match=r"begun with another recipe"):
        _train(replace(config, seed=2), parts, tmp_path / "run", resume=True)


def test_validation_images_must_not_be_trained_on(
    config: TrainConfig, parts: Parts, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="12 validation images are also trained on"):
        _train(replace(config, validation=config.samples[0]), parts, tmp_path / "run")


def test_a_damaged_checkpoint_is_named(config: TrainConfig, parts: Parts, tmp_path: Path) -> None:
    _train(replace(config, epochs=1), parts, tmp_path / "run")
    [checkpoint] = (tmp_path / "run" / "checkpoint").iterdir()
    (checkpoint / "optimizer.safetensors").write_bytes(b"torn")
    with pytest.raises(ModelError, match=r"The checkpoint '.*' is damaged"):
        newest_checkpoint(tmp_path / "run" / "checkpoint")


def test_a_sample_without_an_answer_is_left_out_and_counted(
    config: TrainConfig, parts: Parts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = read_samples(config.samples[0])
    write_samples(tmp_path / "gap.jsonl", [replace(samples[0], reference=""), *samples[1:]])
    _train(replace(config, samples=(tmp_path / "gap.jsonl",), epochs=1), parts, tmp_path / "run")
    assert "1 samples without an answer or image are left out" in capsys.readouterr().err
