"""What an address means: models that are here, shapes of random weights, and builds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from slow_points import grey_image
from tiny_shape import write_known

from tinymed.errors import ConfigError, ModelError
from tinymed.hardware.speed import MachineSpeed
from tinymed.models.build import read_build
from tinymed.models.parity_mark import write_parity
from tinymed.models.shape import known
from tinymed.profile.run import run
from tinymed.profile.run.run import ProfileSettings, profile_json, profile_run
from tinymed.profile.run.target import look_up, make_ready

SPEED = MachineSpeed(
    read_gb_per_s=10.0,
    float32_gflop_per_s=100.0,
    int8_gop_per_s=None,
    threads=2,
    measured_on="2026-01-01",
    is_busy=False,
)


@pytest.fixture
def settings(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> ProfileSettings:
    """Measures "dwarf", a shape that is known here alone."""
    write_known(tmp_path / "known", "dwarf")
    monkeypatch.setattr(known, "_KNOWN", tmp_path / "known")
    monkeypatch.setattr(run, "this_machines_speed", lambda: SPEED)
    return ProfileSettings(
        models=("dwarf:openvino-int8",),
        out=tmp_path / "run",
        image=grey_image(tmp_path),
        runs=2,
        threads=1,
        device="auto",
        random_weights=tmp_path / "shapes",
        busy=True,
    )


def test_random_weights_of_a_known_shape_are_made_once_and_measured(
    settings: ProfileSettings,
) -> None:
    assert settings.random_weights is not None
    profile = profile_run(settings)
    (point,) = profile.points
    assert (point.name, point.engine, point.parity) == (
        "dwarf:openvino-int8", "openvino", "unseen",
    )  # fmt: skip
    assert point.is_random
    assert (point.image_tokens, point.threads, point.device) == (16, 1, "cpu")
    # A token a byte: the beginning, "USER: ", a line break, the question and " ASSISTANT:".
    assert point.prompt_tokens == 16 + 1 + len("USER: \nIs there an abnormality? ASSISTANT:")
    assert point.memory.static is not None
    assert point.memory.static < point.memory.static_with_scales
    folder = settings.random_weights
    assert sorted(path.name for path in folder.iterdir()) == ["dwarf", "dwarf-openvino-int8"]
    file = json.loads((settings.out / "profile.json").read_text())
    assert file == json.loads(json.dumps(profile_json(profile)))
    assert file["image"] == "grey.png (png, 64 x 64 px, 0.0 MB)"
    made = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert profile_run(settings) == profile
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == made


@pytest.mark.slow
def test_torch_counts_its_parameters_where_they_lie(settings: ProfileSettings) -> None:
    schemes = ("native-int8", "nf4", "torch-bf16", "torch-f32")
    models = tuple(f"dwarf:{scheme}" for scheme in schemes)
    profile = profile_run(replace(settings, models=models, device="cpu"))
    points = {point.scheme: point for point in profile.points}
    half, whole, packed = (points[name].memory for name in ("torch-bf16", "torch-f32", "nf4"))
    assert half.static == half.static_with_scales
    assert whole.static is not None
    assert whole.static == whole.static_with_scales == pytest.approx(2 * half.static, rel=0.01)
    assert packed.static is not None
    assert packed.static < packed.static_with_scales < half.static
    assert [points[name].parity for name in schemes] == ["unseen", "unseen", "none", "none"]
    for point in points.values():
        assert point.prompt_tokens == points["nf4"].prompt_tokens
        assert {"vision_ms", "image_prefill_ms", "question_prefill_ms"} <= set(point.figures)


@pytest.mark.slow
def test_a_checkpoint_that_transformers_alone_reads_is_measured_there(
    settings: ProfileSettings, tmp_path: Path
) -> None:
    from tests.engines.torch.tiny_checkpoints import write_checkpoint

    folder = write_checkpoint("smolvlm", tmp_path / "small")
    with pytest.raises(ModelError, match=r"runs in transformers only: name it .*:torch-bf16"):
        look_up(f"{folder}:openvino-int8", device="auto", random=False)
    asked = replace(settings, models=(f"{folder}",), random_weights=None)
    (point,) = profile_run(asked).points
    assert (point.name, point.engine, point.parity) == ("small:torch-bf16", "torch", "none")
    assert "image_prefill_ms" not in point.figures
    assert point.prompt_tokens > point.image_tokens > 0
    assert point.memory.disk > 0


def test_a_known_shape_that_is_not_here_says_both_ways_to_measure_it(
    settings: ProfileSettings,
) -> None:
    with pytest.raises(ModelError, match=r"'dwarf' is not on .*models pull.*--random-weights") as e:
        look_up("dwarf:native-int8", device="auto", random=False)
    assert "writes 0.0 GB" in str(e.value)
    with pytest.raises(ModelError, match=r"No model 'dwarg'"):
        look_up("dwarg", device="auto", random=False)


def test_random_weights_need_a_known_shape(settings: ProfileSettings) -> None:
    with pytest.raises(ModelError, match=r"No shape 'giant' is known .*Known: dwarf, nano"):
        look_up("giant", device="auto", random=True)


@pytest.mark.parametrize("random", [True, False])
def test_a_gpu_is_for_torch_alone(settings: ProfileSettings, *, random: bool) -> None:
    with pytest.raises(ConfigError, match="The openvino engine computes on the processor only"):
        look_up("dwarf:openvino-int8", device="cuda", random=random)
    assert look_up("dwarf:nf4", device="cuda", random=True).scheme is not None


def test_every_name_is_looked_up_before_anything_is_made(
    settings: ProfileSettings, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="giant"):
        profile_run(replace(settings, models=("dwarf:openvino-int8", "giant")))
    assert not (tmp_path / "shapes").exists()
    assert not (tmp_path / "run").exists()


def test_a_build_is_measured_whatever_the_gate_says_and_marked(settings: ProfileSettings) -> None:
    random = settings.random_weights
    assert random is not None
    wanted = look_up("dwarf:openvino-int8", device="auto", random=True)
    make_ready(wanted, device="auto", random_weights=random)
    build = read_build(random / "dwarf-openvino-int8")
    for passed, parity in ((False, "failed"), (True, "passed")):
        write_parity(build, {"passed": passed, "reasons": []})
        address = f"{build.folder}"
        found = look_up(address, device="auto", random=False)
        target = make_ready(found, device="auto", random_weights=None)
        assert (target.name, target.parity) == ("dwarf:openvino-int8", parity)
        assert target.weights_sha256 == build.digest
        assert not target.is_random
    with pytest.raises(ModelError, match=r"is 'openvino-int8', not 'native-int8'"):
        look_up(f"{build.folder}:native-int8", device="auto", random=False)


def test_a_model_without_a_scheme_is_measured_in_its_default(settings: ProfileSettings) -> None:
    wanted = look_up("dwarf", device="auto", random=True)
    target = make_ready(wanted, device="auto", random_weights=settings.random_weights)
    assert target.name == "dwarf:openvino-int8"
