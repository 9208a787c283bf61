"""Tiny random checkpoints of other people's models, as transformers itself saves them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

VISION: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
TEXT: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "pad_token_id": 0,
}
MEANS: dict[str, Any] = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.25, 0.26, 0.27]}
TEMPLATE = (
    "{% for message in messages %}{{ '<s>User: ' }}{% for item in message['content'] %}"
    "{% if item['type'] == 'image' %}{{ 'IMAGE' }}{% else %}{{ item['text'] }}{% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}{{ '\nAssistant:' }}{% endif %}"
)

Made = tuple[Any, Any]
"""A model and its processor."""


def _tokenizer(*controls: str, **named: str) -> Any:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = hf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        extra_special_tokens=named,
    )
    fast.add_special_tokens({"additional_special_tokens": [*controls, *named.values()]})
    return fast


def _without_videos(processor: Any) -> Any:
    """The class without its reader of videos, which needs torchvision."""
    readers = [name for name in processor.get_attributes() if name != "video_processor"]
    members = {"get_attributes": classmethod(lambda _: readers)}
    return type(processor.__name__, (processor,), members)


def _smolvlm() -> Made:
    tokenizer = _tokenizer("<image>", "<fake_token_around_image>", "<end_of_utterance>")
    images = hf.Idefics3ImageProcessorPil(
        size={"longest_edge": 56}, max_image_size={"longest_edge": 28}, **MEANS
    )
    processor = hf.Idefics3Processor(
        images, tokenizer, image_seq_len=4, chat_template=TEMPLATE.replace("IMAGE", "<image>")
    )
    config = hf.Idefics3Config(
        vision_config={**VISION, "image_size": 28, "patch_size": 7},
        text_config={**TEXT, "model_type": "llama", "vocab_size": len(tokenizer)},
        image_token_id=processor.image_token_id,
        scale_factor=2,
        pad_token_id=0,
    )
    return hf.Idefics3ForConditionalGeneration(config), processor


def _qwen25_vl() -> Made:
    tokenizer = _tokenizer("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    ids = dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
    images = hf.Qwen2VLImageProcessorPil(
        patch_size=7, merge_size=2, min_pixels=28 * 28, max_pixels=56 * 56, **MEANS
    )
    template = TEMPLATE.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>")
    processor = _without_videos(hf.Qwen2_5_VLProcessor)(images, tokenizer, chat_template=template)
    config = hf.Qwen2_5_VLConfig(
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "depth": 2,
            "num_heads": 2,
            "patch_size": 7,
            "out_hidden_size": 64,
            "window_size": 28,
            "fullatt_block_indexes": [1],
        },
        text_config={
            **TEXT,
            "vocab_size": len(tokenizer),
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [2, 3, 3],
            },
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    return hf.Qwen2_5_VLForConditionalGeneration(config), processor


def _gemma3() -> Made:
    tokenizer = _tokenizer(
        image_token="<image_soft_token>", boi_token="<start_of_image>", eoi_token="<end_of_image>"
    )
    images = hf.Gemma3ImageProcessorPil(size={"height": 28, "width": 28}, **MEANS)
    processor = hf.Gemma3Processor(
        images,
        tokenizer,
        image_seq_length=4,
        chat_template=TEMPLATE.replace("IMAGE", "<start_of_image>"),
    )
    config = hf.Gemma3Config(
        vision_config={**VISION, "image_size": 28, "patch_size": 7, "vision_use_head": False},
        text_config={
            **TEXT,
            "vocab_size": len(tokenizer),
            "head_dim": 16,
            "query_pre_attn_scalar": 16,
            "sliding_window": 64,
        },
        mm_tokens_per_image=4,
        image_token_index=tokenizer.image_token_id,
        boi_token_index=tokenizer.boi_token_id,
        eoi_token_index=tokenizer.eoi_token_id,
    )
    return hf.Gemma3ForConditionalGeneration(config), processor


def _paligemma() -> Made:
    tokenizer = _tokenizer(image_token="<image>")
    images = hf.SiglipImageProcessorPil(size={"height": 28, "width": 28}, **MEANS)
    images.image_seq_length = 16
    processor = hf.PaliGemmaProcessor(images, tokenizer)
    config = hf.PaliGemmaConfig(
        vision_config={
            **VISION,
            "image_size": 28,
            "patch_size": 7,
            "model_type": "siglip_vision_model",
            "vision_use_head": False,
        },
        text_config={
            **TEXT,
            "model_type": "gemma",
            "vocab_size": len(processor.tokenizer),
            "head_dim": 16,
        },
        projection_dim=64,
        image_token_index=tokenizer.image_token_id,
    )
    return hf.PaliGemmaForConditionalGeneration(config), processor


def _internvl() -> Made:
    tokenizer = _tokenizer(
        start_image_token="<img>",
        end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>",
        video_token="<video>",
    )
    images = hf.GotOcr2ImageProcessorPil(
        size={"height": 28, "width": 28}, crop_to_patches=True, max_patches=2, **MEANS
    )
    processor = _without_videos(hf.InternVLProcessor)(
        images,
        tokenizer,
        image_seq_length=4,
        chat_template=TEMPLATE.replace("IMAGE", "<IMG_CONTEXT>"),
    )
    config = hf.InternVLConfig(
        vision_config={**VISION, "image_size": [28, 28], "patch_size": [7, 7]},
        text_config={**TEXT, "model_type": "qwen2", "vocab_size": len(tokenizer)},
        image_token_id=tokenizer.context_image_token_id,
        image_seq_length=4,
    )
    return hf.InternVLForConditionalGeneration(config), processor


def _llava_next() -> Made:
    tokenizer = _tokenizer(image_token="<image>")
    images = hf.LlavaNextImageProcessorPil(
        size={"shortest_edge": 28},
        crop_size={"height": 28, "width": 28},
        image_grid_pinpoints=[[28, 56], [56, 28], [56, 56]],
        **MEANS,
    )
    processor = hf.LlavaNextProcessor(
        images,
        tokenizer,
        patch_size=7,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE.replace("IMAGE", "<image>"),
    )
    config = hf.LlavaNextConfig(
        vision_config={
            **VISION,
            "image_size": 28,
            "patch_size": 7,
            "model_type": "clip_vision_model",
        },
        text_config={**TEXT, "model_type": "llama", "vocab_size": len(tokenizer)},
        image_token_index=tokenizer.image_token_id,
        image_grid_pinpoints=[[28, 56], [56, 28], [56, 56]],
    )
    return hf.LlavaNextForConditionalGeneration(config), processor


MAKERS: dict[str, Callable[[], Made]] = {
    "smolvlm": _smolvlm,
    "qwen2.5-vl": _qwen25_vl,
    "gemma3": _gemma3,
    "paligemma": _paligemma,
    "internvl": _internvl,
    "llava-next": _llava_next,
}


def write_checkpoint(kind: str, folder: Path) -> Path:
    """Write one with random weights, large enough to tell one answer from another."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, processor = MAKERS[kind]()
        for parameter in model.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=0.15)
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
