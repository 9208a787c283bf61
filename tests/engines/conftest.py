"""A prompt whose tokenizer has one token a byte."""

from __future__ import annotations

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from tinymed.models.prompt import END, IMAGE, Prompt, build_prompt


@pytest.fixture(scope="session")
def prompt() -> Prompt:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    control = ["<|im_start|>", END, IMAGE]
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in control])
    return build_prompt(tokenizer)
