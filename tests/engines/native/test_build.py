"""Builds of packed matrices: from whatever model, always the same bytes, one tensor at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import plain_model as plain
import pytest
from rounded_weights import WideOps, rounded
from safetensors import safe_open
from tiny_model import CONFIG

from tinymed.engines import precisions
from tinymed.engines.native import engine as engine_module
from tinymed.engines.native.build import build_native
from tinymed.engines.native.engine import NativeEngine
from tinymed.engines.native.packed import PackedMatrix, unpack
from tinymed.engines.openvino import OpenVinoEngine, build_openvino
from tinymed.engines.rounding import Array
from tinymed.errors import ConfigError, ModelError
from tinymed.models.build import Build, check_build
from tinymed.models.schemes import PARTS, find_scheme
from tinymed.models.vit import VitConfig
from tinymed.models.weights import ModelWeights

INT8, INT4 = find_scheme("native-int8"), find_scheme("native-int4")
OpenNative = Callable[[Path], NativeEngine]
IN_FOUR = dict.fromkeys(PARTS, "int4")
QUESTION = "Is there a fracture?"


def vit(size_px: int, **others: Any) -> VitConfig:
    shape: dict[str, Any] = {
        "kind": "clip",
        "image_size_px": size_px,
        "patch_size_px": 4,
        "hidden_size": 48,
        "intermediate_size": 84,
        "num_heads": 2,
        "num_layers": 2,
        "layer_norm_eps": 1e-5,
        "activation": "quick_gelu",
        "has_class_token": True,
        "has_pre_norm": True,
    }
    return VitConfig(**shape | others)


def seeing(
    weights: ModelWeights, config: VitConfig, *, kind: str = "llava", seed: int = 0
) -> ModelWeights:
    """The tiny model with a vision transformer in front of it."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> Array:
        return rng.normal(0, 0.15, shape).astype(np.float32)

    width, middle, patch = config.hidden_size, config.intermediate_size, config.patch_size_px
    vision = {
        "embeddings.patch_embedding.weight": normal(width, 3, patch, patch),
        "embeddings.position_embedding.weight": normal(
            config.grid**2 + config.has_class_token, width
        ),
    }
    if config.has_class_token:
        vision["embeddings.class_embedding"] = normal(width)
    if config.kind == "siglip":
        vision["embeddings.patch_embedding.bias"] = normal(width)
    norms = ["pre_layrnorm"] if config.has_pre_norm else []
    for layer in range(config.num_layers):
        name = f"encoder.layers.{layer}."
        norms += [name + "layer_norm1", name + "layer_norm2"]
        matrices = {f"self_attn.{part}_proj": (width, width) for part in ("q", "k", "v", "out")}
        matrices |= {"mlp.fc1": (middle, width), "mlp.fc2": (width, middle)}
        for module, shape in matrices.items():
            vision[f"{name}{module}.weight"] = normal(*shape)
            vision[f"{name}{module}.bias"] = normal(shape[0])
    for norm in norms:
        vision |= {f"{norm}.weight": 1 + normal(width), f"{norm}.bias": normal(width)}
    fold = 2 if kind == "aya-vision" else 1
    wide = width * fold**2
    connector = {
        "linear_1.weight": normal(40, wide),
        "linear_1.bias": normal(40),
        "linear_2.weight": normal(CONFIG.hidden_size, 40 // fold),
        "linear_2.bias": normal(CONFIG.hidden_size),
    }
    if kind == "aya-vision":
        connector |= {"layernorm.weight": 1 + normal(wide), "layernorm.bias": normal(wide)}
    return replace(
        weights,
        vision_encoder=config.kind,
        vision_file=None,
        vision=vision,
        vision_config=config,
        connector=connector,
        connector_kind=kind,
        connector_activation="gelu" if kind == "llava" else "",
        fold=fold,
        num_image_tokens=config.grid**2 // fold**2,
    )


def pixels_of(size_px: int) -> Array:
    return np.random.default_rng(1).normal(size=(3, size_px, size_px)).astype(np.float32)


SIGLIP: dict[str, Any] = {
    "kind": "siglip",
    "has_class_token": False,
    "has_pre_norm": False,
    "activation": "gelu_tanh",
}


@pytest.mark.parametrize(
    ("config", "kind", "bits"),
    [
        (vit(16), "llava", 8),
        (vit(18, **SIGLIP), "llava", 4),  # patches do not fill the image
        (vit(16, hidden_size=72, num_heads=1, **SIGLIP), "llava", 8),
        (vit(16, hidden_size=144, num_heads=2, intermediate_size=200, **SIGLIP), "aya-vision", 4),
        (vit(16, activation="gelu", num_layers=1), "aya-vision", 8),
    ],
    ids=lambda value: f"{value.kind}-{value.hidden_size}" if isinstance(value, VitConfig) else None,
)
def test_an_encoder_of_any_shape_gives_the_stages_of_its_rounded_weights(
    weights: ModelWeights,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    config: VitConfig,
    kind: str,
    bits: int,
) -> None:
    monkeypatch.setattr(engine_module, "load_ops", WideOps)
    model = seeing(weights, config, kind=kind)
    precision = dict.fromkeys(PARTS, f"int{bits}")
    build_native(model, tmp_path / "build", scheme=INT8, precisions=precision)
    exact = rounded(model, dict.fromkeys(PARTS, bits))
    build_openvino(exact, tmp_path / "exact", scheme=find_scheme("openvino-f32"))
    pixels = pixels_of(config.image_size_px)
    found, expected = (
        engine.encode(pixels, keep_stages=True).stages
        for engine in (
            NativeEngine(tmp_path / "build", threads=1),
            OpenVinoEngine(tmp_path / "exact", threads=1),
        )
    )
    assert found is not None
    assert expected is not None
    # The cache has 16 bits.
    for name in ("vision_features", "image_tokens"):
        one, other = getattr(found, name), getattr(expected, name)
        np.testing.assert_allclose(one, other, atol=2e-3 * np.abs(other).max())


def language_of(weights: ModelWeights, **others: Any) -> ModelWeights:
    """The tiny model with a language model of another shape."""
    config = replace(CONFIG, **others)
    rng = np.random.default_rng(2)
    language = dict(weights.language)
    if config.attention_bias:
        for layer in range(config.num_layers):
            for part, heads in (("q", config.num_heads), ("k", 2), ("v", 2)):
                bias = rng.normal(0, 0.5, heads * config.head_dim).astype(np.float32)
                language[f"layers.{layer}.self_attn.{part}_proj.bias"] = bias
    if not config.tied:
        shape = (config.vocab_size, config.hidden_size)
        language["lm_head.weight"] = rng.normal(0, 0.15, shape).astype(np.float32)
    return replace(weights, language=language, language_config=config)


@pytest.mark.parametrize("others", [{}, {"attention_bias": True}, {"tied": False}], ids=str)
def test_a_language_model_gives_the_logits_of_its_rounded_weights(
    weights: ModelWeights,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    others: dict[str, Any],
) -> None:
    monkeypatch.setattr(engine_module, "load_ops", WideOps)
    model = seeing(language_of(weights, **others), vit(16))
    build_native(model, tmp_path / "build", scheme=INT4, precisions=IN_FOUR)
    exact = rounded(model, dict.fromkeys(PARTS, 4))
    build_openvino(exact, tmp_path / "exact", scheme=find_scheme("openvino-f32"))
    found, expected = (
        engine.answer(
            engine.encode(pixels_of(16)), QUESTION, max_new_tokens=1, keep_logits=True
        ).first_token_logits
        for engine in (
            NativeEngine(tmp_path / "build", threads=1),
            OpenVinoEngine(tmp_path / "exact", threads=1),
        )
    )
    assert np.abs(found - expected).max() < 2e-3 * np.abs(expected).max()


def test_an_encoder_that_is_no_vision_transformer_runs_as_a_graph(
    weights: ModelWeights, tmp_path: Path, pixels: Array, open_native: OpenNative
) -> None:
    build = build_native(weights, tmp_path / "build", scheme=INT8)
    names = {file.name for file in build.files}
    assert names == {
        "embedding.npy",
        "language.safetensors",
        "tokenizer.json",
        "vision.bin",
        "vision.xml",
    }
    assert "openvino" in build.made_with
    engine = open_native(tmp_path / "build")
    image = engine.encode(pixels, keep_stages=True)
    expected = plain.image_tokens(pixels, weights.vision, weights.connector)
    assert image.stages is not None
    assert image.stages.vision_features is not None
    assert image.stages.vision_features.shape == (16, 8)
    error = np.abs(image.stages.image_tokens - expected).max()
    assert error < 0.03 * np.abs(expected).max()
    assert engine.answer(image, QUESTION, max_new_tokens=3).num_tokens <= 3


def test_each_scheme_makes_the_weights_smaller(weights: ModelWeights, tmp_path: Path) -> None:
    model = seeing(weights, vit(16, hidden_size=64, intermediate_size=128))
    eight = build_native(model, tmp_path / "8", scheme=INT8)
    four = build_native(model, tmp_path / "4", scheme=INT4, precisions=IN_FOUR)
    for large, small in zip(eight.parts, four.parts, strict=True):
        assert large.num_weights == small.num_weights
        assert large.num_bytes > small.num_bytes
    for build in (eight, four):
        assert sum(part.num_bytes for part in build.parts) < build.num_bytes
    assert (eight.parts[2].kept, four.parts[2].kept) == ((), ("lm_head",))
    with safe_open(tmp_path / "4" / "language.safetensors", "numpy") as file:
        head = PackedMatrix(bits=8, rows=259, columns=64, data=file.get_tensor("lm_head.weight"))
    table = model.language["embed_tokens.weight"]
    assert np.linalg.norm(unpack(head) - table) < 0.01 * np.linalg.norm(table)


def test_four_bits_are_for_wide_language_models(
    weights: ModelWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = seeing(weights, vit(16))
    narrow = build_native(model, tmp_path / "narrow", scheme=INT4)
    assert [part.precision for part in narrow.parts] == ["int4", "int4", "int8"]
    monkeypatch.setattr(precisions, "NARROW", 0)
    wide = build_native(model, tmp_path / "wide", scheme=INT4)
    assert [part.precision for part in wide.parts] == ["int4"] * 3


def test_each_part_has_a_dial_of_its_own(weights: ModelWeights, tmp_path: Path) -> None:
    model = seeing(weights, vit(16))
    for part in PARTS:
        build = build_native(model, tmp_path / part, scheme=INT8, precisions={part: "int4"})
        assert [found.precision for found in build.parts] == [
            "int4" if name == part else "int8" for name in PARTS
        ]
        assert NativeEngine(tmp_path / part, threads=1).scheme == "native-int8"
    with pytest.raises(ConfigError, match=r"'f16' for the connector in the native engine\. Known"):
        build_native(model, tmp_path / "new", scheme=INT8, precisions={"connector": "f16"})


def test_a_build_describes_itself_and_its_bytes_are_checked(
    weights: ModelWeights, tmp_path: Path
) -> None:
    model = seeing(weights, vit(16))
    build: Build = build_native(model, tmp_path / "build", scheme=INT8)
    assert check_build(tmp_path / "build") == build
    assert (build.name, build.num_image_tokens) == ("tiny:native-int8", 16)
    assert (build.template, build.preprocessing) == (model.template, model.preprocessing)
    assert "openvino" not in build.made_with
    path = tmp_path / "build" / "vision.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ModelError, match=r"vision\.safetensors"):
        check_build(tmp_path / "build")


class Watched(Mapping[str, Array]):
    """Tensors as if read from a disk, and how many of them anybody holds at once."""

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self.tensors = tensors
        self.given: list[weakref.ref[Array]] = []
        self.most_held = 0

    def __getitem__(self, name: str) -> Array:
        values = self.tensors[name].copy()
        self.given.append(weakref.ref(values))
        self.most_held = max(self.most_held, sum(ref() is not None for ref in self.given))
        return values

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)


def test_no_more_tensors_are_held_than_are_joined(weights: ModelWeights, tmp_path: Path) -> None:
    model = seeing(weights, vit(16))
    language, vision = Watched(model.language), Watched(model.vision)
    build_native(replace(model, language=language, vision=vision), tmp_path / "build", scheme=INT8)
    # Query, key and value, and the one before them.
    assert max(language.most_held, vision.most_held) <= 4
    assert len(language.given) == len(model.language) + 1  # the table is also the output layer
    assert len(vision.given) == len(model.vision)


TWO_BUILDS = """
import sys
from pathlib import Path
from tiny_model import tiny_weights
from test_build import seeing, vit
from tinymed.engines.native.build import build_native
from tinymed.models.schemes import find_scheme
folder = Path(sys.argv[1])
folder.mkdir()
weights = tiny_weights(folder)
for name, model in (("graph", weights), ("vit", seeing(weights, vit(16)))):
    print(build_native(model, folder / name, scheme=find_scheme("native-int4")).digest)
"""


def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    here = Path(__file__).parent
    paths = [str(here), str(here.parent), os.environ.get("PYTHONPATH", "")]
    outputs = [
        subprocess.run(
            [sys.executable, "-c", TWO_BUILDS, str(tmp_path / seed)],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]
    assert len(set(outputs[0].split())) == 2
