"""What a stock llama.cpp, its server and its own vision code, makes of our files."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")
transformers = pytest.importorskip("transformers", reason="needs transformers")
xllamacpp = pytest.importorskip("xllamacpp", reason="needs the extra gguf")

from PIL import Image  # noqa: E402
from stock_vision import stock_image_tokens  # noqa: E402
from tiny_llava import SIZE_PX, write_llava  # noqa: E402

from tinymed.engines.llamacpp.adapter_file import write_adapter  # noqa: E402
from tinymed.engines.llamacpp.build import build_gguf  # noqa: E402
from tinymed.engines.llamacpp.engine import LlamaCppEngine  # noqa: E402
from tinymed.engines.llamacpp.language_file import write_language  # noqa: E402
from tinymed.engines.llamacpp.vision_file import why_not_stock, write_vision  # noqa: E402
from tinymed.errors import ModelError  # noqa: E402
from tinymed.images.medical_image import MedicalImage  # noqa: E402
from tinymed.images.prepare import prepare  # noqa: E402
from tinymed.models.build import read_build  # noqa: E402
from tinymed.models.llava_checkpoint import read_llava  # noqa: E402
from tinymed.models.prompt import build_prompt  # noqa: E402
from tinymed.models.schemes import find_scheme  # noqa: E402
from tinymed.models.trained import Trained, merge  # noqa: E402
from tinymed.models.weights import ModelWeights  # noqa: E402

QUESTION = "Is it large?"


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """Already of the encoder's size: then nobody resizes it."""
    return np.random.default_rng(0).integers(0, 256, (SIZE_PX, SIZE_PX, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints "siglip" and "clip"."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for vision in ("siglip", "clip"):
        write_llava(folder / vision, vision=vision)
    return folder


def _server(language: Path, **options: Any) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = str(language)
    params.n_ctx, params.n_parallel = 512, 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.warmup, params.verbosity = False, 0
    for name, value in options.items():
        if name == "mmproj":
            params.mmproj.path = str(value)
        else:
            setattr(params, name, value)
    return xllamacpp.Server(params)


def _ask(server: Any, content: Any, *, tokens: int = 12) -> tuple[str, int]:
    """The greedy answer and how many tokens the prompt had."""
    reply = server.handle_chat_completions(
        {
            "messages": [{"role": "user", "content": content}],
            "max_tokens": tokens,
            "temperature": 0,
            "cache_prompt": False,
        }
    )
    assert "choices" in reply, reply
    return reply["choices"][0]["message"]["content"], reply["usage"]["prompt_tokens"]


def _with_image(picture: np.ndarray) -> list[dict[str, Any]]:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    url = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    return [
        {"type": "text", "text": QUESTION},
        {"type": "image_url", "image_url": {"url": url}},
    ]


def _pixels(weights: ModelWeights, picture: np.ndarray) -> np.ndarray:
    return prepare(MedicalImage(pixels=picture, source="png"), weights.preprocessing)


def test_the_stock_server_gives_our_engines_answer(
    folder: Path, tmp_path: Path, picture: np.ndarray
) -> None:
    weights = read_llava(folder / "siglip", name="tiny")
    build_gguf(weights, tmp_path / "build", scheme=find_scheme("gguf-f16"))
    engine = LlamaCppEngine(tmp_path / "build", threads=1)
    image = engine.encode(_pixels(weights, picture))
    ours = engine.answer(image, QUESTION, max_new_tokens=12)
    build = read_build(tmp_path / "build")
    server = _server(build.folder / "language.gguf", mmproj=build.folder / "mmproj.gguf")
    text, num_tokens = _ask(server, _with_image(picture))
    assert text == ours.text
    prompt = build_prompt(weights.tokenizer, weights.template)
    question = prompt.question_ids(QUESTION)
    assert num_tokens == len(prompt.prefix_ids) + weights.num_image_tokens + len(question)
    assert "no graph" not in build.description


def _reference(folder: Path, pixels: np.ndarray) -> tuple[Any, np.ndarray]:
    model = transformers.LlavaForConditionalGeneration.from_pretrained(folder)
    with torch.no_grad():
        features = model.get_image_features(torch.from_numpy(pixels)[None], return_dict=True)
    return model, features.pooler_output[0].numpy()


# llama.cpp looks GELU up in a table of 16-bit values, and has its tanh form alone: 4e-4 of the
# range is what a file without rounding gives.
@pytest.mark.parametrize(("precision", "bound"), [("f32", 1e-3), ("f16", 1e-3), ("q8_0", 4e-2)])
def test_stock_llama_cpp_sees_what_transformers_sees(
    folder: Path, tmp_path: Path, picture: np.ndarray, precision: str, bound: float
) -> None:
    weights = read_llava(folder / "siglip", name="tiny")
    _, expected = _reference(folder / "siglip", _pixels(weights, picture))
    found = _stock_tokens(weights, tmp_path, picture, precision)
    assert np.abs(found - expected).max() < bound * np.ptp(expected)


def _stock_tokens(
    weights: ModelWeights, folder: Path, picture: np.ndarray, precision: str
) -> np.ndarray:
    write_language(weights, folder / "language.gguf", precision="f16", context=64)
    write_vision(
        weights,
        folder / "mmproj.gguf",
        encoder_precision=precision,
        connector_precision=precision,
    )
    return stock_image_tokens(
        folder / "language.gguf",
        folder / "mmproj.gguf",
        picture,
        num_tokens=weights.num_image_tokens,
    )


def test_each_vision_part_takes_less_in_eight_bits(folder: Path, tmp_path: Path) -> None:
    weights = read_llava(folder / "siglip", name="tiny")
    sizes = []
    for encoder, connector in (("f16", "f16"), ("f16", "q8_0"), ("q8_0", "q8_0")):
        path = tmp_path / f"{encoder}-{connector}"
        write_vision(weights, path, encoder_precision=encoder, connector_precision=connector)
        sizes.append(path.stat().st_size)
    # 2 connector matrices of 64 x 64, then 3 layers' worth of 6 matrices: 15 of 32 bytes a block.
    assert sizes[0] - sizes[1] == 2 * 64 * 64 * 30 // 32
    assert sizes[1] - sizes[2] == 3 * (4 * 64 * 64 + 2 * 64 * 128) * 30 // 32


def test_clip_is_refused_for_as_long_as_llama_cpp_misplaces_its_class_token(
    folder: Path, tmp_path: Path, picture: np.ndarray
) -> None:
    # https://github.com/ggml-org/llama.cpp/issues/25814. When this test fails because a newer
    # llama.cpp gives what transformers gives, `why_not_stock` need not refuse CLIP any more.
    weights = read_llava(folder / "clip", name="tiny")
    pixels = _pixels(weights, picture)
    model, right = _reference(folder / "clip", pixels)
    found = _stock_tokens(weights, tmp_path, picture, "f32")
    np.testing.assert_allclose(found, _misplaced(model, pixels), atol=1e-3 * np.ptp(right))
    assert np.abs(found - right).max() > 0.1 * np.ptp(right)
    assert "issue 25814" in (why_not_stock(weights) or "")


def _misplaced(model: Any, pixels: np.ndarray) -> np.ndarray:
    """The class token last, its position the last patch's; then the first patch left out."""
    tower = model.model.vision_tower
    tower = getattr(tower, "vision_model", tower)
    embeddings = tower.embeddings
    with torch.no_grad():
        patches = embeddings.patch_embedding(torch.from_numpy(pixels)[None])
        patches = patches.flatten(2).transpose(1, 2)
        hidden = torch.cat([patches, embeddings.class_embedding[None, None]], dim=1)
        hidden = hidden + embeddings.position_embedding.weight
        states = tower.pre_layrnorm(hidden)
        for layer in tower.encoder.layers[:-1]:
            states = layer(states, None)
            states = states[0] if isinstance(states, tuple) else states
        return model.model.multi_modal_projector(states[:, 1:])[0].numpy()


def test_a_clip_build_says_that_only_we_read_its_images(folder: Path, tmp_path: Path) -> None:
    weights = read_llava(folder / "clip", name="tiny")
    build = build_gguf(weights, tmp_path / "build", scheme=find_scheme("gguf-f16"))
    assert "only tinymed reads the images" in build.description
    assert "mmproj.gguf" not in [file.name for file in build.files]


@pytest.mark.parametrize("language", ["llama", "qwen2"])
def test_our_engine_answers_as_transformers_does(
    tmp_path: Path, picture: np.ndarray, language: str
) -> None:
    checkpoint = write_llava(tmp_path / "checkpoint", vision="clip", language=language)
    weights = read_llava(checkpoint, name="tiny")
    parts = dict.fromkeys(("vision_encoder", "connector", "language_model"), "f32")
    scheme = find_scheme("gguf-f16")
    build_gguf(weights, tmp_path / "build", scheme=scheme, precisions=parts)
    engine = LlamaCppEngine(tmp_path / "build", threads=1)
    pixels = _pixels(weights, picture)
    answer = engine.answer(engine.encode(pixels), QUESTION, max_new_tokens=4, keep_logits=True)
    model, _ = _reference(checkpoint, pixels)
    text = f"<s>USER: {'<image>' * weights.num_image_tokens}\n{QUESTION} ASSISTANT:"
    ids = torch.tensor([weights.tokenizer.encode(text, add_special_tokens=False).ids])
    with torch.no_grad():
        logits = model(input_ids=ids, pixel_values=torch.from_numpy(pixels)[None]).logits[0, -1]
    np.testing.assert_allclose(answer.first_token_logits, logits.numpy(), atol=1e-4)


def _trained(weights: ModelWeights) -> Trained:
    rng = np.random.default_rng(5)
    adapter = {}
    for module in ("q_proj", "k_proj", "v_proj", "o_proj"):
        name = f"layers.1.self_attn.{module}"
        rows, columns = weights.language[f"{name}.weight"].shape
        a = rng.normal(0, 0.3, (4, columns)).astype(np.float32)
        b = rng.normal(0, 0.3, (rows, 4)).astype(np.float32)
        adapter[name] = (a, b)
    return Trained(connector={}, adapter=adapter, rank=4, alpha=8.0)


def test_an_adapter_on_the_base_gives_the_merged_models_answer(
    weights: ModelWeights, tmp_path: Path
) -> None:
    trained = _trained(weights)
    merged = replace(weights, language=merge(dict(weights.language), trained))
    files = {"base": weights, "merged": merged}
    for name, model in files.items():
        write_language(model, tmp_path / name, precision="f32", context=512)
    write_adapter(trained, weights.language_config, tmp_path / "adapter", name="tiny")
    adapter = xllamacpp.CommonAdapterLoraInfo(str(tmp_path / "adapter"), 1.0)
    texts = {
        "base": _ask(_server(tmp_path / "base"), QUESTION)[0],
        "merged": _ask(_server(tmp_path / "merged"), QUESTION)[0],
        "adapted": _ask(_server(tmp_path / "base", lora_adapters=[adapter]), QUESTION)[0],
    }
    assert texts["adapted"] == texts["merged"]
    assert texts["adapted"] != texts["base"]


def test_an_adapter_for_another_model_is_refused(weights: ModelWeights, tmp_path: Path) -> None:
    trained = _trained(weights)
    pair = trained.adapter["layers.1.self_attn.q_proj"]
    for module in ("layers.9.self_attn.q_proj", "layers.1.self_attn.k_proj", "lm_head"):
        strange = Trained(connector={}, adapter={module: pair}, rank=4, alpha=8.0)
        with pytest.raises(ModelError, match=f"The adapter's '{module}' does not fit"):
            write_adapter(strange, weights.language_config, tmp_path / "adapter", name="x")
