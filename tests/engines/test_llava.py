"""LLaVA checkpoints, read without torch, against transformers' own model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")
transformers = pytest.importorskip("transformers", reason="needs transformers")

from safetensors.torch import load_file, save_file  # noqa: E402
from tiny_llava import SIZE_PX, write_llava  # noqa: E402

from tinymed.engines.openvino import OpenVinoEngine, build_openvino  # noqa: E402
from tinymed.errors import ModelError  # noqa: E402
from tinymed.models.llava_checkpoint import read_llava  # noqa: E402
from tinymed.models.prompt import build_prompt  # noqa: E402
from tinymed.models.schemes import find_scheme  # noqa: E402


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llava(tmp_path_factory.mktemp("llava"))


@pytest.mark.parametrize(
    ("vision", "language"), [("clip", "llama"), ("siglip", "llama"), ("siglip", "qwen2")]
)
def test_a_checkpoint_gives_transformers_logits(tmp_path: Path, vision: str, language: str) -> None:
    folder = write_llava(tmp_path / "checkpoint", vision=vision, language=language)
    weights = read_llava(folder, name="tiny")
    build_openvino(weights, tmp_path / "build", scheme=find_scheme("openvino-f32"))
    engine = OpenVinoEngine(tmp_path / "build", threads=1)
    pixels = np.random.default_rng(0).normal(size=(3, SIZE_PX, SIZE_PX)).astype(np.float32)
    image = engine.encode(pixels, keep_stages=True)
    answer = engine.answer(image, "Is it large?", max_new_tokens=4, keep_logits=True)

    model = transformers.LlavaForConditionalGeneration.from_pretrained(folder)
    text = f"<s>USER: {'<image>' * image.num_image_tokens}\nIs it large? ASSISTANT:"
    ids = torch.tensor([weights.tokenizer.encode(text, add_special_tokens=False).ids])
    with torch.no_grad():
        features = model.get_image_features(
            torch.from_numpy(pixels)[None], return_dict=True
        ).pooler_output[0]
        outputs = model(input_ids=ids, pixel_values=torch.from_numpy(pixels)[None])
        written = model.generate(
            input_ids=ids,
            pixel_values=torch.from_numpy(pixels)[None],
            max_new_tokens=4,
            do_sample=False,
            eos_token_id=weights.tokenizer.token_to_id("</s>"),
        )[0, ids.shape[1] :]
    expected = outputs.logits[0, -1].numpy()
    assert image.stages is not None
    np.testing.assert_allclose(image.stages.image_tokens, features.numpy(), atol=2e-5)
    np.testing.assert_allclose(answer.first_token_logits, expected, atol=1e-4)
    assert answer.text == weights.tokenizer.decode(written.tolist(), skip_special_tokens=True)


def test_sixteen_bit_weights_are_read_as_they_are(checkpoint: Path, tmp_path: Path) -> None:
    tensors = load_file(checkpoint / "model.safetensors")
    for dtype in (torch.bfloat16, torch.float16):
        folder = tmp_path / str(dtype)
        folder.mkdir()
        for path in checkpoint.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        halves = {name: tensor.to(dtype) for name, tensor in tensors.items()}
        save_file(halves, folder / "model.safetensors")
        read = read_llava(folder, name="tiny")
        name = "layers.0.mlp.up_proj.weight"
        np.testing.assert_array_equal(
            read.language[name], halves[f"language_model.model.{name}"].float().numpy()
        )


def test_template_and_preprocessing_come_from_the_checkpoint(checkpoint: Path) -> None:
    weights = read_llava(checkpoint, name="tiny")
    assert weights.template.in_words() == ("<s>USER: {image}\n{question} ASSISTANT:{answer}</s>")
    assert weights.preprocessing.fit == "crop"
    assert weights.preprocessing.mean == (0.5, 0.4, 0.3)
    prompt = build_prompt(weights.tokenizer, weights.template)
    whole = weights.tokenizer.encode("<s>USER: <image>\nWhat? ASSISTANT:", add_special_tokens=False)
    assert [*prompt.prefix_ids, prompt.image_id, *prompt.question_ids("What?")] == whole.ids


def _changed(checkpoint: Path, folder: Path, change: dict[str, torch.Tensor | None]) -> Path:
    folder.mkdir()
    for path in checkpoint.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    tensors = load_file(checkpoint / "model.safetensors") | change
    kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    save_file(kept, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"multi_modal_projector.linear_2.bias": None}, r"1 tensors are missing .*linear_2\.bias"),
        ({"vision_tower.extra": torch.zeros(1)}, r"1 have no place .*vision\.extra"),
        ({"adapter.lora_A": torch.zeros(1)}, r"have no place in it .*adapter\.lora_A"),
        (
            {"vision_tower.encoder.layers.1.mlp.fc1.weight": None},
            r"missing .*encoder\.layers\.1\.mlp\.fc1\.weight",
        ),
    ],
)
def test_a_tensor_too_many_or_too_few_is_named(
    checkpoint: Path, tmp_path: Path, change: dict[str, torch.Tensor | None], named: str
) -> None:
    with pytest.raises(ModelError, match=named):
        read_llava(_changed(checkpoint, tmp_path / "changed", change), name="tiny")


def test_another_kind_of_model_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    folder = _changed(checkpoint, tmp_path / "other", {})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "idefics3"}))
    with pytest.raises(ModelError, match="it is a 'idefics3', not a 'llava'"):
        read_llava(folder, name="tiny")
