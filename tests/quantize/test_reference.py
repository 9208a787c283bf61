"""What a build is compared with, and the machine it is compared on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_up import BUILD

from tinymed.errors import ConfigError
from tinymed.hardware.memory import MachineMemory
from tinymed.models.build import Build
from tinymed.quantize import machine, reference
from tinymed.quantize.reference import reference_for


def _with_weights(number: int) -> Build:
    return replace(BUILD, parts=(replace(BUILD.parts[0], num_weights=number),))


def _memory(total: int | None) -> MachineMemory:
    return MachineMemory(total_bytes=total, available_bytes=None, swap_bytes=None, limit_bytes=None)


@pytest.fixture
def _with_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "is_installed", lambda *_: True)
    monkeypatch.setattr(reference, "machine_memory", lambda: _memory(10**9))


@pytest.fixture
def _without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "is_installed", lambda *_: False)
    monkeypatch.setattr(reference, "machine_memory", lambda: _memory(10**9))


@pytest.mark.usefixtures("_with_torch")
def test_the_reference_is_the_finest_that_fits() -> None:
    assert reference_for(_with_weights(150_000_000), None).name == "torch-f32"
    assert reference_for(_with_weights(151_000_000), None).name == "torch-bf16"
    with pytest.raises(ConfigError, match=r"^'tiny' has 301 million weights, .* name a reference"):
        reference_for(_with_weights(301_000_000), None)
    assert reference_for(_with_weights(301_000_000), "gguf-f16").name == "gguf-f16"


@pytest.mark.usefixtures("_without_torch")
def test_without_torch_openvino_in_full_precision_is_the_reference() -> None:
    assert reference_for(BUILD, None).name == "openvino-f32"
    with pytest.raises(ConfigError, match=r"compared with itself .* pip install 'tinymed\[torch\]"):
        reference_for(replace(BUILD, scheme="openvino-f32"), None)


def test_where_the_system_tells_no_memory_the_model_is_taken_to_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reference, "is_installed", lambda *_: True)
    monkeypatch.setattr(reference, "machine_memory", lambda: _memory(None))
    assert reference_for(_with_weights(10**12), None).name == "torch-f32"


def test_the_machine_is_named_by_what_answers_depend_on(monkeypatch: pytest.MonkeyPatch) -> None:
    here = machine.read_processor()
    monkeypatch.setattr(
        machine,
        "read_processor",
        lambda: replace(here, name="A Processor", instructions={"avx2": True, "amx_int8": False}),
    )
    found = machine.machine()
    assert (found["processor"], found["instructions"]) == ("A Processor", "avx2")
    monkeypatch.setattr(machine, "read_processor", lambda: replace(here, instructions={}))
    assert machine.machine()["instructions"] == "not told"
