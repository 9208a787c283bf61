"""Low-rank adapters."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from tinymed.train.lora import LoraLinear, add_lora  # noqa: E402


def _adapted() -> tuple[nn.Linear, LoraLinear]:
    torch.manual_seed(0)
    linear = nn.Linear(12, 7, bias=False)
    linear.requires_grad_(requires_grad=False)
    adapted = LoraLinear(linear, rank=3, alpha=6.0)
    nn.init.normal_(adapted.lora_B)
    return linear, adapted


def test_a_fresh_adapter_changes_nothing() -> None:
    linear = nn.Linear(12, 7, bias=False)
    x = torch.randn(2, 5, 12)
    assert torch.equal(LoraLinear(linear, rank=3, alpha=6.0)(x), linear(x))


def test_an_adapted_layer_equals_its_merged_weight() -> None:
    linear, adapted = _adapted()
    x = torch.randn(2, 5, 12)
    merged = linear.weight + adapted.lora_B @ adapted.lora_A * 2.0
    torch.testing.assert_close(adapted(x), x @ merged.t())


def test_gradients_equal_those_of_the_plain_formula() -> None:
    linear, adapted = _adapted()
    x = torch.randn(2, 5, 12, requires_grad=True)
    adapted(x).square().sum().backward()
    ours = [x.grad.clone(), adapted.lora_A.grad.clone(), adapted.lora_B.grad.clone()]
    x.grad = adapted.lora_A.grad = adapted.lora_B.grad = None
    plain = x @ linear.weight.t() + (x @ adapted.lora_A.t()) @ adapted.lora_B.t() * 2.0
    plain.square().sum().backward()
    for got, expected in zip(ours, [x.grad, adapted.lora_A.grad, adapted.lora_B.grad], strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_only_named_layers_are_adapted_and_only_the_adapter_trains() -> None:
    model = nn.ModuleDict(
        {"block": nn.ModuleDict({"q_proj": nn.Linear(4, 4, bias=False)}), "head": nn.Linear(4, 2)}
    )
    model.requires_grad_(requires_grad=False)
    parameters = add_lora(model, rank=2, alpha=2.0)
    assert isinstance(model["block"]["q_proj"], LoraLinear)
    assert isinstance(model["head"], nn.Linear)
    trains = [name for name, p in model.named_parameters() if p.requires_grad]
    assert trains == ["block.q_proj.lora_A", "block.q_proj.lora_B"]
    assert len(parameters) == 2


def test_a_layer_with_a_bias_is_refused() -> None:
    with pytest.raises(ValueError, match="without bias"):
        LoraLinear(nn.Linear(4, 4), rank=2, alpha=2.0)
