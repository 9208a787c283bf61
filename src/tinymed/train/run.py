"""From a recipe to a run folder with a trained connector and adapter."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from tinymed.config import resolved
from tinymed.errors import ConfigError, DataError
from tinymed.jsonl import read_samples, samples_digest
from tinymed.models.language_gguf import language_config, language_tensors, open_gguf
from tinymed.models.manifest import Manifest, write_manifest
from tinymed.models.prompt import Prompt, build_prompt
from tinymed.models.tokenizer import tokenizer_from_gguf
from tinymed.records import Sample
from tinymed.runs import environment, sha256_of, write_bytes, write_json
from tinymed.train.config import TrainConfig
from tinymed.train.encoders import FrozenEncoder
from tinymed.train.features import FeatureCache, VisionEncoder
from tinymed.train.loop import Trainer
from tinymed.train.model import TrainableModel, build_trainable, standardize_connector
from tinymed.train.packing import PackedSequence, group_by_image, pack

STANDARDIZED_ON_IMAGES = 256
"""Training images whose features set the connector's first norm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The files that training starts from."""

    manifest: Manifest
    language_gguf: Path
    vision_file: Path


def train(
    config: TrainConfig,
    parts: Parts,
    folder: Path,
    *,
    features_folder: Path,
    resume: bool = False,
    encoder: VisionEncoder | None = None,
) -> Path:
    """Train and leave the model in the run folder's folder `model`; return its path.

    Args:
        config: The recipe.
        parts: The base model.
        folder: The run folder; must be new unless `resume`.
        features_folder: Where the encoder's features are kept between runs.
        resume: Go on from the newest checkpoint of the same recipe.
        encoder: Another frozen encoder than the recipe's, for tests.

    Raises:
        ConfigError: If the folder belongs to another recipe, or the device is absent.
        DataError: If the samples cannot be used.
    """
    device = choose_device(config.device)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    encoder = encoder or FrozenEncoder(config.vision_encoder, parts.vision_file)
    samples = read_training_samples(config)
    validation = [sample for sample in read_samples(config.validation) if sample.reference]
    _refuse_overlap(samples, validation)
    prepare_folder(folder, _facts(config, parts, encoder), resume=resume)

    reader = open_gguf(parts.language_gguf)
    language = language_config(reader)
    prompt = build_prompt(tokenizer_from_gguf(reader))
    # Here, not earlier: where the trained weights begin does not depend on the encoder.
    torch.manual_seed(config.seed)
    model = build_trainable(
        language_tensors(reader, language),
        language,
        encoder,
        fold=parts.manifest.fold,
        lora=config.lora,
        image_id=prompt.image_id,
    )
    _move(model, device, compile_layers=config.compile)
    train_rows = _packed(samples, prompt, parts.manifest.num_image_tokens)
    validation_rows = _packed(validation, prompt, parts.manifest.num_image_tokens)
    cache = FeatureCache(encoder, features_folder, config.augment)
    cache.fill([row.image for row in validation_rows], num_views=1, label="validation images")
    cache.fill(
        [row.image for row in train_rows],
        num_views=config.augment.num_views,
        label="training images",
    )
    some = [row.image for row in train_rows[:STANDARDIZED_ON_IMAGES]]
    standardize_connector(model.connector, cache.batch(some, lambda _image: 0).to(device))
    trainer = Trainer(
        config=config,
        model=model,
        features=cache,
        train=train_rows,
        validation=validation_rows,
        validation_open=[
            [sample.answer_type == "open" for sample in group]
            for group in group_by_image(validation).values()
        ],
        folder=folder,
        padding_id=prompt.end_id,
        device=device,
    )
    trainer.run()
    return _finish(trainer, parts, folder)


def choose_device(name: str) -> str:
    """The device to train on: "auto" takes a GPU where there is one.

    Raises:
        ConfigError: If the name is unknown or the GPU is absent.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"No device '{name}'. Known: auto, cpu, cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("The recipe asks for a GPU and torch sees none. Set train.device=cpu.")
    return "cuda" if name != "cpu" and torch.cuda.is_available() else "cpu"


def read_training_samples(config: TrainConfig) -> list[Sample]:
    """All samples of a recipe with an image and an answer; the others are counted aloud."""
    samples = [sample for path in config.samples for sample in read_samples(path)]
    usable = [sample for sample in samples if sample.reference and sample.image]
    if len(usable) < len(samples):
        left_out = len(samples) - len(usable)
        tqdm.write(f"{left_out} samples without an answer or image are left out", file=sys.stderr)
    if not usable:
        raise DataError("No sample of the recipe has both an image and an answer.")
    return usable


def prepare_folder(folder: Path, facts: dict[str, Any], *, resume: bool) -> None:
    """Begin a run folder, or make sure an old one is of the same recipe.

    Raises:
        ConfigError: If the folder is taken, or of another recipe.
    """
    path = folder / "run.json"
    if path.exists():
        if not resume:
            raise ConfigError(f"'{folder}' holds a run. Add --resume, or choose another --out.")
        before = json.loads(path.read_text(encoding="utf-8"))
        changed = [key for key in facts if key != "environment" and before.get(key) != facts[key]]
        if changed:
            raise ConfigError(
                f"'{folder}' was begun with another {' and '.join(changed)}. "
                "Resume with the same recipe and files, or choose another --out."
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_json(path, facts)


def _facts(config: TrainConfig, parts: Parts, encoder: VisionEncoder) -> dict[str, Any]:
    return {
        # How many threads compute, and on what, is not part of what is computed.
        "recipe": {
            key: value
            for key, value in resolved(config).items()
            if key not in ("threads", "device", "checkpoint_steps")
        },
        "samples": {str(path): samples_digest(read_samples(path)) for path in config.samples},
        "validation": samples_digest(read_samples(config.validation)),
        "language_model": parts.manifest.part("language_model").sha256,
        "vision_encoder": encoder.digest,
        "environment": environment("torch", "transformers"),
    }


def _refuse_overlap(train_samples: Sequence[Sample], validation: Sequence[Sample]) -> None:
    shared = {str(s.image) for s in train_samples} & {str(s.image) for s in validation}
    if shared:
        raise DataError(
            f"{len(shared)} validation images are also trained on (first: {min(shared)}). "
            "Name a validation split of other images."
        )


def _packed(
    samples: Sequence[Sample], prompt: Prompt, num_image_tokens: int
) -> list[PackedSequence]:
    return [
        pack(image, group, prompt, num_image_tokens=num_image_tokens)
        for image, group in group_by_image(samples).items()
    ]


def _move(model: TrainableModel, device: str, *, compile_layers: bool) -> None:
    torch.nn.Module.to(model.language, device)
    model.connector.to(device)
    if not compile_layers:
        return
    if device == "cpu" and shutil.which("g++") is None:
        raise ConfigError("train.compile needs the C++ compiler g++. Set train.compile=false.")
    for layer in model.language.model.layers:
        layer.compile(dynamic=True)


def _finish(trainer: Trainer, parts: Parts, folder: Path) -> Path:
    from safetensors.torch import save

    tensors = {
        # The adapter in float16: half the file, finer than the bfloat16 it was multiplied in.
        name: t.detach().cpu().to(torch.float16 if "lora" in name else torch.float32).contiguous()
        for name, t in trainer.model.trained_tensors().items()
    }
    model = folder / "model"
    model.mkdir(exist_ok=True)
    path = model / parts.manifest.trained_file
    write_bytes(path, save(tensors, metadata=trainer.model.metadata()))
    digest = sha256_of(path)
    write_manifest(replace(parts.manifest, trained_sha256=digest), model)
    write_json(
        folder / "manifest.json",
        {"model": {"file": path.name, "sha256": digest}, "validation": asdict(trainer.validate())},
    )
    return model
