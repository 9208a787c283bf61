"""EfficientNet-Lite2: the torch tower and the OpenVINO graph are the same function."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as opset

from tinymed.engines.openvino.efficientnet import efficientnet
from tinymed.engines.openvino.layers import Store
from tinymed.errors import ModelError
from tinymed.models.efficientnet_lite import (
    STAGES,
    Array,
    blocks,
    folded,
    layers,
    read_efficientnet,
)

torch = pytest.importorskip("torch")

from tinymed.models.efficientnet_tower import (  # noqa: E402
    EfficientNetLiteConfig,
    EfficientNetLiteModel,
    tower_state,
)


def _tensors() -> dict[str, Array]:
    """Random weights of the true shapes, sized so that activations stay near 1."""
    rng = np.random.default_rng(0)
    model = EfficientNetLiteModel(EfficientNetLiteConfig())
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    tensors = {}
    for convolution, norm in layers():
        key = f"convolutions.{convolution.replace('.', '_').lstrip('_')}.weight"
        shape = shapes[key]
        fan_in = int(np.prod(shape[1:]))
        tensors[f"{convolution}.weight"] = rng.normal(0, (2 / fan_in) ** 0.5, shape)
        tensors[f"{norm}.weight"] = rng.uniform(0.8, 1.2, shape[0])
        tensors[f"{norm}.bias"] = rng.normal(0, 0.1, shape[0])
        tensors[f"{norm}.running_mean"] = rng.normal(0, 0.1, shape[0])
        tensors[f"{norm}.running_var"] = rng.uniform(0.8, 1.2, shape[0])
    return {name: values.astype(np.float32) for name, values in tensors.items()}


@pytest.fixture(scope="module")
def tensors() -> dict[str, Array]:
    return _tensors()


def test_torch_and_openvino_give_the_same_features(tensors: dict[str, Array]) -> None:
    tower = EfficientNetLiteModel(EfficientNetLiteConfig())
    state = {name: torch.from_numpy(values) for name, values in tower_state(tensors).items()}
    tower.load_state_dict(state, strict=True)
    pixels = np.random.default_rng(1).normal(size=(1, 3, 260, 260)).astype(np.float32)
    with torch.inference_mode():
        expected = tower(torch.from_numpy(pixels)).last_hidden_state.numpy()
    parameter, features = efficientnet(tensors, Store("f32"))
    graph = ov.Model([opset.result(features)], [parameter], "encoder")
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    result = ov.Core().compile_model(graph, "CPU", settings)([pixels])[0]
    assert result.shape == expected.shape == (1, 81, 1280)
    np.testing.assert_allclose(result, expected, atol=1e-3 * np.abs(expected).max())


def test_a_folded_norm_equals_convolution_then_norm() -> None:
    rng = np.random.default_rng(0)
    convolution, norm = torch.nn.Conv2d(3, 5, 3, bias=False), torch.nn.BatchNorm2d(5, eps=1e-3)
    norm.running_mean, norm.running_var = torch.randn(5), torch.rand(5) + 0.5
    norm.eval()
    tensors = {f"n.{k}": v.detach().numpy() for k, v in norm.state_dict().items()}
    tensors["c.weight"] = convolution.weight.detach().numpy()
    weight, bias = folded(tensors, "c", "n")
    x = torch.from_numpy(rng.normal(size=(1, 3, 8, 8)).astype(np.float32))
    got = torch.nn.functional.conv2d(x, torch.from_numpy(weight), torch.from_numpy(bias))
    torch.testing.assert_close(got, norm(convolution(x)), rtol=1e-4, atol=1e-5)


def test_the_table_has_the_published_depth() -> None:
    assert len(blocks()) == sum(stage.repeats for stage in STAGES) == 21


def test_a_checkpoint_that_lacks_a_tensor_is_named(
    tmp_path: Path, tensors: dict[str, Array]
) -> None:
    some = {name: torch.from_numpy(v) for name, v in tensors.items() if name != "_bn1.bias"}
    torch.save(some, tmp_path / "c.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(ModelError, match=r"does not fit EfficientNet-Lite2: \['_bn1.bias'\]"):
        read_efficientnet(tmp_path / "c.pth")


def test_a_checkpoint_with_a_stranger_is_refused(tmp_path: Path, tensors: dict[str, Array]) -> None:
    more = {name: torch.from_numpy(v) for name, v in tensors.items()} | {"x": torch.zeros(1)}
    torch.save(more, tmp_path / "c.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(ModelError, match=r"does not fit EfficientNet-Lite2: \['x'\]"):
        read_efficientnet(tmp_path / "c.pth")
