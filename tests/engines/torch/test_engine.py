"""The torch engine on a LLaVA checkpoint, against transformers' own model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from tiny_llava import SIZE_PX, write_llava

from tinymed.engines.protocol import Pixels
from tinymed.engines.torch import TorchEngine
from tinymed.errors import ConfigError, HardwareError, ModelError
from tinymed.models.llava_checkpoint import read_llava
from tinymed.models.weights import ModelWeights

QUESTION = "Is it large?"


@pytest.mark.parametrize(
    ("vision", "language"), [("clip", "llama"), ("siglip", "llama"), ("siglip", "qwen2")]
)
def test_a_llava_gives_transformers_own_logits_and_answer(
    tmp_path: Path, llava_pixels: Pixels, vision: str, language: str
) -> None:
    folder = write_llava(tmp_path, vision=vision, language=language)
    weights = read_llava(folder, name="tiny")
    engine = TorchEngine(weights, threads=1, device="cpu")
    image = engine.encode(llava_pixels, keep_stages=True)
    answer = engine.answer(image, QUESTION, max_new_tokens=6, keep_logits=True)

    model = transformers.LlavaForConditionalGeneration.from_pretrained(folder)
    text = f"<s>USER: {'<image>' * image.num_image_tokens}\n{QUESTION} ASSISTANT:"
    ids = torch.tensor([weights.tokenizer.encode(text, add_special_tokens=False).ids])
    batch = torch.from_numpy(llava_pixels)[None]
    with torch.no_grad():
        tokens = model.get_image_features(batch, return_dict=True).pooler_output[0]
        logits = model(input_ids=ids, pixel_values=batch).logits[0, -1]
    written = model.generate(
        input_ids=ids,
        pixel_values=batch,
        max_new_tokens=6,
        do_sample=False,
        eos_token_id=weights.tokenizer.token_to_id("</s>"),
    )[0, ids.shape[1] :]
    assert image.stages is not None
    assert image.stages.vision_features is not None
    assert image.stages.vision_features.shape == (16, 64)
    np.testing.assert_allclose(image.stages.image_tokens, tokens.numpy(), atol=1e-5)
    np.testing.assert_allclose(answer.first_token_logits, logits.numpy(), atol=1e-5)
    assert answer.text == weights.tokenizer.decode(written.tolist(), skip_special_tokens=True)


def test_bfloat16_halves_the_weights_and_keeps_the_logits_near(
    llava: ModelWeights, llava_pixels: Pixels
) -> None:
    logits = {}
    for scheme in ("torch-f32", "torch-bf16"):
        engine = TorchEngine(llava, scheme=scheme, threads=1, device="cpu")
        image = engine.encode(llava_pixels)
        answer = engine.answer(image, QUESTION, max_new_tokens=1, keep_logits=True)
        logits[scheme] = answer.first_token_logits
        types = {value.dtype for value in engine._model.parameters()}
        assert types == {torch.float32 if scheme == "torch-f32" else torch.bfloat16}
    off = np.linalg.norm(logits["torch-bf16"] - logits["torch-f32"])
    assert 0 < off < 0.05 * np.linalg.norm(logits["torch-f32"])


def test_a_quantized_scheme_is_sent_to_its_build(llava: ModelWeights) -> None:
    with pytest.raises(ConfigError, match="'nf4' runs from a build"):
        TorchEngine(llava, scheme="nf4")


@pytest.mark.parametrize("missing", ["multi_modal", "language"])
def test_no_parameter_is_left_without_a_value(
    llava: ModelWeights, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    part = llava.connector if missing == "multi_modal" else llava.language
    name = "linear_2.bias" if missing == "multi_modal" else "layers.1.mlp.up_proj.weight"
    monkeypatch.delitem(part._places, name)  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match=rf"1 tensors of 'tiny' are missing .*{name}"):
        TorchEngine(llava, device="cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused(llava: ModelWeights) -> None:
    with pytest.raises(HardwareError, match="no NVIDIA GPU"):
        TorchEngine(llava, device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("scheme", ["torch-f32", "torch-bf16"])
def test_a_gpu_answers_as_the_processor(
    llava: ModelWeights, llava_pixels: Pixels, scheme: str
) -> None:
    logits = []
    for device in ("cpu", "cuda"):
        engine = TorchEngine(llava, scheme=scheme, device=device)
        image = engine.encode(llava_pixels)
        logits.append(engine.answer(image, QUESTION, keep_logits=True).first_token_logits)
    assert np.linalg.norm(logits[0] - logits[1]) < 0.03 * np.linalg.norm(logits[0])


def test_the_tiny_image_is_as_large_as_the_checkpoint_says(llava: ModelWeights) -> None:
    assert llava.preprocessing.size_px == SIZE_PX
