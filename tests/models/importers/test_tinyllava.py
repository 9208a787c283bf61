from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.models.importers import original_llava, written_out
from tests.models.importers.original_llava import (
    Tensors,
    noise,
    vision_tensors,
    write_folder,
    write_tokenizer,
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
from tinymed.models.importers.stored_tensors import StoredTensor
from tinymed.models.importers.vision_encoders import own_or_stock_encoder
from tinymed.models.importers.write import import_checkpoint

OWN = "model.vision_tower.vision_tower.vision_model."
SIZE_PX = 28
NUM_LLAMA_TOKENS = len(original_llava.VOCABULARY)
SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
QUESTION = "Is the heart enlarged?"
PROMPT = f"{SYSTEM} USER: <image>\n{QUESTION} ASSISTANT:"

CONFIG: dict[str, Any] = {
    "hidden_size": WIDTH,
    "image_aspect_ratio": "pad",
    "intermediate_size": WIDE,
    "max_position_embeddings": 2048,
    "mm_hidden_size": VISION_WIDTH,
    "mm_projector_type": "mlp2x_gelu",
    "mm_use_im_patch_token": False,
    "mm_use_im_start_end": False,
    "mm_vision_select_feature": "patch",
    "mm_vision_select_layer": -2,
    "mm_vision_tower": "bczhou/TinyLLaVA-1.5B-SigLIP",
    "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS,
    "tie_word_embeddings": False,
    "tokenizer_model_max_length": 2048,
    "tokenizer_padding_side": "right",
    "torch_dtype": "float32",
    "use_mm_proj": True,
}
LLAMA = CONFIG | {
    "architectures": ["TinyLlavaLlamaForCausalLM"],
    "hidden_act": "silu",
    "model_type": "tiny_llava",
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "vocab_size": NUM_LLAMA_TOKENS,
}
PHI = CONFIG | {
    "architectures": ["TinyLlavaPhiForCausalLM"],
    "hidden_act": "gelu_new",
    "layer_norm_eps": 1e-5,
    "mm_vision_tower": "bczhou/TinyLLaVA-3.1B-SigLIP",
    "model_type": "tiny_llava_phi",
    "num_key_value_heads": None,
    "partial_rotary_factor": 0.5,
    "qk_layernorm": False,
    "rope_theta": 10000.0,
    "vocab_size": NUM_TOKENS + 5,
}
STABLELM = CONFIG | {
    "architectures": ["TinyLlavaStablelmForCausalLM"],
    "hidden_act": "silu",
    "mm_vision_tower": "openai/clip-vit-large-patch14-336",
    "model_type": "tiny_llava_stablelm",
    "norm_eps": 1e-5,
    "num_key_value_heads": HEADS,
    "rope_pct": 0.5,
    "rope_theta": 500.0,
    "use_qkv_bias": True,
    "vocab_size": NUM_TOKENS,
}


def llama_checkpoint(num_layers: int = 3) -> Tensors:
    """With an encoder of its own, saved without the layer that its class deletes."""
    return {
        **siglip_tensors(OWN, num_layers=num_layers, size_px=SIZE_PX, seed=1, head=False),
        **mlp2x_tensors("model.mm_projector", vision_width=VISION_WIDTH, seed=2),
        **llama_tensors("model.", num_rows=NUM_LLAMA_TOKENS, num_kv_heads=2, seed=3),
        "lm_head.weight": noise(4)(NUM_LLAMA_TOKENS, WIDTH),
    }


def write_llama(folder: Path, tensors: Tensors, **others: Any) -> Path:
    write_folder(folder, LLAMA | others, tensors)
    write_tokenizer(folder)
    return folder


def mlp2x(w: Weights, x: Tensor) -> Tensor:
    return w.linear("2", functional.gelu(w.linear("0", x)))


def llama_logits(tensors: Tensors, pixels: Tensor) -> Tensor:
    """As the published code computes them: SigLIP's last remaining layer, not normed."""
    w = Weights(tensors=tensors)
    encoder = Weights(tensors=tensors, prefix=OWN)
    features = written_out.siglip(encoder, pixels, num_heads=VISION_HEADS, num_layers=3)
    features = mlp2x(w.below("model.mm_projector"), features)
    chunks = original_llava.published_chunks(PROMPT)
    decoder = Decoder(num_layers=LAYERS, num_heads=HEADS, num_kv_heads=2)
    embedded = spliced(w["model.embed_tokens.weight"], chunks, features)
    return w.linear("lm_head", written_out.llama(w.below("model"), embedded, decoder))


@pytest.fixture(scope="module")
def tinyllama(tmp_path_factory: pytest.TempPathFactory) -> Imported:
    # Words of other layouts in the path must not matter.
    folder = tmp_path_factory.mktemp("phi-llava-mistral") / "siglip-lora-moe"
    source = Source(folder=write_llama(folder, llama_checkpoint()))
    return Imported(source, folder.with_name("out"))


def test_tinyllama_and_siglip_compute_what_the_published_code_computes(tinyllama: Imported) -> None:
    image = picture()
    expected = llama_logits(llama_checkpoint(), tinyllama.pixels(image))
    assert tinyllama.difference(image, QUESTION, expected) < 1e-5


def test_phi_and_a_stock_siglip_without_its_last_layer_compute_the_same(tmp_path: Path) -> None:
    stock = siglip_tensors("vision_model.", num_layers=3, size_px=SIZE_PX, seed=1)
    write_folder(tmp_path / "siglip", siglip_config(num_layers=3, size_px=SIZE_PX), stock)
    tensors = {
        **mlp2x_tensors("model.mm_projector", vision_width=VISION_WIDTH, seed=2),
        **phi_tensors("model.", num_rows=PHI["vocab_size"], seed=3),
        "lm_head.weight": noise(4)(PHI["vocab_size"], WIDTH),
    }
    folder = write_folder(tmp_path / "original", PHI, tensors, kind="bin")
    write_byte_tokenizer(folder, end="<|endoftext|>", as_vocabulary=True)
    imported = Imported(Source(folder=folder, vision=tmp_path / "siglip"), tmp_path / "out")

    image = picture()
    w, encoder = Weights(tensors=tensors), Weights(tensors=stock, prefix="vision_model.")
    features = written_out.siglip(
        encoder, imported.pixels(image), num_heads=VISION_HEADS, num_layers=2
    )
    features = mlp2x(w.below("model.mm_projector"), features)
    embedded = spliced(w["model.embed_tokens.weight"], byte_chunks(PROMPT), features)
    decoder = Decoder(num_layers=LAYERS, num_heads=HEADS, num_kv_heads=HEADS, rotated_share=0.5)
    expected = w.linear("lm_head", written_out.phi(w.below("model"), embedded, decoder))
    assert imported.difference(image, QUESTION, expected) < 1e-5

    left = imported.report.leftovers
    assert {name.split(".")[1] for name in left} == {"encoder", "head"}
    assert all(".layers.2." in name for name in left if "encoder" in name)
    # Rows that the tokenizer never filled are free for the image's token.
    assert imported.model.config.text_config.vocab_size == PHI["vocab_size"]


def test_stablelm_and_clip_and_one_linear_layer_compute_the_same(tmp_path: Path) -> None:
    clip = vision_tensors(OWN, size_px=SIZE_PX, seed=1)
    tensors = {
        **clip,
        **linear_tensors("model.mm_projector", vision_width=128, seed=2),
        **stablelm_tensors("model.", num_rows=NUM_TOKENS, num_kv_heads=HEADS, seed=3),
        "lm_head.weight": noise(4)(NUM_TOKENS, WIDTH),
    }
    folder = write_folder(
        tmp_path / "original", STABLELM | {"mm_projector_type": "linear"}, tensors
    )
    write_byte_tokenizer(folder, end="<|endoftext|>")
    imported = Imported(Source(folder=folder), tmp_path / "out")

    image = picture()
    w = Weights(tensors=tensors)
    features = written_out.clip(
        Weights(tensors=tensors, prefix=OWN), imported.pixels(image), num_heads=2, num_layers=2
    )
    features = w.linear("model.mm_projector", features[1:])
    embedded = spliced(w["model.embed_tokens.weight"], byte_chunks(PROMPT), features)
    decoder = Decoder(
        num_layers=LAYERS, num_heads=HEADS, num_kv_heads=HEADS, rotated_share=0.5, theta=500.0
    )
    expected = w.linear("lm_head", written_out.stablelm(w.below("model"), embedded, decoder))
    assert imported.difference(image, QUESTION, expected) < 1e-5


def test_the_checkpoints_own_encoder_is_used_and_a_stock_one_beside_it_is_not(
    tmp_path: Path, tinyllama: Imported
) -> None:
    stock = siglip_tensors("vision_model.", num_layers=4, size_px=SIZE_PX, seed=9)
    write_folder(tmp_path / "stock", siglip_config(num_layers=4, size_px=SIZE_PX), stock)
    folder = write_llama(tmp_path / "same", llama_checkpoint())
    beside = Imported(Source(folder=folder, vision=tmp_path / "stock"), tmp_path / "a")
    before = tinyllama.logits(picture(), QUESTION)
    assert torch.equal(beside.logits(picture(), QUESTION), before)
    assert len(beside.report.leftovers) == len(stock)

    trained = llama_checkpoint()
    trained[f"{OWN}encoder.layers.2.mlp.fc2.bias"] += 1.0
    other = Imported(Source(folder=write_llama(tmp_path / "other", trained)), tmp_path / "b")
    assert not torch.allclose(other.logits(picture(), QUESTION), before, atol=1e-2)


@pytest.mark.parametrize(
    ("name", "published"),
    [
        # hidden, patch, positions, layers that are there, intermediate, heads, image
        ("bczhou/TinyLLaVA-1.5B-SigLIP", (1152, 14, 729, 26, 4304, 16, 384)),
        ("openai/clip-vit-large-patch14-336", (1024, 14, 577, 24, 4096, 16, 336)),
        ("openai/clip-vit-large-patch14", (1024, 14, 257, 24, 4096, 16, 224)),
    ],
)
def test_published_encoders_are_told_by_their_shapes_and_names(
    tmp_path: Path, name: str, published: tuple[int, ...]
) -> None:
    hidden, patch, positions, layers, intermediate, heads, size_px = published
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.patch_embedding.weight": (hidden, 3, patch, patch),
        "embeddings.position_embedding.weight": (positions, hidden),
        "encoder.layers.0.mlp.fc1.weight": (intermediate, hidden),
        **{f"encoder.layers.{layer}.layer_norm1.weight": (hidden,) for layer in range(layers)},
    }
    stored = {
        OWN + tensor: StoredTensor(path=tmp_path, name=tensor, shape=shape, dtype=torch.float16)
        for tensor, shape in shapes.items()
    }
    config = own_or_stock_encoder(Source(folder=tmp_path), stored, own=OWN, name=name).config
    assert (config["num_hidden_layers"], config["intermediate_size"]) == (layers, intermediate)
    assert (config["hidden_size"], config["num_attention_heads"]) == (hidden, heads)
    assert (config["image_size"], config["patch_size"]) == (size_px, patch)


def test_the_prompt_is_the_published_one_for_one_turn_and_for_two(tinyllama: Imported) -> None:
    messages = question(QUESTION)
    assert tinyllama.prompt(messages) == PROMPT
    messages += [
        {"role": "assistant", "content": [{"type": "text", "text": "Yes."}]},
        {"role": "user", "content": "Which side?"},
    ]
    assert tinyllama.prompt(messages) == f"{PROMPT} Yes.</s>USER: Which side? ASSISTANT:"


def test_an_image_is_padded_in_grey_before_it_is_resized(tinyllama: Imported) -> None:
    image = picture(40, 30)
    square = Image.new("RGB", (40, 40), (127, 127, 127))
    square.paste(image, (0, 5))
    small = np.asarray(square.resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC))
    expected = torch.tensor((small / 255 - 0.5) / 0.5).permute(2, 0, 1).float()
    assert torch.allclose(tinyllama.pixels(image), expected, atol=1e-6)
    recorded = json.loads((tinyllama.folder / "import.json").read_text())["preprocessing"]
    assert (recorded["image_mode"], recorded["pad_colour"]) == ("pad", [127, 127, 127])


def test_generation_ends_where_an_answer_does_and_never_says_the_image_token(
    tinyllama: Imported,
) -> None:
    config, image_id = tinyllama.model.generation_config, tinyllama.model.config.image_token_index
    assert config.eos_token_id == original_llava.VOCABULARY.index("</s>")
    assert (config.suppress_tokens, config.do_sample) == ([image_id], False)
    assert image_id == NUM_LLAMA_TOKENS


def test_an_image_is_not_padded_where_the_config_says_square(tmp_path: Path) -> None:
    folder = write_llama(tmp_path / "original", llama_checkpoint(), image_aspect_ratio="square")
    imported = Imported(Source(folder=folder), tmp_path / "out")
    image = picture(40, 30)
    small = np.asarray(image.resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC))
    expected = torch.tensor((small / 255 - 0.5) / 0.5).permute(2, 0, 1).float()
    assert torch.allclose(imported.pixels(image), expected, atol=1e-6)
    recorded = json.loads((imported.folder / "import.json").read_text())["preprocessing"]
    assert recorded["image_mode"] == "plain"


LACKING = "model.layers.1.mlp.up_proj.weight"


def _refusal(folder: Path, tensors: Tensors, **others: Any) -> str:
    source = Source(folder=write_llama(folder / "original", tensors, **others))
    with pytest.raises(ModelError) as caught:
        import_checkpoint(source, folder / "out", progress=False)
    assert not (folder / "out").exists()
    return str(caught.value)


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    tensors = llama_checkpoint()
    del tensors[LACKING]
    assert f"lacks 1 tensor: {LACKING}" in _refusal(tmp_path, tensors)


def test_a_tensor_without_a_place_is_named(tmp_path: Path) -> None:
    tensors = llama_checkpoint() | {"model.image_newline": torch.ones(WIDTH)}
    assert "no place for 1 tensor: model.image_newline" in _refusal(tmp_path, tensors)


def test_a_tensor_of_another_shape_is_named(tmp_path: Path) -> None:
    tensors = llama_checkpoint() | {LACKING: torch.ones(WIDE, WIDTH + 1)}
    assert f"other shapes: 1 tensor: {LACKING}" in _refusal(tmp_path, tensors)
    tensors = llama_checkpoint() | {"lm_head.weight": torch.ones(7, WIDTH)}
    assert "'lm_head.weight' has the shape (7, 32)" in _refusal(tmp_path / "rows", tensors)


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({"mm_use_im_start_end": True}, "mm_use_im_start_end"),
        ({"image_aspect_ratio": "anyres"}, "'anyres'"),
        ({"mm_vision_select_feature": "cls"}, "'cls'"),
        ({"mm_projector_type": "resampler"}, "'resampler'"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling"),
        ({"mm_vision_tower": "./my-siglip"}, "'./my-siglip'"),
    ],
)
def test_what_the_layout_does_not_do_is_refused(
    tmp_path: Path, others: dict[str, Any], said: str
) -> None:
    assert said in _refusal(tmp_path, llama_checkpoint(), **others)


def test_a_checkpoint_without_an_encoder_asks_for_one(tmp_path: Path) -> None:
    tensors = {name: value for name, value in llama_checkpoint().items() if OWN not in name}
    said = _refusal(tmp_path, tensors)
    assert "does not carry its vision encoder 'bczhou/TinyLLaVA-1.5B-SigLIP'" in said
