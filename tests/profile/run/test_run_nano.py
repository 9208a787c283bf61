"""One real point: the model that tinymed ships, measured in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinymed.demo import demo_radiograph
from tinymed.engines.building import build_folder
from tinymed.errors import UserError
from tinymed.hardware.speed import MachineSpeed
from tinymed.models.build import is_build
from tinymed.models.catalog import find_source
from tinymed.models.fetch import require_parts
from tinymed.models.manifest import Manifest
from tinymed.models.schemes import DEFAULT_SCHEME, find_scheme
from tinymed.profile.point import FIGURES
from tinymed.profile.run import run
from tinymed.profile.run.run import ProfileSettings, profile_run
from tinymed.profile.run.text import profile_text

SPEED = MachineSpeed(
    read_gb_per_s=10.0,
    float32_gflop_per_s=100.0,
    int8_gop_per_s=200.0,
    threads=2,
    measured_on="2026-01-01",
    is_busy=False,
)


@pytest.fixture
def radiograph() -> Path:
    """The demo's; skips where it or nano's parts or default build are not here."""
    nano = find_source("nano")
    assert isinstance(nano, Manifest)
    try:
        require_parts(nano)
        path = demo_radiograph()
    except UserError as error:
        pytest.skip(str(error))
    if not is_build(build_folder(nano, find_scheme(DEFAULT_SCHEME))):
        pytest.skip("needs nano's default build: tinymed demo")
    return path


def test_a_point_of_nano_has_every_figure_and_its_plan(
    radiograph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "this_machines_speed", lambda: SPEED)
    settings = ProfileSettings(
        models=("nano",), out=tmp_path / "run", image=radiograph, runs=2, busy=True
    )
    profile = profile_run(settings)
    (point,) = profile.points
    assert point.name == f"nano:{DEFAULT_SCHEME}"
    assert (point.engine, point.device, point.is_random) == ("openvino", "cpu", False)
    assert set(point.figures) == set(FIGURES)
    assert (point.image_tokens, point.prompt_tokens) == (81, 96)
    assert point.answer_tokens >= 8
    figures = {name: figure.median for name, figure in point.figures.items()}
    assert figures["second_question_ms"] < figures["first_token_ms"] < figures["answer_ms"]
    phases = ("image_decode_ms", "preprocess_ms", "vision_ms", "image_prefill_ms")
    assert sum(point.figures[name].low for name in phases) < point.figures["first_token_ms"].high
    memory = point.memory
    assert memory.static is not None
    # 170 million weights of 8 bits and more, without scales.
    assert 160 < memory.static < memory.static_with_scales < memory.disk < 300
    if memory.dynamic is not None:  # told by Linux alone
        assert memory.resident is not None
        assert memory.peak is not None
        assert memory.static < memory.resident <= memory.dynamic <= memory.peak
    planned = {"peak_mib", "static_mib", "disk_mib"}
    planned |= set(FIGURES) - {
        "image_decode_ms", "preprocess_ms", "load_s", "first_token_cold_ms",
    }  # fmt: skip
    assert set(point.predicted) == planned
    assert point.predicted["static_mib"] == pytest.approx(memory.static, rel=0.01)
    assert point.predicted["disk_mib"] == pytest.approx(memory.disk, rel=0.02)
    text = profile_text(profile)
    assert "nano:openvino-int8" in text
    assert max(map(len, text.splitlines())) <= 100
