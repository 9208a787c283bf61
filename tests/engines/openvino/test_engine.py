from __future__ import annotations

from dataclasses import replace

import numpy as np
import plain_model as plain
import pytest
from tiny_model import CONFIG, Load

from tinymed.engines.openvino import runtime
from tinymed.engines.openvino.layers import Array
from tinymed.engines.protocol import Engine
from tinymed.engines.rows import Rows
from tinymed.errors import ConfigError
from tinymed.models.prompt import Prompt
from tinymed.models.weights import ModelWeights

QUESTION = "Is there a fracture?"


def asked(weights: ModelWeights, prompt: Prompt, pixels: Array, question: str) -> plain.Plain:
    """Embeddings of everything the model reads before it answers."""
    table = weights.language["embed_tokens.weight"]
    image = plain.image_tokens(pixels, weights.vision, weights.connector)
    prefix, rest = table[list(prompt.prefix_ids)], table[prompt.question_ids(question)]
    return np.concatenate([prefix, image, rest])


def test_logits_equal_a_plain_computation_of_the_whole_model(
    load: Load, weights: ModelWeights, prompt: Prompt, pixels: Array
) -> None:
    engine: Engine = load("f32")
    image = engine.encode(pixels)
    answer = engine.answer(image, QUESTION, max_new_tokens=1, keep_logits=True)
    expected = plain.llama_logits(
        asked(weights, prompt, pixels, QUESTION), weights.language, CONFIG
    )
    assert image.num_image_tokens == 4
    np.testing.assert_allclose(answer.first_token_logits, expected, atol=1e-4)


def test_a_long_prefix_is_read_in_parts(
    load: Load,
    weights: ModelWeights,
    prompt: Prompt,
    pixels: Array,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runtime, "PREFIX_TOKENS_AT_ONCE", 3)
    engine = load("f32")
    lengths: list[int] = []
    language = engine._language
    read = language.read

    def recorded(embeds: Array, rows: Rows, *, continued: list[int]) -> Array:
        lengths.append(embeds.shape[1])
        return read(embeds, rows, continued=continued)

    monkeypatch.setattr(language, "read", recorded)
    image = engine.encode(pixels)
    num_tokens = len(prompt.prefix_ids) + image.num_image_tokens
    assert lengths == [3] * (num_tokens // 3) + [num_tokens % 3] * (num_tokens % 3 > 0)
    answer = engine.answer(image, QUESTION, max_new_tokens=1, keep_logits=True)
    expected = plain.llama_logits(
        asked(weights, prompt, pixels, QUESTION), weights.language, CONFIG
    )
    np.testing.assert_allclose(answer.first_token_logits, expected, atol=1e-4)


def test_decoding_with_the_cache_equals_reading_everything_anew(
    load: Load, weights: ModelWeights, prompt: Prompt, pixels: Array
) -> None:
    engine = load("f32")
    answer = engine.answer(engine.encode(pixels), QUESTION, max_new_tokens=12)
    embeds = asked(weights, prompt, pixels, QUESTION)
    ids: list[int] = []
    probability = 1.0
    while len(ids) < 12:
        probabilities = plain.softmax(plain.llama_logits(embeds, weights.language, CONFIG))
        ids.append(int(np.argmax(probabilities)))
        probability *= float(probabilities[ids[-1]])
        embeds = np.concatenate([embeds, weights.language["embed_tokens.weight"][ids[-1:]]])
    assert (answer.text, answer.num_tokens) == (prompt.decode(ids), 12)
    assert answer.confidence == pytest.approx(probability, rel=1e-3)


def test_a_question_asked_again_gets_the_very_same_answer(load: Load, pixels: Array) -> None:
    engine = load("int8")
    image = engine.encode(pixels)
    first, _, second = (
        engine.answer(image, question, max_new_tokens=8, keep_logits=True)
        for question in (QUESTION, "Which organ?", QUESTION)
    )
    assert (first.text, first.confidence) == (second.text, second.confidence)
    np.testing.assert_array_equal(first.first_token_logits, second.first_token_logits)


def test_two_images_stay_apart(load: Load, pixels: Array) -> None:
    engine = load("f32")
    one = engine.encode(pixels)
    alone = engine.answer(one, QUESTION, keep_logits=True, max_new_tokens=1)
    other = engine.encode(-pixels)
    different = engine.answer(other, QUESTION, keep_logits=True, max_new_tokens=1)
    again = engine.answer(one, QUESTION, keep_logits=True, max_new_tokens=1)
    np.testing.assert_array_equal(alone.first_token_logits, again.first_token_logits)
    assert np.abs(different.first_token_logits - alone.first_token_logits).max() > 1e-2


def test_the_end_token_ends_the_answer_and_counts_in_its_confidence(
    load: Load, prompt: Prompt, pixels: Array
) -> None:
    engine = load("f32")
    logits = engine.answer(
        engine.encode(pixels), QUESTION, max_new_tokens=1, keep_logits=True
    ).first_token_logits
    ending = load("f32", ask=replace(prompt, end_id=int(np.argmax(logits))))
    answer = ending.answer(ending.encode(pixels), QUESTION)
    assert (answer.text, answer.num_tokens) == ("", 1)
    assert answer.confidence == pytest.approx(plain.softmax(logits).max(), rel=1e-5)


def test_streamed_pieces_join_to_the_answer(load: Load, pixels: Array) -> None:
    engine = load("f32")
    pieces: list[str] = []
    answer = engine.answer(
        engine.encode(pixels), QUESTION, max_new_tokens=12, on_text=pieces.append
    )
    assert "".join(pieces) == answer.text
    assert all(pieces)


@pytest.mark.parametrize("precision", ["f16", "int8"])
def test_smaller_weights_give_nearly_the_same_logits(
    load: Load, pixels: Array, precision: str
) -> None:
    logits = []
    for engine in (load("f32"), load(precision)):
        answer = engine.answer(engine.encode(pixels), QUESTION, max_new_tokens=1, keep_logits=True)
        logits.append(answer.first_token_logits)
    correlation = np.corrcoef(*logits)[0, 1]
    assert correlation > 0.995
    assert not np.array_equal(*logits)


@pytest.mark.parametrize("count", [0, 5000])
def test_a_number_of_tokens_that_does_not_fit_is_refused(
    load: Load, pixels: Array, count: int
) -> None:
    engine = load("f32")
    image = engine.encode(pixels)
    with pytest.raises(ConfigError, match=f"max_new_tokens is {count}; .* room for 1 to 2004 "):
        engine.answer(image, QUESTION, max_new_tokens=count)


def test_the_number_of_threads_reaches_the_plugin(load: Load) -> None:
    for threads in (1, 2):
        engine = load("f32", threads=threads)
        assert engine.num_threads == threads
        compiled = engine._language.compiled
        assert compiled.get_property("INFERENCE_NUM_THREADS") == threads


def test_the_plugin_joins_attention_with_the_cache(load: Load) -> None:
    """Reading the cache's length inside the graph used to break this: 1.5 times slower."""
    graph = load("int8")._language.compiled.get_runtime_model()
    kinds = [node.get_rt_info()["layerType"].astype(str) for node in graph.get_ops()]
    assert kinds.count("ScaledDotProductAttention") == CONFIG.num_layers
    assert "Softmax" not in kinds
