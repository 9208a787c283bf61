"""A tiny LLaVA checkpoint as transformers itself saves it, with tokenizer and template."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    Qwen2Config,
    SiglipVisionConfig,
)

SIZE_PX = 28
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'].upper() + ': ' }}"
    "{% for item in message['content'] %}"
    "{% if item['type'] == 'image' %}{{ '<image>\n' }}{% else %}{{ item['text'] }}{% endif %}"
    "{% endfor %} {% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)


def llava_tokenizer() -> Tokenizer:
    """One token a byte; "<image>" is the last of the vocabulary."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True) for t in ("<s>", "</s>", "<image>")])
    return tokenizer


def write_llava(folder: Path, *, vision: str = "clip", language: str = "llama") -> Path:
    """Write a checkpoint with random weights, large enough to tell one answer from another."""
    tokenizer = llava_tokenizer()
    shape: dict[str, Any] = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "image_size": SIZE_PX,
        "patch_size": 7,
    }
    text: dict[str, Any] = {
        "vocab_size": tokenizer.get_vocab_size(),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
    }
    is_clip = vision == "clip"
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**shape) if is_clip else SiglipVisionConfig(**shape),
        text_config=Qwen2Config(**text) if language == "qwen2" else LlamaConfig(**text),
        image_token_index=tokenizer.token_to_id("<image>"),
        vision_feature_layer=-2 if is_clip else -1,
        vision_feature_select_strategy="default" if is_clip else "full",
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlavaForConditionalGeneration(config).eval()
        for parameter in model.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=0.15)
            else:
                parameter.data += 0.1 * torch.randn_like(parameter)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    files = {
        "tokenizer_config.json": {"bos_token": "<s>", "eos_token": "</s>"},
        "preprocessor_config.json": {
            "do_center_crop": is_clip,
            "crop_size": {"height": SIZE_PX, "width": SIZE_PX},
            "image_mean": [0.5, 0.4, 0.3],
            "image_std": [0.25, 0.26, 0.27],
            "resample": 3,
        },
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    return folder
