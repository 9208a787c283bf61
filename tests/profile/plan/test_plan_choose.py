"""Which scheme a plan takes on a device, and what instead where nothing fits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tinymed.errors import ConfigError
from tinymed.models.schemes import SCHEMES, find_scheme
from tinymed.models.shape.known import find_shape, known_names
from tinymed.profile.devices import DEVICES, Device, find_device, this_machine
from tinymed.profile.plan.asked import asked_devices, asked_plans
from tinymed.profile.plan.choose import best_plan, plans
from tinymed.profile.plan.make import FITS_SHARE, make_plan

GIB = 2**30


def with_usable(usable_gib: float, name: str = "rtx-3060") -> Device:
    return replace(find_device(name), usable_bytes=int(usable_gib * GIB))


def test_on_a_gpu_the_most_bits_that_fit_are_taken() -> None:
    shape = find_shape("tinyllava-1.5b")
    chosen = [best_plan(shape, with_usable(gib)).scheme for gib in (11.5, 3.5, 2.0)]
    assert chosen == ["torch-bf16", "int8", "nf4"]


def test_on_a_processor_the_default_of_the_width_comes_first() -> None:
    laptop = find_device("laptop-4-core")
    assert best_plan(find_shape("nano"), laptop).scheme == "openvino-int8"
    assert best_plan(find_shape("tinyllava-1.5b"), laptop).scheme == "native-int8"
    small = with_usable(1.5, "laptop-4-core")
    assert best_plan(find_shape("tinyllava-1.5b"), small).scheme == "native-int4"


def test_a_verdict_leaves_a_fifth_free() -> None:
    shape, scheme = find_shape("nano"), find_scheme("native-int8")
    peak = make_plan(shape, scheme, find_device("laptop-4-core")).memory.peak_bytes

    def verdict(usable: float) -> str:
        device = replace(find_device("laptop-4-core"), usable_bytes=int(usable))
        return make_plan(shape, scheme, device).verdict

    assert verdict(peak / FITS_SHARE + 100) == "fits"
    assert verdict(peak / FITS_SHARE - 100) == "tight"
    assert verdict(peak) == "tight"
    assert verdict(peak - 100) == "does not fit"


def test_what_does_not_fit_names_another_scheme_of_the_same_model() -> None:
    found = plans(find_shape("tinyllava-1.5b"), find_device("rtx-3050-4gb"))
    instead = {plan.scheme: plan.instead for plan in found}
    assert instead["torch-f32"] == "tinyllava-1.5b:int8"
    assert instead["nf4"] is None
    (asked,) = asked_plans("tinyllava-1.5b:torch-f32", devices=["rtx-3050-4gb"])
    assert asked.instead == "tinyllava-1.5b:int8"


def test_a_model_too_large_in_every_scheme_names_a_smaller_one() -> None:
    found = plans(find_shape("llava-1.5-13b"), find_device("rtx-3050-4gb"))
    assert {plan.verdict for plan in found} == {"does not fit"}
    assert {plan.instead for plan in found} == {"tinyllava-1.5b:int8"}
    tiny = plans(find_shape("tinyllava-1.5b"), with_usable(0.1, "laptop-4-core"))
    assert {plan.instead for plan in tiny} == {
        "no known model fits: take a device with more memory"
    }


def test_schemes_that_cannot_run_there_are_left_out_and_refused() -> None:
    on_gpu = {plan.engine for plan in plans(find_shape("nano"), find_device("rtx-3060"))}
    assert on_gpu == {"torch", "llamacpp"}
    with pytest.raises(ConfigError, match="native-int8 runs on processors only"):
        asked_plans("nano:native-int8", devices=["rtx-3060"])
    only_transformers = find_shape("smolvlm-256m")
    assert only_transformers.runs_only_in_transformers
    found = plans(only_transformers, find_device("laptop-4-core"))
    assert {plan.engine for plan in found} == {"torch"}
    with pytest.raises(ConfigError, match="runs in transformers only, so not as gguf-q8_0"):
        asked_plans("smolvlm-256m:gguf-q8_0", devices=["laptop-4-core"])
    with pytest.raises(ConfigError, match="gguf-lora is for models of ours only"):
        asked_plans("tinyllava-1.5b:gguf-lora", devices=["laptop-4-core"])


def test_on_a_processor_every_scheme_of_ours_is_planned() -> None:
    found = plans(find_shape("nano"), find_device("laptop-4-core"))
    assert sorted(plan.scheme for plan in found) == sorted(SCHEMES)


@pytest.mark.parametrize("model", known_names())
def test_every_known_model_has_a_plan_on_every_device(model: str) -> None:
    for plan in asked_plans(model, devices=["all"]):
        memory = plan.memory
        assert plan.memory.peak_bytes > memory.static_bytes / 2
        assert min(memory.disk_bytes, memory.download_bytes, memory.static_bytes) > 0
        assert all(part.num_bytes >= part.scale_bytes for part in memory.parts)


def test_devices_are_found_by_name_and_every_one_has_a_source() -> None:
    assert [device.name for device in asked_devices(["all"])][1:] == list(DEVICES)
    assert [device.name for device in asked_devices([])] == ["this-machine"]
    with pytest.raises(ConfigError, match="Did you mean 'orin-nano-8gb'"):
        find_device("orin-nano-8g")
    for device in DEVICES.values():
        assert device.sources
        assert device.usable_bytes < device.memory_bytes


def test_this_machine_has_the_memory_that_a_process_may_hold() -> None:
    device = this_machine(None)
    assert device.kind == "cpu"
    assert 0 < device.usable_bytes <= device.memory_bytes
    assert device.read_gb_per_s is None
