"""Forward passes written out from the tensors' original names, with plain torch functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

Activation = Callable[[Tensor], Tensor]
gelu_tanh: Activation = partial(functional.gelu, approximate="tanh")


def quick_gelu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(1.702 * x)


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Tensors below a prefix."""

    tensors: Mapping[str, Tensor]
    prefix: str = ""

    def below(self, name: str) -> Self:
        return replace(self, prefix=f"{self.prefix}{name}.")

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[self.prefix + name]

    def linear(self, name: str, x: Tensor) -> Tensor:
        bias = self.tensors.get(f"{self.prefix}{name}.bias")
        return functional.linear(x, self[f"{name}.weight"], bias)

    def norm(self, name: str, x: Tensor, eps: float) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / torch.sqrt(centred.pow(2).mean(-1, keepdim=True) + eps)
        return scaled * self[f"{name}.weight"] + self[f"{name}.bias"]

    def rms_norm(self, name: str, x: Tensor, eps: float, *, offset: float = 0.0) -> Tensor:
        scaled = x / torch.sqrt(x.pow(2).mean(-1, keepdim=True) + eps)
        return scaled * (offset + self[f"{name}.weight"])


def attend(query: Tensor, key: Tensor, value: Tensor, *, num_heads: int, causal: bool) -> Tensor:
    """Each position x width; key and value may have fewer heads than the query."""
    positions, width = query.shape
    size = width // num_heads
    shared = num_heads // (key.shape[1] // size)
    outputs = []
    for head in range(num_heads):
        other = head // shared
        q = query[:, head * size : (head + 1) * size]
        k = key[:, other * size : (other + 1) * size]
        v = value[:, other * size : (other + 1) * size]
        scores = q @ k.T / size**0.5
        if causal:
            later = torch.ones(positions, positions, dtype=torch.bool).triu(1)
            scores = scores.masked_fill(later, float("-inf"))
        outputs.append(scores.softmax(-1) @ v)
    return torch.cat(outputs, dim=1)


def rotated(x: Tensor, *, num_heads: int, rotated_size: int, theta: float) -> Tensor:
    """Turn the first `rotated_size` numbers of each head by the position's angles."""
    heads = x.reshape(x.shape[0], num_heads, -1).clone()
    half = rotated_size // 2
    speeds = theta ** -(torch.arange(half, dtype=torch.float64) / half)
    angles = (torch.arange(x.shape[0], dtype=torch.float64)[:, None] * speeds)[:, None, :]
    cosine, sine = angles.cos().float(), angles.sin().float()
    first, second = heads[..., :half].clone(), heads[..., half:rotated_size].clone()
    heads[..., :half] = first * cosine - second * sine
    heads[..., half:rotated_size] = second * cosine + first * sine
    return heads.reshape(x.shape)


def patches(pixels: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """An image (3, height, width) as patches x width, row by row."""
    features = functional.conv2d(pixels[None], weight, bias, stride=weight.shape[-1])
    return features[0].flatten(1).T


def encoder_layer(
    w: Weights, x: Tensor, *, num_heads: int, activation: Activation, eps: float
) -> Tensor:
    """A layer of CLIP's or SigLIP's encoder."""
    inner, attention = w.norm("layer_norm1", x, eps), w.below("self_attn")
    q, k, v = (attention.linear(f"{name}_proj", inner) for name in "qkv")
    mixed = attend(q, k, v, num_heads=num_heads, causal=False)
    x = x + attention.linear("out_proj", mixed)
    inner = w.norm("layer_norm2", x, eps)
    return x + w.linear("mlp.fc2", activation(w.linear("mlp.fc1", inner)))


def clip(w: Weights, pixels: Tensor, *, num_heads: int, num_layers: int) -> Tensor:
    """CLIP's hidden state after so many layers: class token first."""
    x = patches(pixels, w["embeddings.patch_embedding.weight"], None)
    x = torch.cat([w["embeddings.class_embedding"][None], x])
    x = w.norm("pre_layrnorm", x + w["embeddings.position_embedding.weight"], 1e-5)
    for layer in range(num_layers):
        x = encoder_layer(
            w.below(f"encoder.layers.{layer}"),
            x,
            num_heads=num_heads,
            activation=quick_gelu,
            eps=1e-5,
        )
    return x


def siglip(w: Weights, pixels: Tensor, *, num_heads: int, num_layers: int) -> Tensor:
    """SigLIP's hidden state after so many layers, before any last norm."""
    embedding = w.below("embeddings.patch_embedding")
    x = patches(pixels, embedding["weight"], embedding["bias"])
    x = x + w["embeddings.position_embedding.weight"]
    for layer in range(num_layers):
        x = encoder_layer(
            w.below(f"encoder.layers.{layer}"),
            x,
            num_heads=num_heads,
            activation=gelu_tanh,
            eps=1e-6,
        )
    return x


def dinov2(w: Weights, pixels: Tensor, *, num_heads: int, num_layers: int) -> Tensor:
    """DINOv2's hidden state after so many layers: class token first."""
    projection = w.below("embeddings.patch_embeddings.projection")
    x = patches(pixels, projection["weight"], projection["bias"])
    x = torch.cat([w["embeddings.cls_token"][0], x]) + w["embeddings.position_embeddings"][0]
    for layer in range(num_layers):
        block = w.below(f"encoder.layer.{layer}")
        inner, attention = block.norm("norm1", x, 1e-6), block.below("attention")
        q, k, v = (attention.linear(f"attention.{n}", inner) for n in ("query", "key", "value"))
        mixed = attend(q, k, v, num_heads=num_heads, causal=False)
        mixed = attention.linear("output.dense", mixed)
        x = x + block["layer_scale1.lambda1"] * mixed
        inner = functional.gelu(block.linear("mlp.fc1", block.norm("norm2", x, 1e-6)))
        x = x + block["layer_scale2.lambda1"] * block.linear("mlp.fc2", inner)
    return x


FeedForward = Callable[[Weights, Tensor], Tensor]


def gated(w: Weights, x: Tensor, *, activation: Activation = functional.silu) -> Tensor:
    """Llama's, Qwen2's, StableLM's and Gemma's multilayer perceptron."""
    return w.linear("down_proj", activation(w.linear("gate_proj", x)) * w.linear("up_proj", x))


def two_layers(w: Weights, x: Tensor) -> Tensor:
    """Phi's multilayer perceptron."""
    return w.linear("fc2", gelu_tanh(w.linear("fc1", x)))


@dataclass(frozen=True, kw_only=True)
class Decoder:
    """What a config.json says of a language model."""

    num_layers: int
    num_heads: int
    num_kv_heads: int
    rotated_share: float = 1.0
    theta: float = 10000.0
    eps: float = 1e-5

    def self_attention(self, w: Weights, x: Tensor, *, out: str = "o_proj") -> Tensor:
        q, k, v = (w.linear(f"{name}_proj", x) for name in "qkv")
        size = int(q.shape[1] // self.num_heads * self.rotated_share)
        turn = partial(rotated, rotated_size=size, theta=self.theta)
        mixed = attend(
            turn(q, num_heads=self.num_heads),
            turn(k, num_heads=self.num_kv_heads),
            v,
            num_heads=self.num_heads,
            causal=True,
        )
        return w.linear(out, mixed)


def llama(w: Weights, x: Tensor, decoder: Decoder) -> Tensor:
    """Llama's and Qwen2's hidden state, normed."""
    for number in range(decoder.num_layers):
        layer = w.below(f"layers.{number}")
        inner = layer.rms_norm("input_layernorm", x, decoder.eps)
        x = x + decoder.self_attention(layer.below("self_attn"), inner)
        inner = layer.rms_norm("post_attention_layernorm", x, decoder.eps)
        x = x + gated(layer.below("mlp"), inner)
    return w.rms_norm("norm", x, decoder.eps)


def gemma(w: Weights, x: Tensor, decoder: Decoder) -> Tensor:
    """Gemma's hidden state, normed; whatever goes in is scaled by the width's root."""
    x = x * x.shape[1] ** 0.5
    for number in range(decoder.num_layers):
        layer = w.below(f"layers.{number}")
        inner = layer.rms_norm("input_layernorm", x, decoder.eps, offset=1.0)
        x = x + decoder.self_attention(layer.below("self_attn"), inner)
        inner = layer.rms_norm("post_attention_layernorm", x, decoder.eps, offset=1.0)
        x = x + gated(layer.below("mlp"), inner, activation=gelu_tanh)
    return w.rms_norm("norm", x, decoder.eps, offset=1.0)


def stablelm(w: Weights, x: Tensor, decoder: Decoder, feed_forward: FeedForward = gated) -> Tensor:
    """StableLM-2's hidden state, normed."""
    for number in range(decoder.num_layers):
        layer = w.below(f"layers.{number}")
        inner = layer.norm("input_layernorm", x, decoder.eps)
        x = x + decoder.self_attention(layer.below("self_attn"), inner)
        inner = layer.norm("post_attention_layernorm", x, decoder.eps)
        x = x + feed_forward(layer.below("mlp"), inner)
    return w.norm("norm", x, decoder.eps)


def phi(w: Weights, x: Tensor, decoder: Decoder, feed_forward: FeedForward = two_layers) -> Tensor:
    """Phi-2's hidden state, normed; attention and perceptron stand side by side."""
    for number in range(decoder.num_layers):
        layer = w.below(f"layers.{number}")
        inner = layer.norm("input_layernorm", x, decoder.eps)
        mixed = decoder.self_attention(layer.below("self_attn"), inner, out="dense")
        x = x + mixed + feed_forward(layer.below("mlp"), inner)
    return w.norm("final_layernorm", x, decoder.eps)


def spliced(embedding: Tensor, chunks: list[list[int]], features: Tensor) -> Tensor:
    """The tokens' embeddings before, the image's features, the embeddings behind."""
    before, behind = (embedding[torch.tensor(chunk)] for chunk in chunks)
    return torch.cat([before, features, behind])


def relative_difference(one: Tensor, other: Tensor) -> float:
    """The largest difference, as a share of the range of `other`."""
    assert one.shape == other.shape
    return float((one - other).abs().max() / (other.max() - other.min()))
