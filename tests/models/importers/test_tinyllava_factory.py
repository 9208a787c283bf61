from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.models.importers import written_out
from tests.models.importers.original_llava import (
    Tensors,
    noise,
    sentencepiece_model,
    vision_tensors,
    write_folder,
)
from tests.models.importers.original_parts import (
    HEADS,
    LAYERS,
    NUM_TOKENS,
    VISION_HEADS,
    VISION_WIDTH,
    WIDE,
    WIDTH,
    Imported,
    byte_chunks,
    dinov2_tensors,
    linear_tensors,
    llama_tensors,
    mlp2x_tensors,
    phi_tensors,
    picture,
    question,
    siglip_config,
    siglip_tensors,
    stablelm_tensors,
    write_byte_tokenizer,
)
from tests.models.importers.written_out import Decoder, Weights, spliced
from torch import Tensor
from torch.nn import functional

from tinymed.errors import ModelError
from tinymed.models.importers.layout import Source
from tinymed.models.importers.write import import_checkpoint

SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
QUESTION = "Is the heart enlarged?"
PROMPT = f"{SYSTEM} USER: <image>\n{QUESTION} ASSISTANT:"
TOWER, BODY, HEAD = "vision_tower._vision_tower.", "language_model.model.", "language_model.lm_head"
SIZE_PX = 28

CONFIG: dict[str, Any] = {
    "architectures": ["TinyLlavaForConditionalGeneration"],
    "connector_type": "mlp2x_gelu",
    "hidden_size": WIDTH,
    "ignore_index": -100,
    "image_aspect_ratio": "square",
    "image_token_index": -200,
    "model_type": "tinyllava",
    "num_queries": 128,
    "resampler_hidden_size": 768,
    "tokenizer_model_max_length": 3072,
    "tokenizer_use_fast": False,
    "torch_dtype": "float32",
    "transformers_version": "4.40.1",
    "vision_feature_layer": -2,
    "vision_feature_select_strategy": "patch",
    "vision_model_name_or_path": "google/siglip-so400m-patch14-384",
    "vision_model_name_or_path2": "",
}
# As nested configs are saved: without what is the default of their class.
TEXT: dict[str, Any] = {
    "hidden_size": WIDTH,
    "intermediate_size": WIDE,
    "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS,
    "torch_dtype": "float16",
    "vocab_size": NUM_TOKENS,
}
SIGLIP = siglip_config(num_layers=3, size_px=SIZE_PX)
CLIP = {
    "hidden_size": 128,
    "image_size": SIZE_PX,
    "intermediate_size": 96,
    "model_type": "clip_vision_model",
    "num_attention_heads": 2,
    "num_hidden_layers": 3,
    "patch_size": 14,
}
DINOV2 = {
    "hidden_size": WIDTH,
    "image_size": SIZE_PX,
    "model_type": "dinov2",
    "num_attention_heads": HEADS,
    "num_hidden_layers": 3,
}


def siglip_checkpoint() -> Tensors:
    return {
        **siglip_tensors(f"{TOWER}vision_model.", num_layers=3, size_px=SIZE_PX, seed=1),
        **mlp2x_tensors("connector._connector", vision_width=VISION_WIDTH, seed=2),
    }


def siglip_features(tensors: Tensors, pixels: Tensor) -> Tensor:
    """The last layer but one, without its first patch."""
    w = Weights(tensors=tensors)
    encoder = w.below("vision_tower").below("_vision_tower").below("vision_model")
    features = written_out.siglip(encoder, pixels, num_heads=VISION_HEADS, num_layers=2)
    return mlp2x(w, features[1:])


def mlp2x(w: Weights, features: Tensor) -> Tensor:
    connector = w.below("connector._connector")
    return connector.linear("2", functional.gelu(connector.linear("0", features)))


def imported(folder: Path, tensors: Tensors, *, end: str, **others: Any) -> Imported:
    write_folder(folder / "original", CONFIG | others, tensors)
    write_byte_tokenizer(folder / "original", end=end)
    return Imported(Source(folder=folder / "original"), folder / "out")


Body = Callable[[Weights, Tensor, Decoder], Tensor]


def logits(tensors: Tensors, features: Tensor, body: Body, decoder: Decoder) -> Tensor:
    w = Weights(tensors=tensors).below("language_model")
    embedding = w["model.embed_tokens.weight"]
    hidden = body(w.below("model"), spliced(embedding, byte_chunks(PROMPT), features), decoder)
    if f"{HEAD}.weight" not in tensors:
        return hidden @ embedding.T
    return w.linear("lm_head", hidden)


def phi_checkpoint() -> Tensors:
    return {
        **siglip_checkpoint(),
        **phi_tensors(BODY, num_rows=NUM_TOKENS, seed=3),
        f"{HEAD}.weight": noise(4)(NUM_TOKENS, WIDTH),
        f"{HEAD}.bias": noise(5)(NUM_TOKENS),
    }


PHI = {"text_config": TEXT | {"model_type": "phi"}, "vision_config": SIGLIP}


@pytest.fixture(scope="module")
def phi(tmp_path_factory: pytest.TempPathFactory) -> Imported:
    folder = tmp_path_factory.mktemp("openelm-qwen2-clip-lora")
    return imported(folder, phi_checkpoint(), end="<|endoftext|>", **PHI)


def test_phi_and_siglip_compute_what_the_published_code_computes(phi: Imported) -> None:
    features = siglip_features(phi_checkpoint(), phi.pixels(picture()))
    assert len(features) == 3  # of four patches
    decoder = Decoder(num_layers=LAYERS, num_heads=HEADS, num_kv_heads=HEADS, rotated_share=0.5)
    expected = logits(phi_checkpoint(), features, written_out.phi, decoder)
    assert phi.difference(picture(), QUESTION, expected) < 1e-5


def test_the_bias_of_phis_output_layer_counts(tmp_path: Path, phi: Imported) -> None:
    tensors = phi_checkpoint()
    tensors[f"{HEAD}.bias"][7] += 3.0
    other = imported(tmp_path, tensors, end="<|endoftext|>", **PHI)
    moved = other.logits(picture(), QUESTION) - phi.logits(picture(), QUESTION)
    assert torch.allclose(moved[:, 7], torch.tensor(3.0))
    assert not moved[:, :7].any()


def test_gemma_gets_its_image_features_scaled_as_its_tokens(tmp_path: Path) -> None:
    tensors = {
        **siglip_checkpoint(),
        **llama_tensors(BODY, num_rows=NUM_TOKENS, num_kv_heads=1, seed=3),
    }
    text = TEXT | {"head_dim": WIDTH // HEADS, "model_type": "gemma", "num_key_value_heads": 1}
    found = imported(tmp_path, tensors, end="<eos>", text_config=text, vision_config=SIGLIP)
    features = siglip_features(tensors, found.pixels(picture()))
    decoder = Decoder(num_layers=LAYERS, num_heads=HEADS, num_kv_heads=1, eps=1e-6)
    expected = logits(tensors, features, written_out.gemma, decoder)
    assert found.difference(picture(), QUESTION, expected) < 1e-5


@pytest.mark.parametrize("end", ["<|endoftext|>", "<|im_end|>"])
def test_qwen2_and_clip_compute_the_same_and_end_as_their_tokenizer_does(
    tmp_path: Path, end: str
) -> None:
    tensors = {
        **vision_tensors(f"{TOWER}vision_model.", size_px=SIZE_PX, seed=1),
        **mlp2x_tensors("connector._connector", vision_width=128, seed=2),
        **llama_tensors(BODY, num_rows=NUM_TOKENS, num_kv_heads=2, seed=3, qkv_bias=True),
    }
    text = TEXT | {
        "model_type": "qwen2",
        "num_key_value_heads": 2,
        "rope_theta": 1000000.0,
        "tie_word_embeddings": True,
    }
    found = imported(tmp_path, tensors, end=end, text_config=text, vision_config=CLIP)
    w = Weights(tensors=tensors)
    encoder = w.below("vision_tower._vision_tower.vision_model")
    pixels = found.pixels(picture())
    features = mlp2x(w, written_out.clip(encoder, pixels, num_heads=2, num_layers=2)[1:])
    decoder = Decoder(num_layers=LAYERS, num_heads=HEADS, num_kv_heads=2, theta=1000000.0, eps=1e-6)
    expected = logits(tensors, features, written_out.llama, decoder)
    assert found.difference(picture(), QUESTION, expected) < 1e-5

    messages = question("What?")
    messages += [{"role": "assistant", "content": "A lung."}, *question("Which?")]
    assert f"What? ASSISTANT: A lung.{end}USER: <image>\nWhich? ASSISTANT:" in found.prompt(
        messages
    )


def test_stablelm_and_dinov2_and_one_linear_layer_compute_the_same(tmp_path: Path) -> None:
    tensors = {
        **dinov2_tensors(TOWER, num_layers=3, size_px=SIZE_PX, seed=1),
        **linear_tensors("connector._connector", vision_width=WIDTH, seed=2),
        **stablelm_tensors(BODY, num_rows=NUM_TOKENS, num_kv_heads=HEADS, seed=3),
        f"{HEAD}.weight": noise(4)(NUM_TOKENS, WIDTH),
    }
    text = TEXT | {"model_type": "stablelm", "num_key_value_heads": HEADS, "use_qkv_bias": True}
    found = imported(
        tmp_path,
        tensors,
        end="<|endoftext|>",
        text_config=text,
        vision_config=DINOV2,
        connector_type="linear",
        vision_feature_select_strategy="cls_patch",
        image_aspect_ratio="pad",
    )
    pixels = found.pixels(picture())
    assert pixels.shape == (3, 224, 224)
    resized = tensors | {
        f"{TOWER}embeddings.position_embeddings": as_transformers_4_40_resized(
            tensors[f"{TOWER}embeddings.position_embeddings"], 224 // 14
        )
    }
    encoder = Weights(tensors=resized, prefix=TOWER)
    features = written_out.dinov2(encoder, pixels, num_heads=HEADS, num_layers=2)
    features = Weights(tensors=tensors).linear("connector._connector", features)
    decoder = Decoder(num_layers=LAYERS, num_heads=HEADS, num_kv_heads=HEADS, rotated_share=0.25)
    expected = logits(tensors, features, written_out.stablelm, decoder)
    assert found.difference(picture(), QUESTION, expected) < 1e-5
    recorded = json.loads((found.folder / "import.json").read_text())["preprocessing"]
    assert (recorded["image_mode"], recorded["pad_colour"]) == ("pad", [123, 116, 103])


def as_transformers_4_40_resized(positions: Tensor, side: int) -> Tensor:
    old = math.isqrt(positions.shape[1] - 1)
    grid = positions[0, 1:].T.reshape(1, -1, old, old)
    scale = (side + 0.1) / old
    resize = partial(functional.interpolate, mode="bicubic", align_corners=False)
    made = resize(grid, scale_factor=(scale, scale))
    return torch.cat([positions[0, :1], made[0].flatten(1).T])[None]


def test_the_prompt_is_the_published_one_for_one_turn_and_for_two(phi: Imported) -> None:
    messages = question(QUESTION)
    assert phi.prompt(messages) == PROMPT
    messages += [{"role": "assistant", "content": "Yes."}, {"role": "user", "content": "Where?"}]
    assert phi.prompt(messages) == f"{PROMPT} Yes.<|endoftext|>USER: Where? ASSISTANT:"


def _refusal(folder: Path, tensors: Tensors, **others: Any) -> str:
    write_folder(folder / "original", CONFIG | PHI | others, tensors)
    write_byte_tokenizer(folder / "original", end=others.pop("end", "<|endoftext|>"))
    with pytest.raises(ModelError) as caught:
        import_checkpoint(Source(folder=folder / "original"), folder / "out", progress=False)
    assert not (folder / "out").exists()
    return str(caught.value)


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({"text_config": {"model_type": "openelm"}}, "'openelm'"),
        ({"vision_config": {"model_type": "vit"}}, "'vit'"),
        ({"connector_type": "mof_mlp"}, "'mof_mlp'"),
        ({"connector_type": "qformer"}, "'qformer'"),
        ({"image_aspect_ratio": "anyres"}, "'anyres'"),
        ({"text_config": TEXT | {"model_type": "qwen2"}, "end": "<eos>"}, "'<eos>'"),
        ({"text_config": TEXT | {"model_type": "llama"}}, "has no '</s>'"),
    ],
)
def test_what_the_layout_does_not_do_is_refused(
    tmp_path: Path, others: dict[str, Any], said: str
) -> None:
    assert said in _refusal(tmp_path, phi_checkpoint(), **others)


def test_a_tokenizer_that_is_named_is_the_one_that_is_read(tmp_path: Path) -> None:
    """Gemma's tokenizer.model follows other rules than Llama's."""
    text = TEXT | {"head_dim": WIDTH // HEADS, "model_type": "gemma", "num_key_value_heads": 1}
    tensors = siglip_checkpoint() | llama_tensors(BODY, num_rows=NUM_TOKENS, num_kv_heads=1, seed=3)
    folder = write_folder(tmp_path / "original", CONFIG | PHI | {"text_config": text}, tensors)
    (folder / "tokenizer.model").write_bytes(sentencepiece_model())
    with pytest.raises(ModelError, match=r"tokenizer\.json as well"):
        import_checkpoint(Source(folder=folder), tmp_path / "out", progress=False)
    (tmp_path / "named").mkdir()
    write_byte_tokenizer(tmp_path / "named", end="<eos>")
    source = Source(folder=folder, tokenizer=tmp_path / "named")
    assert Imported(source, tmp_path / "out").model.config.image_token_index == NUM_TOKENS


def test_missing_and_superfluous_and_misshapen_tensors_are_named(tmp_path: Path) -> None:
    tensors = phi_checkpoint()
    del tensors[f"{HEAD}.bias"]
    tensors["connector._connector.4.weight"] = torch.ones(2, 2)
    said = _refusal(tmp_path / "a", tensors)
    assert f"lacks 1 tensor: {HEAD}.bias" in said
    assert "no place for 1 tensor: connector._connector.4.weight" in said
    probe = f"{TOWER}vision_model.head.probe"
    tensors = phi_checkpoint() | {probe: torch.ones(1, 2, VISION_WIDTH)}
    assert f"other shapes: 1 tensor: {probe}" in _refusal(tmp_path / "b", tensors)


def test_tied_weights_that_differ_are_refused(tmp_path: Path) -> None:
    body = llama_tensors(BODY, num_rows=NUM_TOKENS, num_kv_heads=2, seed=3, qkv_bias=True)
    text = TEXT | {"model_type": "qwen2", "num_key_value_heads": 2, "tie_word_embeddings": True}
    same = siglip_checkpoint() | body
    same[f"{HEAD}.weight"] = same[f"{BODY}embed_tokens.weight"].clone()
    found = imported(tmp_path, same, end="<|im_end|>", text_config=text, vision_config=SIGLIP)
    assert found.model.lm_head.weight is found.model.get_input_embeddings().weight
    different = same | {f"{HEAD}.weight": noise(9)(NUM_TOKENS, WIDTH)}
    said = _refusal(tmp_path / "b", different, text_config=text)
    assert "tie_word_embeddings" in said
