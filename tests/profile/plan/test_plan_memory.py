"""The most memory a process takes: foreseen, and then measured in one."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from one_answer import ANSWER_TOKENS
from plan_shapes import HELD_OUT, checkpoint, config

from tinymed.engines.building import build_folder, make_build
from tinymed.errors import ConfigError
from tinymed.extras import is_installed
from tinymed.hardware.memory import machine_memory
from tinymed.models.build import is_build
from tinymed.models.catalog import find_source
from tinymed.models.schemes import find_scheme
from tinymed.models.shape.known import find_config, find_shape
from tinymed.models.shape.read import read_shape
from tinymed.models.shape.shape import ModelShape
from tinymed.profile.devices import find_device
from tinymed.profile.plan.make import PromptSize, make_plan
from tinymed.profile.plan.plan import MemoryPlan

MIB = 2**20
ALLOWED = 0.10
HELPER = Path(__file__).parent / "one_answer.py"
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="constants were measured on Linux")


def measured_mib(place: str, scheme: str) -> tuple[float, int]:
    """Peak of a process that answers one question, and how many tokens it answered."""
    with tempfile.TemporaryDirectory() as folder:
        # As large as a radiograph.
        grey = np.random.default_rng(0).integers(0, 255, (1955, 1841), dtype=np.uint8)
        path = Path(folder) / "image.png"
        Image.fromarray(grey).save(path, compress_level=1)
        command = [sys.executable, str(HELPER), place, scheme, str(path)]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(told[0]), int(told[1])


def error(shape: ModelShape, place: str, scheme: str, *, question_tokens: int) -> float:
    """(predicted - measured) / measured, of one process."""
    measured, answered = measured_mib(place, scheme)
    prompt = PromptSize(question_tokens=question_tokens, answer_tokens=answered)
    plan = make_plan(shape, find_scheme(scheme), find_device("laptop-4-core"), prompt=prompt)
    told = f"{shape.name} {scheme} {measured:.0f} {plan.memory.peak_bytes / MIB:.0f} MiB\n"
    sys.stdout.write(told)  # shown by pytest -s and beside a failure
    return plan.memory.peak_bytes / MIB / measured - 1


@on_linux
def test_nanos_default_scheme_takes_what_was_foreseen() -> None:
    nano = find_source("nano")
    folder = build_folder(nano, find_scheme("openvino-int8"))
    if not is_build(folder):
        pytest.skip("needs nano's default build: tinymed demo")
    found = error(find_shape("nano"), str(folder), "openvino-int8", question_tokens=20)
    assert abs(found) <= ALLOWED


@on_linux
@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["openvino-f32", "native-int8", "gguf-q8_0", "gguf-lora"])
def test_nanos_other_builds_take_what_was_foreseen(scheme: str) -> None:
    folder = build_folder(find_source("nano"), find_scheme(scheme))
    if not is_build(folder):
        pytest.skip(f"needs nano's build: tinymed quantize nano --scheme {scheme}")
    found = error(find_shape("nano"), str(folder), scheme, question_tokens=20)
    assert abs(found) <= ALLOWED


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, ModelShape]]:
    require_room(4)
    folder = tmp_path_factory.mktemp("held-out") / "held-out"
    yield checkpoint(folder, HELD_OUT)
    shutil.rmtree(folder)


@on_linux
@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["native-int8", "openvino-int8", "gguf-q8_0", "nf4"])
def test_a_shape_that_gave_no_constant_takes_what_was_foreseen(
    held_out: tuple[Path, ModelShape], scheme: str, tmp_path: Path
) -> None:
    needs_packages(scheme)
    folder, shape = held_out
    build = tmp_path / "build"
    make_build(find_source(str(folder)), find_scheme(scheme), build)
    assert abs(error(shape, str(build), scheme, question_tokens=32)) <= ALLOWED
    shutil.rmtree(build)


@on_linux
@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["torch-bf16", "torch-f32"])
def test_a_checkpoint_that_gave_no_constant_takes_what_was_foreseen(
    held_out: tuple[Path, ModelShape], scheme: str
) -> None:
    needs_packages(scheme)
    folder, shape = held_out
    assert abs(error(shape, str(folder), scheme, question_tokens=32)) <= ALLOWED


@on_linux
@pytest.mark.slow
def test_tinyllavas_true_shape_takes_what_was_foreseen(tmp_path: Path) -> None:
    require_room(8)
    folder, _ = checkpoint(tmp_path / "tinyllava-1.5b", find_config("tinyllava-1.5b"))
    source, scheme = find_source(str(folder)), find_scheme("native-int4")
    build = tmp_path / "build"
    make_build(source, scheme, build)
    shutil.rmtree(folder)
    found = error(find_shape("tinyllava-1.5b"), str(build), scheme.name, question_tokens=32)
    shutil.rmtree(build)
    assert abs(found) <= ALLOWED


def require_room(free_gb: int) -> None:
    """Skip where there is too little disk or memory for a shape of true size."""
    if shutil.disk_usage(tempfile.gettempdir()).free < free_gb * 1e9:
        pytest.skip(f"needs {free_gb} GB of free disk in the temporary folder")
    available = machine_memory().available_bytes
    if available is not None and available < 6e9:
        pytest.skip("needs 6 GB of free memory")


def needs_packages(scheme: str) -> None:
    wanted = {"gguf-q8_0": "xllamacpp", "nf4": "bitsandbytes"}
    package = wanted.get(scheme, "torch" if scheme.startswith("torch") else None)
    if package and not is_installed(package):
        pytest.skip(f"needs the package {package}")


def memory(scheme: str, shape: ModelShape | None = None, **prompt: int) -> MemoryPlan:
    shape = shape or read_shape(config(width=1024), name="small")
    size = PromptSize(**prompt)
    return make_plan(shape, find_scheme(scheme), find_device("laptop-4-core"), prompt=size).memory


def test_a_longer_answer_takes_more_cache_and_a_longer_question_more_work() -> None:
    short, long = memory("native-int8"), memory("native-int8", answer_tokens=1000)
    assert long.key_value_bytes > short.key_value_bytes
    asked = memory("native-int8", question_tokens=200)
    assert asked.activation_bytes > short.activation_bytes


def test_a_longer_context_takes_more_only_where_the_cache_is_made_for_all_of_it() -> None:
    for scheme, grows in (("gguf-q8_0", True), ("native-int8", False), ("openvino-int8", False)):
        usual, twice = memory(scheme), memory(scheme, context_tokens=4096)
        assert (twice.peak_bytes > usual.peak_bytes) is grows


def test_openvino_keeps_small_matrices_twice_for_questions_of_usual_length() -> None:
    shape = find_shape("nano")
    usual, short = (memory("openvino-int8", shape, question_tokens=n) for n in (20, 12))
    # 155 MiB of matrices, and as much of their file.
    assert 300 * MIB < usual.peak_bytes - short.peak_bytes < 320 * MIB


def test_the_parts_of_the_peak_add_up() -> None:
    plan = memory("torch-bf16")
    working = plan.key_value_bytes + plan.activation_bytes
    held = plan.runtime_bytes + plan.weight_bytes + max(working, plan.loading_bytes)
    assert plan.peak_bytes == pytest.approx(held, abs=4)


def test_a_gpu_that_shares_the_systems_memory_holds_the_program_too() -> None:
    shape, scheme = find_shape("tinyllava-1.5b"), find_scheme("nf4")
    own, shared = (
        make_plan(shape, scheme, find_device(name)).memory for name in ("rtx-3060", "orin-nano-8gb")
    )
    assert shared.runtime_bytes > own.runtime_bytes
    assert shared.weight_bytes == own.weight_bytes


def test_a_prompt_that_does_not_fit_its_context_is_refused() -> None:
    with pytest.raises(ConfigError, match="do not fit into a context of 2048: ask for less"):
        memory("native-int8", question_tokens=2040)


def test_the_helper_answers_as_long_as_is_planned_for() -> None:
    assert PromptSize().answer_tokens == ANSWER_TOKENS
