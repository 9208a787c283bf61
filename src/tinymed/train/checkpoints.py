"""Checkpoints that a kill at any moment cannot spoil.

A checkpoint is a folder `step-N`, made under another name, brought to the disk and
renamed: there is never a half one. The newest wins; the one before it is kept until then.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from tinymed.errors import ModelError
from tinymed.runs import sync_folder, write_bytes, write_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The training state after a step."""

    step: int
    """Optimizer steps done."""
    tensors: dict[str, Tensor]
    moments: dict[str, Tensor]
    """AdamW's, as `NAME.exp_avg` and `NAME.exp_avg_sq`."""


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint and drop those before it."""
    final = folder / f"step-{checkpoint.step}"
    partial = folder / f".step-{checkpoint.step}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    write_bytes(partial / "trained.safetensors", save(_plain(checkpoint.tensors)))
    write_bytes(partial / "optimizer.safetensors", save(_plain(checkpoint.moments)))
    write_json(partial / "state.json", {"step": checkpoint.step})
    if final.exists():
        shutil.rmtree(final)
    partial.rename(final)
    sync_folder(folder)
    for other in folder.glob("step-*"):
        if other != final:
            shutil.rmtree(other)


def newest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint of a run, or None where there is none yet.

    Raises:
        ModelError: If it is damaged.
    """
    found = sorted(folder.glob("step-*"), key=lambda path: int(path.name.removeprefix("step-")))
    if not found:
        return None
    path = found[-1]
    try:
        state = json.loads((path / "state.json").read_text(encoding="utf-8"))
        return Checkpoint(
            step=int(state["step"]),
            tensors=load_file(path / "trained.safetensors"),
            moments=load_file(path / "optimizer.safetensors"),
        )
    except Exception as error:  # safetensors' errors and ours alike: one sentence
        raise ModelError(f"The checkpoint '{path}' is damaged ({error}). Remove it.") from error


def _plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: t.detach().to("cpu", torch.float32).contiguous() for name, t in tensors.items()}
