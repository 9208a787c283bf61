"""How fast a plan says that an answer comes, beside what was measured."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from plan_shapes import config

from tinymed.hardware.speed import MachineSpeed
from tinymed.models.schemes import SCHEMES, find_scheme
from tinymed.models.shape.known import find_shape
from tinymed.models.shape.read import read_shape
from tinymed.profile.devices import Device, find_device, this_machine
from tinymed.profile.plan.make import PromptSize, make_plan
from tinymed.profile.plan.plan import SpeedPlan
from tinymed.profile.plan.shares import ON_GPU, ON_PROCESSOR

SPEED = MachineSpeed(
    read_gb_per_s=32.5,
    float32_gflop_per_s=325.0,
    int8_gop_per_s=1063.0,
    threads=2,
    measured_on="2026-11-22",
    is_busy=False,
)
"""Of the machine of docs/profiles/two-cores.md."""


@pytest.fixture
def machine() -> Device:
    # That machine has AMX: bfloat16 at four times float32's rate.
    return replace(this_machine(SPEED), float16_gop_per_s=1300.0)


def planned(device: Device, scheme: str, model: str = "tinyllava-1.5b") -> SpeedPlan:
    speed = make_plan(find_shape(model), find_scheme(scheme), device).speed
    assert speed is not None
    return speed


@pytest.mark.parametrize(
    ("scheme", "vision_s", "first_s", "decode"),
    [
        ("native-int4", 1.02, 2.89, 36.9),
        ("native-int8", 1.04, 2.90, 22.6),
        ("openvino-int4", 1.20, 4.78, 23.8),
        ("openvino-int8", 1.25, 7.68, 13.4),
        ("gguf-q4_k_m", 1.17, 12.5, 20.9),
        ("torch-bf16", 0.67, 2.23, 7.9),
    ],
)
def test_what_was_measured_of_tinyllava_comes_out(
    machine: Device, scheme: str, vision_s: float, first_s: float, decode: float
) -> None:
    speed = planned(machine, scheme)
    assert speed.vision_s == pytest.approx(vision_s, rel=0.15)
    assert speed.first_token_s == pytest.approx(first_s, rel=0.15)
    assert speed.decode_tokens_per_s == pytest.approx(decode, rel=0.1)


@pytest.mark.parametrize(
    ("scheme", "vision_s", "first_s", "decode"),
    [
        ("openvino-int8", 0.0105, 0.198, 59.7),
        ("openvino-f32", 0.0108, 0.198, 39.9),
        ("gguf-q8_0", 0.0104, 0.347, 59.2),
        ("gguf-q4_k_m", 0.0100, 0.334, 63.6),
        ("gguf-lora", 0.0104, 0.504, 66.2),
        ("torch-f32", 0.0328, 0.254, 27.7),
    ],
)
def test_what_was_measured_of_nano_comes_out(
    machine: Device, scheme: str, vision_s: float, first_s: float, decode: float
) -> None:
    # Smaller matrices reach a smaller share: read times are told a fifth to a half too low.
    speed = planned(machine, scheme, "nano")
    assert speed.vision_s == pytest.approx(vision_s, rel=0.2)
    assert 0.5 * first_s < speed.first_token_s < 1.2 * first_s
    assert speed.decode_tokens_per_s == pytest.approx(decode, rel=0.25)


def test_a_model_that_gave_no_share_is_within_a_third(machine: Device) -> None:
    # CLIP-L/14-112 and TinyLlama: first token after 0.30 s, 40.7 tokens a second.
    row = config(width=2048, layers=22)
    row["vision_config"] |= {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "image_size": 112,
        "patch_size": 14,
    }
    row["text_config"] |= {
        "vocab_size": 32064,
        "intermediate_size": 5632,
        "num_attention_heads": 32,
        "num_key_value_heads": 4,
    }
    shape = read_shape(row, name="clip-64")
    speed = make_plan(shape, find_scheme("native-int4"), machine).speed
    assert speed is not None
    assert speed.first_token_s == pytest.approx(0.30, rel=0.33)
    assert speed.decode_tokens_per_s == pytest.approx(40.7, rel=0.33)


def test_the_second_question_spares_the_image(machine: Device) -> None:
    speed = planned(machine, "native-int8")
    assert speed.second_question_s == speed.question_prefill_s
    assert speed.second_question_s < speed.first_token_s / 10
    steps = speed.image_s + speed.vision_s + speed.image_prefill_s + speed.question_prefill_s
    assert speed.first_token_s == pytest.approx(steps)


def test_twice_the_bandwidth_decodes_twice_as_fast_and_sees_no_faster(machine: Device) -> None:
    usual = planned(machine, "native-int4")
    assert machine.read_gb_per_s is not None
    twice = planned(replace(machine, read_gb_per_s=2 * machine.read_gb_per_s), "native-int4")
    assert twice.decode_tokens_per_s == pytest.approx(2 * usual.decode_tokens_per_s)
    assert twice.vision_s == usual.vision_s


def test_a_machine_that_was_never_measured_has_no_speed_and_says_how_to_get_one() -> None:
    plan = make_plan(find_shape("nano"), find_scheme("openvino-int8"), this_machine(None))
    assert plan.speed is None
    assert plan.remarks[-1].endswith("run `tinymed doctor` once.")


def test_what_nobody_published_is_not_planned() -> None:
    plan = make_plan(find_shape("nano"), find_scheme("int8"), find_device("rtx-3060"))
    assert plan.speed is None
    assert "share of this device's speed" in plan.remarks[-1]
    native = make_plan(
        find_shape("nano"), find_scheme("native-int8"), find_device("raspberry-pi-5")
    )
    assert native.speed is None


def test_a_basis_says_whose_figures_they_are(machine: Device) -> None:
    assert planned(machine, "native-int4").basis.startswith("Measured on 2026-11-22, 2 threads.")
    on_gpu = planned(find_device("rtx-3060"), "nf4").basis
    assert "GeForce RTX 3060" in on_gpu
    assert "not measured by us" in on_gpu


def test_of_several_experts_a_token_reads_only_its_own() -> None:
    shape = find_shape("med-moe-phi2")
    fewer = replace(shape, text=replace(shape.text, experts_per_token=1))
    all_of_them = replace(shape, text=replace(shape.text, experts_per_token=4))
    device = find_device("rtx-3060")
    some, every = (make_plan(one, find_scheme("nf4"), device).speed for one in (fewer, all_of_them))
    assert some is not None
    assert every is not None
    assert some.decode_tokens_per_s > 1.3 * every.decode_tokens_per_s
    assert every.image_prefill_s > 1.3 * some.image_prefill_s


def test_every_scheme_has_a_share_on_a_processor() -> None:
    assert set(ON_PROCESSOR) == set(SCHEMES)
    assert set(ON_GPU) < set(SCHEMES)


def test_a_longer_question_takes_longer(machine: Device) -> None:
    shape, scheme = find_shape("tinyllava-1.5b"), find_scheme("native-int8")
    long = make_plan(shape, scheme, machine, prompt=PromptSize(question_tokens=200)).speed
    assert long is not None
    assert long.second_question_s > 3 * planned(machine, "native-int8").second_question_s


def test_a_build_that_keeps_8_bits_is_as_fast_as_one_of_8_bits(machine: Device) -> None:
    assert planned(machine, "openvino-int4", "nano") == planned(machine, "openvino-int8", "nano")
    assert planned(machine, "openvino-int4") != planned(machine, "openvino-int8")
