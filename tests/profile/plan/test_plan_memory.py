"""The most memory a process takes: foreseen, and then measured by `tinymed profile run`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import pydicom.data
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from plan_shapes import HELD_OUT, checkpoint, config

from tinymed.errors import ConfigError
from tinymed.extras import is_installed
from tinymed.hardware.memory import machine_memory
from tinymed.hardware.processor import read_processor
from tinymed.models.cache import part_path
from tinymed.models.catalog import find_model
from tinymed.models.schemes import find_scheme
from tinymed.models.shape.known import find_shape
from tinymed.models.shape.read import read_shape
from tinymed.models.shape.shape import ModelShape
from tinymed.profile.devices import find_device
from tinymed.profile.plan.make import PromptSize, make_plan
from tinymed.profile.plan.plan import MemoryPlan
from tinymed.profile.run.run import ProfileSettings, profile_run

MIB = 2**20
# Constants were measured with AMX; elsewhere engines may lay matrices out otherwise.
ALLOWED = 0.10 if read_processor().instructions.get("amx_int8") else 0.25
"""Of |predicted - measured| / measured."""
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="constants were measured on Linux")


def errors(out: Path, *models: str, runs: int = 3, random_weights: Path | None = None) -> list[str]:
    """Measure and print every point; those whose peak was foreseen wrongly, in words.

    Memory does not mind a busy machine: times do, and are not looked at.
    """
    settings = ProfileSettings(
        models=models,
        out=out,
        image=Path(pydicom.data.get_testdata_file("RG1_UNCR.dcm", download=False)),
        runs=runs,
        threads=2,
        random_weights=random_weights,
        busy=True,
    )
    wrong = []
    for point in profile_run(settings).points:
        assert point.memory.peak is not None
        error = point.predicted["peak_mib"] / point.memory.peak - 1
        told = f"{point.name}: {point.memory.peak:.0f} MiB, {error:+.1%} foreseen"
        sys.stdout.write(told + "\n")  # shown by pytest -s and beside a failure
        if abs(error) > ALLOWED:
            wrong.append(told)
    assert len(list((out / "points").glob("*.json"))) == len(models)
    return wrong


def require_nano() -> None:
    if not all(part_path(part).is_file() for part in find_model("nano").parts):
        pytest.skip("needs nano's parts: tinymed models pull nano")


@on_linux
def test_nanos_default_scheme_takes_what_was_foreseen(tmp_path: Path) -> None:
    require_nano()
    assert errors(tmp_path / "run", "nano:openvino-int8", runs=2) == []


@on_linux
@pytest.mark.slow
def test_nanos_other_schemes_take_what_was_foreseen(tmp_path: Path) -> None:
    require_nano()
    schemes = ["openvino-f32", "native-int8", *with_packages("gguf-q8_0", "gguf-lora", "torch-f32")]
    assert errors(tmp_path / "run", *(f"nano:{scheme}" for scheme in schemes)) == []


@on_linux
@pytest.mark.slow
def test_a_shape_that_gave_no_constant_takes_what_was_foreseen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_room(6)
    monkeypatch.setenv("TINYMED_CACHE", str(tmp_path / "cache"))
    folder, _ = checkpoint(tmp_path / "held-out", HELD_OUT)
    schemes = with_packages("gguf-q8_0", "nf4", "torch-bf16", "torch-f32")
    schemes = ["native-int8", "openvino-int8", *schemes]
    wrong = errors(tmp_path / "run", *(f"{folder}:{scheme}" for scheme in schemes))
    shutil.rmtree(tmp_path)
    assert wrong == []


@on_linux
@pytest.mark.slow
def test_tinyllavas_true_shape_takes_what_was_foreseen(tmp_path: Path) -> None:
    require_room(8)
    model, folder = "tinyllava-1.5b:native-int4", tmp_path / "random"
    wrong = errors(tmp_path / "run", model, random_weights=folder)
    shutil.rmtree(folder)
    assert wrong == []


def require_room(free_gb: int) -> None:
    """Skip where there is too little disk or memory for a shape of true size."""
    if shutil.disk_usage(tempfile.gettempdir()).free < free_gb * 1e9:
        pytest.skip(f"needs {free_gb} GB of free disk in the temporary folder")
    available = machine_memory().available_bytes
    if available is not None and available < 6e9:
        pytest.skip("needs 6 GB of free memory")


def with_packages(*schemes: str) -> list[str]:
    """Those whose packages are installed."""
    wanted = {"gguf-q8_0": "xllamacpp", "gguf-lora": "xllamacpp", "nf4": "bitsandbytes"}
    return [scheme for scheme in schemes if is_installed(wanted.get(scheme, "torch"))]


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
    assert 150 * MIB < usual.peak_bytes - short.peak_bytes < 160 * MIB


def test_what_engines_read_at_once_is_what_is_planned_for() -> None:
    from tinymed.engines.native import language
    from tinymed.engines.openvino import runtime
    from tinymed.profile.plan import memory as planned
    from tinymed.profile.plan import overheads

    assert planned._NATIVE_TOKENS_AT_ONCE == language.TOKENS_AT_ONCE
    assert overheads.PREFIX_TOKENS_AT_ONCE == runtime.PREFIX_TOKENS_AT_ONCE


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
