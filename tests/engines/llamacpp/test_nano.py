"""The shipped model in llama.cpp: our engine, the stock server, the adapter on the base."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

xllamacpp = pytest.importorskip("xllamacpp", reason="needs the extra gguf")

from tinymed.engines.llamacpp.adapter_file import write_adapter  # noqa: E402
from tinymed.engines.llamacpp.build import build_gguf  # noqa: E402
from tinymed.engines.llamacpp.engine import LlamaCppEngine  # noqa: E402
from tinymed.engines.llamacpp.library import llama  # noqa: E402
from tinymed.engines.openvino import OpenVinoEngine, build_openvino  # noqa: E402
from tinymed.errors import TinymedError  # noqa: E402
from tinymed.models.cache import part_path  # noqa: E402
from tinymed.models.catalog import find_model  # noqa: E402
from tinymed.models.fetch import require_parts  # noqa: E402
from tinymed.models.prompt import build_prompt  # noqa: E402
from tinymed.models.schemes import find_scheme  # noqa: E402
from tinymed.models.trained import read_trained  # noqa: E402
from tinymed.models.weights import ModelWeights, load_weights  # noqa: E402

pytestmark = pytest.mark.slow

QUESTIONS = [
    "Is there a pleural effusion?",
    "What modality is used to take this image?",
    "Which organ is abnormal?\u00a0Size 12.5 cm",
]


@pytest.fixture(scope="module")
def nano() -> ModelWeights:
    manifest = find_model("nano")
    try:
        require_parts(manifest)
    except TinymedError as error:
        pytest.skip(str(error))
    return load_weights(manifest)


@pytest.fixture(scope="module")
def language(nano: ModelWeights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """nano's language model, merged, in 16 bits, in a build."""
    folder = tmp_path_factory.mktemp("nano") / "build"
    build_gguf(nano, folder, scheme=find_scheme("gguf-f16"))
    return folder / "language.gguf"


def _server(path: Path, **options: Any) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx, params.n_parallel = 512, 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.warmup, params.verbosity = False, 0
    for name, value in options.items():
        setattr(params, name, value)
    return xllamacpp.Server(params)


def _complete(server: Any, ids: Sequence[int]) -> str:
    """The greedy continuation of tokens."""
    reply = server.handle_completions(
        {"prompt": list(ids), "max_tokens": 16, "temperature": 0, "cache_prompt": False}
    )
    text: str = reply["choices"][0]["text"]
    return text


def test_answers_and_logits_stay_those_of_float32(
    nano: ModelWeights, language: Path, tmp_path: Path
) -> None:
    build_openvino(nano, tmp_path / "f32", scheme=find_scheme("openvino-f32"))
    reference = OpenVinoEngine(tmp_path / "f32", threads=1)
    engine = LlamaCppEngine(language.parent, threads=1)
    pixels = np.random.default_rng(0).normal(size=(3, 260, 260)).astype(np.float32)
    images = reference.encode(pixels), engine.encode(pixels)
    for question in QUESTIONS:
        expected, found = (
            one.answer(image, question, max_new_tokens=16, keep_logits=True)
            for one, image in zip((reference, engine), images, strict=True)
        )
        assert found.text == expected.text
        assert expected.first_token_logits is not None
        assert found.first_token_logits is not None
        difference = np.abs(found.first_token_logits - expected.first_token_logits).max()
        # 5e-3 is the most of 100 questions of SLAKE; half of it is the vision encoder's.
        assert difference < 1e-2 * np.ptp(expected.first_token_logits)


def test_the_stock_server_reads_the_prompt_in_our_tokens(
    nano: ModelWeights, language: Path
) -> None:
    library = llama()
    params = library.llama_model_default_params()
    params.vocab_only = True
    model = library.llama_model_load_from_file(str(language).encode(), params)
    vocabulary = library.llama_model_get_vocab(model)
    prompt = build_prompt(nano.tokenizer, nano.template)
    for question in QUESTIONS:
        text = f"{nano.template.before_question}{question}{nano.template.after_question}".encode()
        room = (ctypes.c_int32 * 256)()
        count = library.llama_tokenize(vocabulary, text, len(text), room, 256, True, True)
        assert list(room[:count]) == prompt.question_ids(question)
    library.llama_model_free(model)


def test_the_stock_server_runs_the_language_model(nano: ModelWeights, language: Path) -> None:
    server = _server(language)
    request = {
        "messages": [{"role": "user", "content": QUESTIONS[0]}],
        "max_tokens": 16,
        "temperature": 0,
    }
    reply = server.handle_chat_completions(request)
    prompt = build_prompt(nano.tokenizer, nano.template)
    # Without an image, the line break between image and question is left out.
    ids = [*prompt.prefix_ids, *prompt.question_ids(QUESTIONS[0])[1:]]
    assert reply["usage"]["prompt_tokens"] == len(ids)
    assert reply["choices"][0]["message"]["content"] == _complete(server, ids)


def test_the_adapter_on_the_published_base_answers_as_the_merged_model(
    nano: ModelWeights, language: Path, tmp_path: Path
) -> None:
    manifest = find_model("nano")
    trained = read_trained(manifest.folder / manifest.trained_file)
    path = tmp_path / "adapter.gguf"
    write_adapter(trained, nano.language_config, path, name="nano")
    # In 16 bits, as the trained file keeps it, and without the connector's 7 MB.
    assert path.stat().st_size < manifest.folder.joinpath(manifest.trained_file).stat().st_size
    base = part_path(manifest.part("language_model"))
    adapter = xllamacpp.CommonAdapterLoraInfo(str(path), 1.0)
    prompt = build_prompt(nano.tokenizer, nano.template)
    asked = [[*prompt.prefix_ids, *prompt.question_ids(question)] for question in QUESTIONS]
    merged, adapted, plain = (
        [_complete(server, ids) for ids in asked]
        for server in (
            _server(language),
            _server(base, lora_adapters=[adapter]),
            _server(base),
        )
    )
    assert adapted == merged
    assert plain != merged
