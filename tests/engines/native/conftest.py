"""Fixtures: every implementation of the operations, tiny checkpoints and their builds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tinymed.engines.native import engine as engine_module
from tinymed.engines.native.engine import NativeEngine
from tinymed.engines.native.kernel import KernelOps, kernel_kinds, kernel_problem
from tinymed.engines.native.ops import Ops
from tinymed.engines.native.plain import PlainOps

sys.path.insert(0, str(Path(__file__).parent))

KINDS = ["plain"] if kernel_problem() else ["plain", *kernel_kinds()]

OpenNative = Callable[[Path], NativeEngine]


def make_ops(kind: str, threads: int = 1) -> Ops:
    return PlainOps(threads) if kind == "plain" else KernelOps(threads, kind=kind)


@pytest.fixture(params=KINDS)
def ops(request: pytest.FixtureRequest) -> Ops:
    """NumPy, and every kind of kernel that this processor can run."""
    return make_ops(request.param)


@pytest.fixture
def with_threads(ops: Ops) -> Callable[[int], Ops]:
    """The same operations with another number of threads."""
    kind = ops.kind if isinstance(ops, KernelOps) else "plain"
    return lambda threads: make_ops(kind, threads)


@pytest.fixture(params=KINDS[:2])
def open_native(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> OpenNative:
    """Opens a build, with NumPy and with the best kernel; `test_ops` compares the others."""
    monkeypatch.setattr(engine_module, "load_ops", lambda _threads: make_ops(request.param))
    return lambda folder: NativeEngine(folder, threads=1)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)
