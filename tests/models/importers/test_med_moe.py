from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.models.importers import written_out
from tests.models.importers.original_llava import Tensors, noise, vision_tensors, write_folder
from tests.models.importers.original_parts import (
    HEADS,
    LAYERS,
    NUM_TOKENS,
    WIDE,
    WIDTH,
    Imported,
    byte_chunks,
    gated_tensors,
    mlp2x_tensors,
    phi_tensors,
    picture,
    question,
    stablelm_tensors,
    two_layer_tensors,
    write_byte_tokenizer,
)
from tests.models.importers.written_out import Decoder, FeedForward, Weights, spliced
from torch import Tensor, nn
from torch.nn import functional

from tinymed.errors import ModelError
from tinymed.models.importers.layout import Source
from tinymed.models.importers.write import import_checkpoint
from tinymed.models.moe_language import MixtureOfExperts

OWN = "model.image_tower.image_tower.vision_model."
CONNECTOR = "model.mm_projector.image_spatial_proj"
SIZE_PX, NUM_EXPERTS = 28, 4
SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
QUESTION = "Is the heart enlarged?"
PROMPT = f"{SYSTEM} USER: <image>\n{QUESTION} ASSISTANT:"

MOE: dict[str, Any] = {
    "capacity_factor": 1.5,
    "ep_size": 1,
    "eval_capacity_factor": 2.0,
    "min_capacity": 0,
    "moe_enable": True,
    "moe_layers_idx": [0],
    "moe_mode": "sparse",
    "num_experts": [NUM_EXPERTS],
    "router_aux_loss_coef": 0.0,
    "top_k_experts": 1,
    "train_modules": ["fc1", "fc2", "wg"],
    "use_residual": False,
}
CONFIG: dict[str, Any] = {
    "hidden_size": WIDTH,
    "image_aspect_ratio": "pad",
    "image_projector_type": "mlp2x_gelu",
    "intermediate_size": WIDE,
    "mm_hidden_size": 128,
    "mm_image_tower": "openai/clip-vit-large-patch14-336",
    "mm_use_im_patch_token": False,
    "mm_use_im_start_end": False,
    "mm_video_tower": None,
    "mm_vision_select_feature": "patch",
    "mm_vision_select_layer": -2,
    "moe": MOE,
    "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS,
    "num_key_value_heads": HEADS,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
    "vocab_size": NUM_TOKENS,
}
PHI = CONFIG | {
    "architectures": ["MoELLaVAPhiForCausalLM"],
    "hidden_act": "gelu_new",
    "layer_norm_eps": 1e-5,
    "model_type": "moe_llava_phi",
    "partial_rotary_factor": 0.75,
}
STABLELM = CONFIG | {
    "architectures": ["MoELLaVAStablelmForCausalLM"],
    "hidden_act": "silu",
    "model_type": "moe_llava_stablelm",
    "norm_eps": 1e-5,
    "rope_pct": 0.25,
    "use_qkv_bias": True,
}


def checkpoint(kind: str) -> Tensors:
    """The first of two layers has experts, the second has not."""
    make, below = noise(7), "model.layers.0.mlp."
    tensors = {
        **vision_tensors(OWN, size_px=SIZE_PX, seed=1),
        **mlp2x_tensors(CONNECTOR, vision_width=128, seed=2),
        "lm_head.weight": noise(4)(NUM_TOKENS, WIDTH),
    }
    if kind == "phi":
        body, expert = phi_tensors("model.", num_rows=NUM_TOKENS, seed=3), two_layer_tensors
    else:
        body = stablelm_tensors("model.", num_rows=NUM_TOKENS, num_kv_heads=HEADS, seed=3)
        expert = gated_tensors
    tensors |= {name: value for name, value in body.items() if not name.startswith(below)}
    tensors |= expert(f"{below}meta_moe.", make)
    for number in range(NUM_EXPERTS):
        tensors |= expert(f"{below}deepspeed_moe.experts.deepspeed_experts.{number}.", make)
    tensors[f"{below}deepspeed_moe.gate.wg.weight"] = make(NUM_EXPERTS, WIDTH)
    tensors[f"{below}deepspeed_moe.gate.wg.bias"] = make(NUM_EXPERTS)
    return tensors


def write_original(folder: Path, tensors: Tensors, config: dict[str, Any]) -> Source:
    write_folder(folder, config, tensors, kind="bin")
    write_byte_tokenizer(folder, end="<|endoftext|>")
    return Source(folder=folder)


def through_experts(plain: FeedForward, w: Weights, x: Tensor, *, top_k: int) -> Tensor:
    """Token by token: the chosen experts by their share, and the meta expert whole."""
    if f"{w.prefix}meta_moe.fc1.weight" not in w.tensors and (
        f"{w.prefix}meta_moe.up_proj.weight" not in w.tensors
    ):
        return plain(w, x)
    rows = []
    for token in x:
        shares = w.linear("deepspeed_moe.gate.wg", token).softmax(-1)
        ranked = sorted(range(NUM_EXPERTS), key=lambda number: -float(shares[number]))
        total = sum(float(shares[number]) for number in ranked[:top_k]) if top_k > 1 else 1.0
        row = plain(w.below("meta_moe"), token)
        for number in ranked[:top_k]:
            expert = w.below(f"deepspeed_moe.experts.deepspeed_experts.{number}")
            row = row + shares[number] / total * plain(expert, token)
        rows.append(row)
    return torch.stack(rows)


def expected_logits(kind: str, tensors: Tensors, pixels: Tensor, *, top_k: int) -> Tensor:
    w = Weights(tensors=tensors)
    encoder = Weights(tensors=tensors, prefix=OWN)
    features = written_out.clip(encoder, pixels, num_heads=2, num_layers=2)[1:]
    connector = w.below(CONNECTOR)
    features = connector.linear("2", functional.gelu(connector.linear("0", features)))
    embedded = spliced(w["model.embed_tokens.weight"], byte_chunks(PROMPT), features)
    body, plain, share = {
        "phi": (written_out.phi, written_out.two_layers, 0.75),
        "stablelm": (written_out.stablelm, written_out.gated, 0.25),
    }[kind]

    def feed_forward(layer: Weights, x: Tensor) -> Tensor:
        return through_experts(plain, layer, x, top_k=top_k)

    decoder = Decoder(num_layers=LAYERS, num_heads=HEADS, num_kv_heads=HEADS, rotated_share=share)
    return w.linear("lm_head", body(w.below("model"), embedded, decoder, feed_forward))


@pytest.fixture(scope="module")
def phi(tmp_path_factory: pytest.TempPathFactory) -> Imported:
    folder = tmp_path_factory.mktemp("stablelm-qwen-dense")
    return Imported(write_original(folder / "llava", checkpoint("phi"), PHI), folder / "out")


@pytest.mark.parametrize(
    ("kind", "config", "top_k"), [("phi", PHI, 2), ("stablelm", STABLELM, 1), ("phi", PHI, 1)]
)
def test_experts_compute_what_the_published_code_computes(
    tmp_path: Path, kind: str, config: dict[str, Any], top_k: int
) -> None:
    tensors, moe = checkpoint(kind), MOE | {"top_k_experts": top_k}
    source = write_original(tmp_path / "original", tensors, config | {"moe": moe})
    imported = Imported(source, tmp_path / "out")
    image = picture()
    expected = expected_logits(kind, tensors, imported.pixels(image), top_k=top_k)
    assert imported.difference(image, QUESTION, expected) < 1e-5


def test_tokens_go_to_more_than_one_expert(phi: Imported) -> None:
    """Without this the comparison above would say little."""
    experts = phi.model.model.language_model.layers[0].mlp
    tokens = torch.randn(50, WIDTH, generator=torch.Generator().manual_seed(0))
    _shares, chosen = experts._route(tokens)
    assert len(chosen.unique()) == NUM_EXPERTS


def test_generation_with_its_cache_agrees_with_reading_all_at_once(phi: Imported) -> None:
    inputs = phi.processor(
        images=picture(), text=phi.prompt(question(QUESTION)), return_tensors="pt"
    )
    with torch.no_grad():
        answer = phi.model.generate(**inputs, max_new_tokens=4)
        again = phi.model(input_ids=answer, pixel_values=inputs["pixel_values"]).logits[0]
    again[:, phi.model.config.image_token_index] = float("-inf")
    asked = inputs["input_ids"].shape[1]
    assert answer.shape[1] > asked
    assert again[asked - 1 : -1].argmax(-1).tolist() == answer[0, asked:].tolist()


def test_rows_of_a_batch_do_not_touch_each_other(phi: Imported) -> None:
    """The published layer takes a plain layer's output for an expert layer's at three rows."""
    texts = [phi.prompt(question(text)) for text in ("Why?", "Is it?", "Where is it?")]
    pictures = [picture(seed=seed) for seed in range(3)]
    together = phi.processor(images=pictures, text=texts, return_tensors="pt", padding=True)
    with torch.inference_mode():
        batch = phi.model(**together).logits[:, -1]
        for row, (image, text) in enumerate(zip(pictures, texts, strict=True)):
            alone = phi.processor(images=image, text=text, return_tensors="pt")
            assert torch.allclose(phi.model(**alone).logits[0, -1], batch[row], atol=1e-4)


def test_the_router_computes_in_float32_whatever_the_weights_are() -> None:
    torch.manual_seed(0)
    experts = [nn.Linear(4, 4) for _ in range(3)]
    layer = MixtureOfExperts(list(experts), nn.Linear(4, 4), hidden_size=4, top_k=1).bfloat16()
    tokens = torch.randn(5, 4).bfloat16()
    shares, _chosen = layer._route(tokens)
    exact = functional.linear(
        tokens.float(), layer.router.weight.float(), layer.router.bias.float()
    ).softmax(-1)
    assert torch.equal(shares[:, 0], exact.max(-1).values)
    assert layer(tokens).dtype == torch.bfloat16


def test_the_prompt_is_the_published_one_for_one_turn_and_for_two(phi: Imported) -> None:
    messages = question(QUESTION)
    assert phi.prompt(messages) == PROMPT
    messages += [{"role": "assistant", "content": "No."}, {"role": "user", "content": "Why?"}]
    assert phi.prompt(messages) == f"{PROMPT} No.<|endoftext|>USER: Why? ASSISTANT:"


def test_images_are_not_padded_as_in_the_published_evaluation(phi: Imported) -> None:
    recorded = json.loads((phi.folder / "import.json").read_text())["preprocessing"]
    assert recorded["image_mode"] == "plain"
    processor = phi.processor.image_processor
    assert (type(processor).__name__, processor.do_center_crop) == ("CLIPImageProcessorPil", True)


def test_the_own_encoder_is_used_where_a_stock_one_tells_its_configuration(
    tmp_path: Path, phi: Imported
) -> None:
    stock = vision_tensors("vision_model.", size_px=SIZE_PX, seed=8)
    told = {
        "hidden_size": 128,
        "image_size": SIZE_PX,
        "intermediate_size": 96,
        "model_type": "clip_vision_model",
        "num_attention_heads": 2,
        "num_hidden_layers": 3,
        "patch_size": 14,
    }
    write_folder(tmp_path / "stock", told, stock)
    config = PHI | {"mm_image_tower": "./clip-vit-large-patch14-336"}
    source = write_original(tmp_path / "original", checkpoint("phi"), config)
    beside = Source(folder=source.folder, vision=tmp_path / "stock")
    found = Imported(beside, tmp_path / "out")
    assert torch.equal(found.logits(picture(), "Why?"), phi.logits(picture(), "Why?"))
    assert set(found.report.leftovers) == {f"vision:{name}" for name in stock}


def _refusal(folder: Path, tensors: Tensors, config: dict[str, Any]) -> str:
    source = write_original(folder / "original", tensors, config)
    with pytest.raises(ModelError) as caught:
        import_checkpoint(source, folder / "out", progress=False)
    assert not (folder / "out").exists()
    return str(caught.value)


@pytest.mark.parametrize(
    ("moe", "said"),
    [
        ({"top_k_experts": 3}, "1 or 2"),
        ({"moe_layers_idx": None}, "moe_layers_idx"),
        ({"num_experts": [4, 4]}, "num_experts"),
        ({"num_experts": [9]}, "9 experts"),
        ({"use_residual": True}, "use_residual"),
    ],
)
def test_what_the_layout_does_not_do_is_refused(
    tmp_path: Path, moe: dict[str, Any], said: str
) -> None:
    assert said in _refusal(tmp_path, checkpoint("phi"), PHI | {"moe": MOE | moe})


def test_missing_and_superfluous_and_misshapen_tensors_are_named(tmp_path: Path) -> None:
    gate = "model.layers.0.mlp.deepspeed_moe.gate.wg"
    tensors = checkpoint("phi")
    del tensors[f"{gate}.bias"]
    tensors["model.layers.1.mlp.meta_moe.fc1.weight"] = torch.ones(2, 2)
    said = _refusal(tmp_path / "a", tensors, PHI)
    assert f"lacks 1 tensor: {gate}.bias" in said
    assert "no place for 1 tensor: model.layers.1.mlp.meta_moe.fc1.weight" in said
    tensors = checkpoint("phi") | {f"{gate}.weight": torch.ones(3, WIDTH)}
    assert f"other shapes: 1 tensor: {gate}.weight" in _refusal(tmp_path / "b", tensors, PHI)
