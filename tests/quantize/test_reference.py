"""What a build is compared with, and the machine it is compared on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from made_up import BUILD

from tinymed.errors import ConfigError
from tinymed.models.build import Build
from tinymed.quantize import machine, reference
from tinymed.quantize.reference import reference_for


def _with_weights(number: int) -> Build:
    return replace(BUILD, parts=(replace(BUILD.parts[0], num_weights=number),))


@pytest.fixture
def _with_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "is_installed", lambda *_: True)
    monkeypatch.setattr(reference, "memory_bytes", lambda: 10**9)


@pytest.fixture
def _without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "is_installed", lambda *_: False)
    monkeypatch.setattr(reference, "memory_bytes", lambda: 10**9)


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
    monkeypatch.setattr(reference, "memory_bytes", lambda: None)
    assert reference_for(_with_weights(10**12), None).name == "torch-f32"


def test_the_machine_is_named_by_what_answers_depend_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "cpuinfo"
    told.write_text(
        "model name\t: A Processor\nflags\t\t: fpu avx2 avx512_vnni\nmodel name\t: Another\n"
    )
    monkeypatch.setattr(machine, "_PROCESSOR_FILE", told)
    found = machine.machine()
    assert (found["processor"], found["instructions"]) == ("A Processor", "avx2 avx512_vnni")
    monkeypatch.setattr(machine, "_PROCESSOR_FILE", tmp_path / "absent")
    assert machine.machine()["instructions"] == "not told"


@pytest.mark.parametrize(("limit", "expected"), [("1048576\n", 1 << 20), ("max\n", None)])
def test_the_memory_is_what_the_control_group_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, expected: int | None
) -> None:
    monkeypatch.setattr(machine, "_LIMIT_FILE", tmp_path / "absent")
    whole = machine.memory_bytes()
    assert whole is not None
    (tmp_path / "memory.max").write_text(limit)
    monkeypatch.setattr(machine, "_LIMIT_FILE", tmp_path / "memory.max")
    assert machine.memory_bytes() == (expected or whole)
