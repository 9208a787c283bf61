"""The training loop: one for every recipe."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from tinymed.train.checkpoints import Checkpoint, newest_checkpoint, save_checkpoint
from tinymed.train.config import TrainConfig
from tinymed.train.features import FeatureCache
from tinymed.train.model import TrainableModel
from tinymed.train.packing import PackedSequence, batches, collate


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """How often the whole answer is the model's first choice, token for token.

    Equal to exact match under greedy decoding, and much cheaper to compute: one pass.
    """

    exact: float
    exact_open: float
    exact_closed: float
    loss: float


@dataclass(slots=True, kw_only=True)
class Trainer:
    """A model, its data and where the run is kept."""

    config: TrainConfig
    model: TrainableModel
    features: FeatureCache
    train: Sequence[PackedSequence]
    validation: Sequence[PackedSequence]
    validation_open: Sequence[Sequence[bool]]
    """For each validation sequence, for each of its questions: is it an open one."""
    folder: Path
    padding_id: int
    device: str = "cpu"

    def run(self) -> None:
        """Train from the newest checkpoint, or the beginning, to the end."""
        named = self.model.trained_tensors()
        optimizer = self._optimizer()
        plan = [
            (epoch, batch)
            for epoch in range(self.config.epochs)
            for batch in batches(
                self.train, size=self.config.batch_images, seed=self.config.seed, epoch=epoch
            )
        ]
        start = self._restore(named, optimizer)
        _keep_lines_before(self.folder / "metrics.jsonl", start)
        for parameter in named.values():
            parameter.requires_grad = True
        bar = tqdm(
            plan[start:],
            initial=start,
            total=len(plan),
            desc="training",
            unit="step",
            smoothing=0.05,
        )
        began = time.monotonic()
        for step, (epoch, batch) in enumerate(bar, start=start):
            loss, num_tokens = self._step(batch, epoch, step, len(plan), optimizer)
            bar.set_postfix(epoch=epoch + 1, loss=f"{loss:.3f}")
            self._log(
                step=step + 1,
                epoch=epoch,
                loss=loss,
                answer_tokens=num_tokens,
                seconds=round(time.monotonic() - began, 1),
            )
            last_of_epoch = step + 1 == len(plan) or plan[step + 1][0] != epoch
            if last_of_epoch or (step + 1) % self.config.checkpoint_steps == 0:
                self._save(named, optimizer, step + 1)
            if last_of_epoch:
                result = self.validate()
                self._log(
                    step=step + 1,
                    epoch=epoch,
                    validation_exact=result.exact,
                    validation_exact_open=result.exact_open,
                    validation_exact_closed=result.exact_closed,
                    validation_loss=result.loss,
                )
                bar.write(
                    f"epoch {epoch + 1}: validation answers exact {result.exact:.1%} "
                    f"(open {result.exact_open:.1%}, closed {result.exact_closed:.1%}), "
                    f"loss {result.loss:.3f}"
                )

    @torch.no_grad()
    def validate(self) -> Validation:
        """Score the validation questions, all of them, unaugmented."""
        right: list[bool] = []
        is_open: list[bool] = []
        total, count = 0.0, 0
        size = self.config.batch_images
        for first in range(0, len(self.validation), size):
            rows = self.validation[first : first + size]
            batch = collate(rows, padding_id=self.padding_id)
            features = self.features.batch(batch.images, lambda _image: 0).to(self.device)
            losses, hits, in_row = self.model.losses(batch, features)
            total, count = total + float(losses.sum()), count + len(losses)
            for row, sequence in enumerate(rows):
                right += whole_answers(sequence, hits[in_row == row].cpu())
                is_open += self.validation_open[first + row]
        pairs = list(zip(right, is_open, strict=True))
        return Validation(
            exact=_share([hit for hit, _ in pairs]),
            exact_open=_share([hit for hit, is_open_ in pairs if is_open_]),
            exact_closed=_share([hit for hit, is_open_ in pairs if not is_open_]),
            loss=total / max(count, 1),
        )

    def _step(
        self,
        rows: list[PackedSequence],
        epoch: int,
        step: int,
        num_steps: int,
        optimizer: torch.optim.AdamW,
    ) -> tuple[float, int]:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * learning_rate_factor(
                step, num_steps, warmup_fraction=self.config.warmup_fraction
            )
        batch = collate(rows, padding_id=self.padding_id)
        num_views = self.config.augment.num_views
        # A view for each image and epoch: the image itself comes around as one of them.
        features = self.features.batch(
            batch.images, lambda image: (epoch + sum(image.encode())) % num_views
        ).to(self.device)
        losses, _, _ = self.model.losses(batch, features)
        loss = losses.mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, self.config.max_gradient_norm)
        optimizer.step()
        return loss.item(), len(losses)

    def _optimizer(self) -> torch.optim.AdamW:
        config = self.config
        groups = [
            {"params": self.model.adapter_parameters, "peak": config.learning_rate},
            {
                "params": list(self.model.connector.parameters()),
                "peak": config.connector_learning_rate,
            },
        ]
        return torch.optim.AdamW(groups, lr=0.0, weight_decay=config.weight_decay, fused=True)

    def _save(self, named: dict[str, Tensor], optimizer: torch.optim.AdamW, step: int) -> None:
        moments = {
            f"{name}.{kind}": optimizer.state[parameter][kind]
            for name, parameter in named.items()
            for kind in ("exp_avg", "exp_avg_sq")
        }
        checkpoint = Checkpoint(step=step, tensors=named, moments=moments)
        save_checkpoint(self.folder / "checkpoint", checkpoint)

    def _restore(self, named: dict[str, Tensor], optimizer: torch.optim.AdamW) -> int:
        checkpoint = newest_checkpoint(self.folder / "checkpoint")
        if checkpoint is None:
            return 0
        with torch.no_grad():
            for name, parameter in named.items():
                parameter.copy_(checkpoint.tensors[name])
                optimizer.state[parameter] = {
                    "step": torch.tensor(float(checkpoint.step), device=self.device),
                    "exp_avg": checkpoint.moments[f"{name}.exp_avg"].to(self.device),
                    "exp_avg_sq": checkpoint.moments[f"{name}.exp_avg_sq"].to(self.device),
                }
        return checkpoint.step

    def _log(self, **values: float) -> None:
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")


def learning_rate_factor(step: int, num_steps: int, *, warmup_fraction: float) -> float:
    """Linear warm-up to 1, then a cosine to 0.

    >>> [round(learning_rate_factor(s, 10, warmup_fraction=0.2), 2) for s in (0, 1, 2, 9)]
    [0.5, 1.0, 1.0, 0.04]
    """
    warmup = math.ceil(num_steps * warmup_fraction)
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, num_steps - warmup)
    return 0.5 * (1 + math.cos(math.pi * progress))


def whole_answers(sequence: PackedSequence, hits: Tensor) -> list[bool]:
    """For each question of a sequence: are all its answer tokens hit."""
    blocks = torch.from_numpy(sequence.blocks[sequence.labels >= 0])
    return [bool(hits[blocks == block].all()) for block in range(1, int(blocks.max()) + 1)]


def _share(hits: list[bool]) -> float:
    return sum(hits) / len(hits) if hits else 0.0


def _keep_lines_before(path: Path, step: int) -> None:
    """Drop what was logged after the checkpoint that the run goes on from."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:  # torn by a kill
            continue
        if row["step"] <= step:
            kept.append(line + "\n")
    path.write_text("".join(kept), encoding="utf-8")
