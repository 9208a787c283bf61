"""Thousands of damaged files: each is refused, or is one that the real library opens."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest
from safetensors.numpy import save_file

ROOT = Path(__file__).parent.parent.parent


def small_safetensors(path: Path) -> Path:
    rng = np.random.default_rng(0)
    tensors = {
        "embed.weight": rng.normal(size=(6, 4)).astype(np.float32),
        "layers.0.weight": rng.normal(size=(4, 4)).astype(np.float16),
        "layers.0.bias": np.arange(4, dtype=np.int64),
        "empty": np.zeros((0, 3), np.float32),
        "scalar": np.array(1, np.uint8),
    }
    save_file(tensors, path, metadata={"format": "pt", "note": "é"})
    return path


def small_gguf(path: Path) -> Path:
    rng = np.random.default_rng(0)
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_block_count(2)
    writer.add_rope_freq_base(10000.0)
    writer.add_token_list(["a", "b", "Ġthe", "é"])
    writer.add_token_types([1, 1, 1, 3])
    writer.add_array("nested", [[1, 2], [3]])
    writer.add_bool("flag", True)
    writer.add_custom_alignment(32)
    writer.add_tensor("token_embd.weight", rng.normal(size=(4, 32)).astype(np.float32))
    writer.add_tensor("blk.0.attn_q.weight", rng.normal(size=(2, 32)).astype(np.float16))
    quantized = gguf.quants.quantize(
        rng.normal(size=(3, 64)).astype(np.float32), gguf.GGMLQuantizationType.Q8_0
    )
    writer.add_tensor("blk.0.ffn.weight", quantized, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


WRITERS = {"safetensors": small_safetensors, "gguf": small_gguf}


@pytest.mark.parametrize("kind", sorted(WRITERS))
@pytest.mark.parametrize("count", [2_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_damaged_file_is_refused_or_opens_in_the_library(
    kind: str, count: int, tmp_path: Path
) -> None:
    source = WRITERS[kind](tmp_path / "source")
    finished = subprocess.run(
        [sys.executable, "-m", "tests.models.fuzz_headers", kind, source, str(count), tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    outcome = json.loads(finished.stdout)
    assert outcome["escaped"] == []
    assert outcome["refused"] + outcome["opened"] == count
    # Neither is idle: damage is found, and what does no harm is let through.
    assert outcome["refused"] > count / 3
    assert outcome["opened"] > count / 100
    assert outcome["slowest_s"] < 1
    assert outcome["grown_mib"] < 200
