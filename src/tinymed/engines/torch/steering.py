"""transformers' own generation, told token by token what to take."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)

from tinymed.engines.scoring import log_probability

Floats = npt.NDArray[np.float32]
Choose = Callable[[Floats], tuple[int, bool]]
"""Is given the next token's logits, (vocabulary,): the token to take, and whether one follows."""


def generate_steered(
    model: Any, inputs: Mapping[str, Any], choose: Choose, *, max_new_tokens: int
) -> None:
    """Have a model generate what `choose` names, until it says that nothing follows.

    Args:
        model: Of transformers.
        inputs: What it reads first, one text.
        choose: Names the tokens. It sees logits that no setting of the checkpoint has changed.
        max_new_tokens: After which generation ends anyhow.
    """
    steered = _Steered(choose)
    plain = GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=False,
        pad_token_id=model.generation_config.pad_token_id,
    )
    model.generate(
        **inputs,
        generation_config=plain,
        logits_processor=LogitsProcessorList([steered]),
        stopping_criteria=StoppingCriteriaList([_Ended(steered)]),
    )


@torch.inference_mode()
def score_steered(
    model: Any, inputs: Mapping[str, Any], wanted: Sequence[Collection[int]]
) -> tuple[list[int], list[float]]:
    """The tokens of a text, and the logarithm of each one's probability.

    Args:
        model: Of transformers.
        inputs: What it reads first, one text.
        wanted: The text's tokens; of several in one place, the likeliest counts.
    """
    tokens: list[int] = []
    scores: list[float] = []

    def choose(logits: Floats) -> tuple[int, bool]:
        token = max(sorted(wanted[len(tokens)]), key=lambda one: float(logits[one]))
        tokens.append(token)
        scores.append(log_probability(logits, token))
        return token, len(tokens) < len(wanted)

    generate_steered(model, inputs, choose, max_new_tokens=len(wanted))
    return tokens, scores


class _Steered(LogitsProcessor):
    """Leaves generation no token but the one that is named."""

    def __init__(self, choose: Choose) -> None:
        self._choose = choose
        self.goes_on = True

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:  # noqa: ARG002 (theirs)
        token, self.goes_on = self._choose(scores[0].float().cpu().numpy())
        only = torch.full_like(scores, -torch.inf)
        only[0, token] = 0
        return only


class _Ended(StoppingCriteria):
    def __init__(self, steered: _Steered) -> None:
        self._steered = steered

    def __call__(self, input_ids: Tensor, scores: Tensor, **_: Any) -> Tensor:  # noqa: ARG002
        return torch.full((len(input_ids),), not self._steered.goes_on, device=input_ids.device)
