"""Checkpoints of other people's models, as they are, against transformers' own generation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_checkpoints import MAKERS, write_checkpoint

from tinymed.engines.protocol import prepared
from tinymed.engines.torch.published import TransformersEngine
from tinymed.errors import ConfigError, ModelError, UserError
from tinymed.images.medical_image import MedicalImage

# PaliGemma's processor calls numpy in an old way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PIXELS = np.random.default_rng(0).integers(0, 256, (50, 40, 3), dtype=np.uint8)
IMAGE = MedicalImage(pixels=PIXELS, source="png", notes=())
QUESTION = "Is it?"
NUM_TOKENS = 6

Checkpoints = dict[str, Path]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Checkpoints:
    folder = tmp_path_factory.mktemp("checkpoints")
    return {kind: write_checkpoint(kind, folder / kind) for kind in MAKERS}


def _expected(folder: Path, processor: Any) -> Any:
    """Transformers' own way from messages to tokens."""
    picture = Image.fromarray(PIXELS)
    if processor.chat_template:
        content = [{"type": "image", "image": picture}, {"type": "text", "text": QUESTION}]
        inputs = processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
    else:
        inputs = processor(text=f"<image>{QUESTION}", images=picture, return_tensors="pt")
    model = transformers.AutoModelForImageTextToText.from_pretrained(folder)
    outputs = model.generate(
        **inputs,
        max_new_tokens=NUM_TOKENS,
        do_sample=False,
        output_logits=True,
        return_dict_in_generate=True,
    )
    ids = outputs.sequences[0, inputs["input_ids"].shape[1] :].tolist()
    text = processor.tokenizer.decode(ids, skip_special_tokens=True)
    return text, len(ids), outputs.logits[0][0].numpy()


@pytest.mark.parametrize("kind", MAKERS)
def test_a_checkpoint_answers_as_transformers_itself(checkpoints: Checkpoints, kind: str) -> None:
    engine = TransformersEngine(checkpoints[kind], scheme="torch-f32", threads=1, device="cpu")
    image = engine.encode(prepared(engine, IMAGE), keep_stages=True)
    pieces: list[str] = []
    answer = engine.answer(
        image, QUESTION, max_new_tokens=NUM_TOKENS, on_text=pieces.append, keep_logits=True
    )
    text, num_tokens, logits = _expected(checkpoints[kind], engine._processor)
    assert (answer.text, answer.num_tokens) == (text, num_tokens)
    assert "".join(pieces) == text
    np.testing.assert_allclose(answer.first_token_logits, logits, atol=1e-5)
    assert 0 < answer.confidence < 1
    assert image.stages is not None
    assert image.stages.image_tokens.shape == (image.num_image_tokens, 64)


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize(("scheme", "most"), [("int8", 0.1), ("nf4", 0.7)])
def test_every_part_of_a_checkpoint_is_quantized(
    checkpoints: Checkpoints, kind: str, scheme: str, most: float
) -> None:
    """Measured: 0.025 to 0.047 for int8, 0.24 to 0.55 for nf4, of random matrices."""
    pytest.importorskip("bitsandbytes", reason="needs bitsandbytes")
    logits = []
    for name in ("torch-f32", scheme):
        engine = TransformersEngine(checkpoints[kind], scheme=name, threads=1, device="cpu")
        image = engine.encode(prepared(engine, IMAGE))
        answer = engine.answer(image, QUESTION, max_new_tokens=2, keep_logits=True)
        assert answer.first_token_logits is not None
        logits.append(answer.first_token_logits)
    vision, connector, language = engine.parts
    assert len(vision.quantized) >= 10
    # Gemma 3's connector is a matrix without a layer around it: kept, and said so.
    assert bool(connector.quantized) != (kind == "gemma3")
    assert (kind == "gemma3") == bool(connector.kept)
    assert len(language.quantized) == 14
    assert "lm_head" in language.kept
    off = np.linalg.norm(logits[1] - logits[0]) / np.linalg.norm(logits[0])
    assert 0.001 < off < most


def test_another_image_gives_other_logits(checkpoints: Checkpoints) -> None:
    engine = TransformersEngine(checkpoints["smolvlm"], scheme="torch-f32", device="cpu")
    other = MedicalImage(pixels=255 - PIXELS, source="png", notes=())
    logits = [
        engine.answer(engine.encode(engine.prepare(image)), QUESTION, keep_logits=True)
        for image in (IMAGE, other)
    ]
    first, second = (answer.first_token_logits for answer in logits)
    assert first is not None
    assert second is not None
    assert np.abs(first - second).max() > 0.01


def test_questions_about_one_image_are_answered_as_alone(checkpoints: Checkpoints) -> None:
    engine = TransformersEngine(checkpoints["qwen2.5-vl"], scheme="torch-f32", device="cpu")
    image = engine.encode(engine.prepare(IMAGE))
    questions = ["Is it?", "What organ is shown here?"]
    together = engine.answer_all(image, questions, max_new_tokens=4)
    assert [answer.text for answer in together] == [
        engine.answer(image, question, max_new_tokens=4).text for question in questions
    ]


def test_a_dial_that_would_change_nothing_is_refused(checkpoints: Checkpoints) -> None:
    with pytest.raises(ConfigError, match="connector of this model has no linear layer"):
        TransformersEngine(
            checkpoints["gemma3"], scheme="nf4", precisions={"connector": "nf4"}, device="cpu"
        )


def test_a_question_cannot_give_commands(checkpoints: Checkpoints) -> None:
    engine = TransformersEngine(checkpoints["smolvlm"], scheme="torch-f32", device="cpu")
    image = engine.encode(engine.prepare(IMAGE))
    with pytest.raises(UserError, match="holds '<image>', which this model reads as a command"):
        engine.answer(image, "What is <image> here?")
    with pytest.raises(UserError, match="The question is empty"):
        engine.answer(image, "  ")


def test_a_checkpoint_that_lacks_a_tensor_is_refused(
    checkpoints: Checkpoints, tmp_path: Path
) -> None:
    for path in checkpoints["smolvlm"].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tensors = load_file(tmp_path / "model.safetensors")
    name = next(name for name in tensors if "connector" in name)
    del tensors[name]
    tensors["adapter.weight"] = torch.zeros(2)
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        ModelError, match=r"1 missing keys .*connector.*1 unexpected keys .*adapter"
    ):
        TransformersEngine(tmp_path, device="cpu")


def test_a_folder_without_a_processor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no processor that transformers can load"):
        TransformersEngine(tmp_path, device="cpu")
