"""The whole model once more, in plain numpy without a cache: what the graphs must equal."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tinymed.engines.openvino.layers import Array
from tinymed.models.language_gguf import LanguageConfig

Plain = npt.NDArray[np.float64]


def image_tokens(pixels: Array, vision: dict[str, Array], connector: dict[str, Array]) -> Plain:
    """Encoder up to its final norm, class token dropped, folded, connected."""
    width, _, patch, _ = vision["patch"].shape
    side = pixels.shape[1] // patch
    patches = []
    for row in range(side):
        for column in range(side):
            block = pixels[
                :, row * patch : (row + 1) * patch, column * patch : (column + 1) * patch
            ]
            patches.append(
                vision["patch"].reshape(width, -1).astype(np.float64) @ block.reshape(-1)
            )
    tokens = np.stack(patches)
    hidden = (tokens + tokens @ vision["mix"]).reshape(side, side, width)
    folded = np.stack(
        [
            np.concatenate([hidden[r, c], hidden[r, c + 1], hidden[r + 1, c], hidden[r + 1, c + 1]])
            for r in range(0, side, 2)
            for c in range(0, side, 2)
        ]
    )
    centred = folded - folded.mean(-1, keepdims=True)
    normal = centred / np.sqrt(folded.var(-1, keepdims=True) + 1e-6)
    normal = normal * connector["layernorm.weight"] + connector["layernorm.bias"]
    wide = normal @ connector["linear_1.weight"].T + connector["linear_1.bias"]
    value, gate = np.split(wide, 2, axis=-1)
    return silu(gate) * value @ connector["linear_2.weight"].T + connector["linear_2.bias"]


def llama_logits(embeds: Plain, tensors: dict[str, Array], config: LanguageConfig) -> Plain:
    """Logits after the last position; embeds has shape (tokens, hidden)."""
    hidden = embeds.astype(np.float64)
    for layer in range(config.num_layers):
        own = {
            name.removeprefix(f"layers.{layer}."): tensor
            for name, tensor in tensors.items()
            if name.startswith(f"layers.{layer}.")
        }
        normal = rms_norm(hidden, own["input_layernorm.weight"], config)
        hidden = hidden + attention(normal, own, config)
        normal = rms_norm(hidden, own["post_attention_layernorm.weight"], config)
        gate = silu(normal @ own["mlp.gate_proj.weight"].T)
        up = normal @ own["mlp.up_proj.weight"].T
        hidden = hidden + (gate * up) @ own["mlp.down_proj.weight"].T
    return rms_norm(hidden[-1], tensors["norm.weight"], config) @ tensors["embed_tokens.weight"].T


def attention(normal: Plain, own: dict[str, Array], config: LanguageConfig) -> Plain:
    length = len(normal)
    later = np.triu(np.full((length, length), -np.inf), k=1)
    outputs = []
    for head in range(config.num_heads):
        shared = head // (config.num_heads // config.num_kv_heads)
        query = rotate(normal @ rows(own["self_attn.q_proj.weight"], head, config).T, config)
        key = rotate(normal @ rows(own["self_attn.k_proj.weight"], shared, config).T, config)
        value = normal @ rows(own["self_attn.v_proj.weight"], shared, config).T
        scores = query @ key.T / np.sqrt(config.head_dim) + later
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        outputs.append(weights / weights.sum(-1, keepdims=True) @ value)
    return np.concatenate(outputs, axis=-1) @ own["self_attn.o_proj.weight"].T


def rows(weight: Array, head: int, config: LanguageConfig) -> Array:
    return weight[head * config.head_dim : (head + 1) * config.head_dim]


def rotate(values: Plain, config: LanguageConfig) -> Plain:
    half = config.head_dim // 2
    turned = np.empty_like(values)
    for position in range(len(values)):
        for pair in range(half):
            angle = position * config.rope_theta ** (-2 * pair / config.head_dim)
            first, second = values[position, pair], values[position, pair + half]
            turned[position, pair] = first * np.cos(angle) - second * np.sin(angle)
            turned[position, pair + half] = second * np.cos(angle) + first * np.sin(angle)
    return turned


def rms_norm(values: Plain, weight: Array, config: LanguageConfig) -> Plain:
    mean = np.mean(values**2, axis=-1, keepdims=True)
    return values / np.sqrt(mean + config.rms_norm_eps) * weight


def silu(values: Plain) -> Plain:
    return values / (1 + np.exp(-values))


def softmax(logits: Plain) -> Plain:
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()
