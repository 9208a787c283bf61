"""The kernel in C: the same numbers on every kind of processor, and threads that never err."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tinymed.engines.native import kernel
from tinymed.engines.native.kernel import KernelOps, kernel_kinds, kernel_problem
from tinymed.engines.native.ops import Cache, Floats, Heads
from tinymed.engines.native.packed import PackedMatrix, pack

pytestmark = pytest.mark.skipif(
    kernel_problem() is not None, reason=f"no kernel here: {kernel_problem()}"
)

Numbers = Callable[[KernelOps, np.random.Generator], Floats]


def normal(rng: np.random.Generator, *shape: int) -> Floats:
    return rng.normal(0, 1, shape).astype(np.float32)


def product(bits: int, tokens: int) -> Numbers:
    def compute(ops: KernelOps, rng: np.random.Generator) -> Floats:
        data = pack(normal(rng, 70, 200), bits)
        matrix = PackedMatrix(bits=bits, rows=70, columns=200, data=data, bias=normal(rng, 70))
        out = normal(rng, tokens, 70)
        ops.linear(normal(rng, tokens, 200) * 3, matrix, out, add=True)
        return out

    return compute


def norms(ops: KernelOps, rng: np.random.Generator) -> Floats:
    values, weight, bias = normal(rng, 9, 75) + 1, normal(rng, 75), normal(rng, 75)
    out = np.empty((2, 9, 75), np.float32)
    ops.rms_norm(values, weight, 1e-5, out[0])
    ops.layer_norm(values, weight, bias, 1e-5, out[1])
    return out


def activations(ops: KernelOps, rng: np.random.Generator) -> Floats:
    values = np.concatenate([normal(rng, 9, 150) * 4, np.full((1, 150), -90, np.float32)])
    results = [np.empty((10, 75), np.float32)]
    ops.gate(values, results[0])
    for name in kernel.ACTIVATIONS:
        results.append(values.copy())
        ops.activate(results[-1], name)
    return np.concatenate([result.ravel() for result in results])


def attention(ops: KernelOps, rng: np.random.Generator) -> Floats:
    heads = Heads(num_heads=6, num_kv_heads=2, size=72)
    shared, own = (Cache.empty(heads, rows=rows, tokens=80) for rows in (1, 2))
    joint, angles = normal(rng, 90, 10 * 72), rng.uniform(0, 6, (90, 36))
    turns = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    rows, places = np.repeat(np.int32([0, 1]), [70, 20]), np.int32([*range(70), *range(20)])
    ops.store(joint[:80], heads, shared, rows=rows[:80] * 0, places=np.arange(80, dtype=np.int32),
              turns=(turns[0][:80], turns[1][:80]))  # fmt: skip
    ops.store(joint, heads, own, rows=rows, places=places, turns=turns)
    out = np.empty((90, 6 * 72), np.float32)
    ops.attend(joint, heads, own, out, rows=rows, visible=places + np.int32(1), shared=shared,
               num_shared=77)  # fmt: skip
    return out


OPERATIONS: dict[str, Numbers] = {
    **{f"{bits} bits, {n} tokens": product(bits, n) for bits in (4, 8, 16) for n in (1, 4, 16, 40)},
    "norms": norms,
    "activations": activations,
    "attention": attention,
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_kind_of_processor_gives_the_same_numbers_to_the_last_bit(name: str) -> None:
    results = [
        OPERATIONS[name](KernelOps(2, kind=kind), np.random.default_rng(3))
        for kind in kernel_kinds()
    ]
    assert len(results) > 1, "plain C alone: there is nothing to compare it with"
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_jobs_by_the_thousand_lose_no_chunk(threads: int) -> None:
    """More threads than processors: some come late to every job, some to the next one."""
    ops, rng = KernelOps(threads), np.random.default_rng(1)
    values, weight = normal(rng, 41, 33), normal(rng, 33)
    expected = np.empty_like(values)
    KernelOps(1).rms_norm(values, weight, 1e-5, expected)
    for tokens in np.random.default_rng(2).integers(1, 42, 3000):
        out = np.zeros_like(expected)
        ops.rms_norm(values[:tokens], weight, 1e-5, out[:tokens])
        np.testing.assert_array_equal(out[:tokens], expected[:tokens])
        assert not out[tokens:].any()


def test_a_kernel_that_nobody_holds_stops_its_threads() -> None:
    def count() -> int:
        return len(list(Path("/proc/self/task").iterdir()))

    if not Path("/proc/self/task").is_dir():
        pytest.skip("only Linux tells a process's threads")
    before = count()
    ops = KernelOps(4)
    assert count() == before + 3
    del ops
    assert count() == before


def test_without_the_library_it_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kernel._library.cache_clear()
    monkeypatch.setattr(kernel, "_library_path", lambda: None)
    assert "no C compiler" in str(kernel_problem())
    broken = tmp_path / "_kernel.so"
    broken.write_bytes(b"no library")
    monkeypatch.setattr(kernel, "_library_path", lambda: broken)
    assert "cannot be loaded" in str(kernel_problem())


def test_the_library_knows_nothing_of_python_and_asks_for_no_other_library() -> None:
    """What a machine without Python's headers can compile, any of the same kind can load."""
    path = kernel._library_path()
    assert path is not None
    if sys.platform != "linux":
        pytest.skip("reads a Linux library's list")
    found = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
    names = {line.split()[0].rpartition("/")[2].split(".")[0] for line in found.splitlines()}
    names = {name for name in names if not name.startswith("ld-linux")}
    assert names <= {"linux-vdso", "libc", "libm", "libpthread"}
