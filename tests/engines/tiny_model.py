"""A tiny real model: two layers, 64 wide, random weights, a small encoder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import openvino as ov
from openvino import opset13 as opset
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from tinymed.engines.openvino import OpenVinoEngine
from tinymed.engines.openvino.layers import Array
from tinymed.engines.protocol import Engine
from tinymed.engines.token_texts import TokenTexts
from tinymed.images.prepare import Preprocessing
from tinymed.models.language_gguf import LanguageConfig
from tinymed.models.prompt import CHATML, Prompt
from tinymed.models.weights import ModelWeights

SIZE_PX = 16
PATCH_PX = 4
VISION_WIDTH = 8
CONFIG = LanguageConfig(
    num_layers=2,
    hidden_size=64,
    intermediate_size=96,
    num_heads=4,
    num_kv_heads=2,
    head_dim=16,
    rope_theta=10000.0,
    rms_norm_eps=1e-5,
    vocab_size=259,
)


Load = Callable[..., OpenVinoEngine]
Open = Callable[..., Engine]


def tiny_tokenizer() -> Tokenizer:
    """One token a byte, and the template's control tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    control = ["<|im_start|>", CHATML.end, CHATML.image]
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in control])
    return tokenizer


def tiny_weights(folder: Path) -> ModelWeights:
    """Make the weights and write the encoder into a folder; `vision` is what it is made of."""
    rng = np.random.default_rng(7)

    def normal(*shape: int, scale: float = 0.15) -> Array:
        return rng.normal(0, scale, shape).astype(np.float32)

    hidden, heads, keys = CONFIG.hidden_size, 64, CONFIG.num_kv_heads * CONFIG.head_dim
    language = {
        "embed_tokens.weight": normal(CONFIG.vocab_size, hidden),
        "norm.weight": 1 + normal(hidden),
    }
    for layer in range(CONFIG.num_layers):
        name = f"layers.{layer}."
        language |= {
            name + "input_layernorm.weight": 1 + normal(hidden),
            name + "post_attention_layernorm.weight": 1 + normal(hidden),
            name + "self_attn.q_proj.weight": normal(heads, hidden),
            name + "self_attn.k_proj.weight": normal(keys, hidden),
            name + "self_attn.v_proj.weight": normal(keys, hidden),
            name + "self_attn.o_proj.weight": normal(hidden, heads),
            name + "mlp.gate_proj.weight": normal(CONFIG.intermediate_size, hidden),
            name + "mlp.up_proj.weight": normal(CONFIG.intermediate_size, hidden),
            name + "mlp.down_proj.weight": normal(hidden, CONFIG.intermediate_size),
        }
    folded = 4 * VISION_WIDTH
    connector = {
        "layernorm.weight": 1 + normal(folded),
        "layernorm.bias": normal(folded),
        "linear_1.weight": normal(24, folded),
        "linear_1.bias": normal(24),
        "linear_2.weight": normal(hidden, 12),
        "linear_2.bias": normal(hidden),
    }
    vision = {
        "patch": normal(VISION_WIDTH, 3, PATCH_PX, PATCH_PX),
        "class": normal(1, 1, VISION_WIDTH),
        "mix": normal(VISION_WIDTH, VISION_WIDTH),
        "norm": 1 + normal(VISION_WIDTH),
    }
    path = folder / "encoder.xml"
    ov.save_model(vision_encoder(vision), path, compress_to_fp16=False)
    return ModelWeights(
        name="tiny",
        description="random",
        language=language,
        language_config=CONFIG,
        connector=connector,
        connector_kind="aya-vision",
        connector_activation="",
        fold=2,
        vision_encoder="dinov2-small",
        vision_file=path,
        vision=vision,
        vision_config=None,
        tokenizer=tiny_tokenizer(),
        template=CHATML,
        preprocessing=Preprocessing(size_px=SIZE_PX),
        num_image_tokens=4,
        digest="tiny",
    )


def vision_encoder(
    tensors: dict[str, Array], norm_name: str = "backbone.layernorm.weight"
) -> ov.Model:
    """Patches, one matrix, and a final norm spelt out as an ONNX export does."""
    pixels = opset.parameter([1, 3, SIZE_PX, SIZE_PX], np.float32)
    grid = opset.convolution(
        pixels, opset.constant(tensors["patch"]), [PATCH_PX] * 2, [0, 0], [0, 0], [1, 1]
    )
    columns = opset.reshape(grid, opset.constant([1, VISION_WIDTH, -1]), special_zero=False)
    patches = opset.transpose(columns, opset.constant([0, 2, 1]))
    tokens = opset.concat([opset.constant(tensors["class"]), patches], 1)
    hidden = opset.add(tokens, opset.matmul(tokens, opset.constant(tensors["mix"]), False, False))
    axis = opset.constant(np.array([-1]))
    centred = opset.subtract(hidden, opset.reduce_mean(hidden, axis, keep_dims=True))
    square = opset.power(centred, opset.constant(np.float32(2)))
    variance = opset.reduce_mean(square, axis, keep_dims=True)
    deviation = opset.sqrt(opset.add(variance, opset.constant(np.float32(1e-6))))
    weight = opset.constant(tensors["norm"])
    weight.set_friendly_name(norm_name)
    normal = opset.multiply(opset.divide(centred, deviation), weight)
    return ov.Model([opset.result(opset.relu(normal))], [pixels], "encoder")


def speaking(engine: Any, prompt: Prompt) -> Any:
    """An engine of ours with another prompt than its build's."""
    engine._prompt = prompt
    engine._texts = TokenTexts(prompt.tokenizer)
    return engine


def tiny_torch_engine(weights: ModelWeights, prompt: Prompt) -> Engine:
    """The torch engine on the same language model, behind a small encoder of its own."""
    import torch
    from transformers import AyaVisionForConditionalGeneration, Dinov2Config

    from tinymed.engines.torch import TorchEngine
    from tinymed.models.checkpoint import checkpoint_config, llama_config

    encoder = Dinov2Config(
        hidden_size=VISION_WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=SIZE_PX,
        patch_size=PATCH_PX,
    )
    config = checkpoint_config(encoder, llama_config(CONFIG), fold=2, image_id=prompt.image_id)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AyaVisionForConditionalGeneration(config).eval()
    language = {name: torch.from_numpy(values) for name, values in weights.language.items()}
    model.model.language_model.load_state_dict(language)
    model.tie_weights()
    # `assemble` knows whole encoders only.
    with mock.patch("tinymed.engines.torch.engine.assemble", return_value=model):
        engine: Engine = speaking(TorchEngine(weights, threads=1), prompt)
    return engine
