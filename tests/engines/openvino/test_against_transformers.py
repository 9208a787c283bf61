from __future__ import annotations

from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as opset
from tiny_model import CONFIG, VISION_WIDTH, Load

from tinymed.engines.openvino.connector import fold_patches
from tinymed.engines.openvino.layers import Array
from tinymed.models.prompt import Prompt
from tinymed.models.weights import ModelWeights

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from transformers.models.aya_vision.modeling_aya_vision import (  # noqa: E402
    AyaVisionMultiModalProjector,
)


def test_logits_equal_those_of_transformers(
    load: Load, weights: ModelWeights, prompt: Prompt, pixels: Array
) -> None:
    engine = load("f32")
    answer = engine.answer(
        engine.encode(pixels), "Which organ?", max_new_tokens=1, keep_logits=True
    )
    model = llama(weights)
    table = weights.language["embed_tokens.weight"]
    embeds = torch.from_numpy(
        np.concatenate(
            [
                table[list(prompt.prefix_ids)],
                image_tokens(engine, weights, pixels),
                table[prompt.question_ids("Which organ?")],
            ]
        )
    )
    with torch.no_grad():
        expected = model(inputs_embeds=embeds[None]).logits[0, -1].numpy()
    np.testing.assert_allclose(answer.first_token_logits, expected, atol=1e-4)


@pytest.mark.parametrize("fold", [1, 2, 3])
def test_patches_are_folded_as_transformers_folds_them(fold: int) -> None:
    patches = np.random.default_rng(0).normal(size=(1, 36, 5)).astype(np.float32)
    node = fold_patches(opset.parameter([1, 36, 5], np.float32), fold)
    graph = ov.Core().compile_model(ov.Model([node], node_parameters(node), "fold"), "CPU")
    config = transformers.AyaVisionConfig(
        vision_config=transformers.Dinov2Config(hidden_size=5), downsample_factor=fold
    )
    expected = AyaVisionMultiModalProjector(config).pixel_shuffle(torch.from_numpy(patches))
    np.testing.assert_array_equal(graph(patches)[0], expected.flatten(1, 2).numpy())


def node_parameters(node: Any) -> list[Any]:
    while node.get_type_name() != "Parameter":
        node = node.input_value(0).get_node()
    return [node]


def llama(weights: ModelWeights) -> torch.nn.Module:
    model = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            num_hidden_layers=CONFIG.num_layers,
            hidden_size=CONFIG.hidden_size,
            intermediate_size=CONFIG.intermediate_size,
            num_attention_heads=CONFIG.num_heads,
            num_key_value_heads=CONFIG.num_kv_heads,
            rope_parameters={"rope_type": "default", "rope_theta": CONFIG.rope_theta},
            rms_norm_eps=CONFIG.rms_norm_eps,
            vocab_size=CONFIG.vocab_size,
            tie_word_embeddings=True,
        )
    )
    tensors = {k: torch.from_numpy(v) for k, v in weights.language.items()}
    model.model.load_state_dict(tensors)
    return model.eval()


def image_tokens(engine: object, weights: ModelWeights, pixels: Array) -> Array:
    """The hidden state in plain numpy, from there on transformers' own connector."""
    patch = weights.vision["patch"]
    side, size = pixels.shape[1] // patch.shape[-1], patch.shape[-1]
    blocks = pixels.reshape(3, side, size, side, size).transpose(1, 3, 0, 2, 4)
    tokens = blocks.reshape(side * side, -1) @ patch.reshape(VISION_WIDTH, -1).T
    hidden = tokens + tokens @ weights.vision["mix"]
    config = transformers.AyaVisionConfig(
        vision_config=transformers.Dinov2Config(hidden_size=VISION_WIDTH),
        text_config=transformers.LlamaConfig(hidden_size=CONFIG.hidden_size),
        alignment_intermediate_size=24,
        adapter_layer_norm_eps=1e-6,
        downsample_factor=2,
    )
    connector = AyaVisionMultiModalProjector(config)
    connector.load_state_dict({k: torch.from_numpy(v) for k, v in weights.connector.items()})
    with torch.no_grad():
        folded = connector(torch.from_numpy(hidden)[None])
    return folded.reshape(-1, CONFIG.hidden_size).numpy()
