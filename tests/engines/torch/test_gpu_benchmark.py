"""The GPU's benchmark at a tiny shape, and its refusal where there is no GPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "gpu.py"


def _run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *options], capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_each_scheme_is_measured_and_each_takes_less(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="needs bitsandbytes")
    out = tmp_path / "gpu.json"
    options = ["--device", "cpu", "--shape", "tiny", "--runs", "1", "--decode", "2"]
    finished = _run(*options, "--json", str(out))
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.startswith("| shape | weights | parameters millions | static mib |")
    rows = {row["weights"]: row for row in json.loads(out.read_text())["rows"]}
    sizes = [rows[name]["static_with_scales_mib"] for name in ("bf16", "nf4+16-bit vision", "nf4")]
    assert sizes == sorted(sizes, reverse=True)
    assert rows["nf4"]["static_mib"] < rows["int8"]["static_mib"] < rows["bf16"]["static_mib"]


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_says_so_in_one_sentence() -> None:
    finished = _run("--shape", "tiny")
    assert finished.returncode == 1
    assert finished.stderr.splitlines()[-1].startswith("torch finds no NVIDIA GPU here")
