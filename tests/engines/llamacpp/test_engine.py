"""The llama.cpp engine against the float32 reference, and against itself."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_model import CONFIG, SIZE_PX, Load

pytest.importorskip("xllamacpp", reason="needs the extra gguf")

from tinymed.engines.llamacpp.build import build_gguf
from tinymed.engines.llamacpp.engine import LlamaCppEngine
from tinymed.engines.llamacpp.language_file import write_language
from tinymed.engines.llamacpp.mixes import language_type
from tinymed.engines.llamacpp.sequences import Sequences, Text
from tinymed.engines.openvino import OpenVinoEngine, build_openvino
from tinymed.engines.openvino.layers import Array
from tinymed.errors import ConfigError, ModelError
from tinymed.models.build import Build, read_build
from tinymed.models.schemes import PARTS, find_scheme
from tinymed.models.trained import Trained, merge
from tinymed.models.weights import ModelWeights

QUESTIONS = ["Is it large?", "What is this?", "Which side is it on?", "Are the lungs clear?"]
SCHEMES = ["gguf-f16", "gguf-q8_0", "gguf-q4_k_m"]

Made = Callable[[str], Path]


@pytest.fixture(scope="module")
def made(weights: ModelWeights, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Builds the tiny model once a scheme; "f32" for one that rounds nothing."""
    folder = tmp_path_factory.mktemp("gguf")

    def build(name: str) -> Path:
        if not (folder / name).exists():
            scheme = find_scheme("gguf-f16" if name == "f32" else name)
            precisions = dict.fromkeys(PARTS, "f32") if name == "f32" else None
            build_gguf(weights, folder / name, scheme=scheme, precisions=precisions)
        return folder / name

    return build


Opened = Callable[[str], LlamaCppEngine]


@pytest.fixture(scope="module")
def opened(made: Made) -> Opened:
    """Opens each of them once."""
    return functools.cache(lambda name: LlamaCppEngine(made(name), threads=1))


@pytest.fixture(scope="module")
def reference(load: Load) -> OpenVinoEngine:
    return load("f32")


def _distance(found: Array | None, expected: Array | None) -> float:
    """Largest difference of logits, in parts of their range."""
    assert found is not None
    assert expected is not None
    return float(np.abs(found - expected).max() / np.ptp(expected))


# Random weights know no structure that survives rounding: they are the worst case. Measured at
# most 8e-7, 1.5e-3, 3e-2, 1.5e-1.
@pytest.mark.parametrize(
    ("scheme", "bound"),
    [("f32", 2e-6), ("gguf-f16", 3e-3), ("gguf-q8_0", 0.05), ("gguf-q4_k_m", 0.25)],
)
def test_logits_come_near_the_reference(
    opened: Opened, reference: OpenVinoEngine, pixels: Array, scheme: str, bound: float
) -> None:
    engine = opened(scheme)
    expected_image, image = reference.encode(pixels), engine.encode(pixels)
    for question in QUESTIONS:
        expected = reference.answer(expected_image, question, max_new_tokens=8, keep_logits=True)
        found = engine.answer(image, question, max_new_tokens=8, keep_logits=True)
        assert _distance(found.first_token_logits, expected.first_token_logits) < bound
        if scheme in ("f32", "gguf-f16"):
            assert found.text == expected.text
            assert found.confidence == pytest.approx(expected.confidence, rel=0.05)


def test_each_scheme_makes_the_weights_smaller(made: Made) -> None:
    builds = [read_build(made(scheme)) for scheme in SCHEMES]
    sizes = [(made(scheme) / "language.gguf").stat().st_size for scheme in SCHEMES]
    assert sizes == sorted(sizes, reverse=True)
    bits = [_bits(build, "language_model") for build in builds]
    # Norms in 32 bits; so small a model keeps most of Q8_0 in 16; and in a table 64 wide Q5_0 and
    # Q8_0 stand in place of Q4_K and Q6_K.
    assert [round(value, 1) for value in bits] == [16.1, 13.7, 6.6]
    assert [round(_bits(build, "connector"), 1) for build in builds] == [17.4, 11.0, 11.0]
    assert "12 in Q5_0, 3 in Q8_0" in builds[2].description


def _bits(build: Build, name: str) -> float:
    return next(part.bits for part in build.parts if part.name == name)


def test_each_part_has_a_dial_of_its_own(weights: ModelWeights, tmp_path: Path) -> None:
    build_gguf(
        weights,
        tmp_path / "build",
        scheme=find_scheme("gguf-q8_0"),
        precisions={"connector": "f16"},
    )
    build = read_build(tmp_path / "build")
    assert [build.precision(part) for part in PARTS] == ["int8", "f16", "q8_0"]
    with pytest.raises(ConfigError, match=r"No precision 'q4_k_m' for the connector in llama\.cpp"):
        build_gguf(
            weights,
            tmp_path / "build",
            scheme=find_scheme("gguf-q8_0"),
            precisions={"connector": "q4_k_m"},
        )


def test_matrices_no_block_fits_are_named(weights: ModelWeights, made: Made) -> None:
    language = dict(weights.language)
    assert read_build(made("gguf-q4_k_m")).parts[2].kept == ()
    # 80 wide: no block of 32 divides it.
    config = replace(weights.language_config, intermediate_size=80)
    for layer in range(config.num_layers):
        for name in ("gate", "up"):
            key = f"layers.{layer}.mlp.{name}_proj.weight"
            language[key] = language[key][:80]
        language[f"layers.{layer}.mlp.down_proj.weight"] = language[
            f"layers.{layer}.mlp.down_proj.weight"
        ][:, :80]
    changed = replace(weights, language=language, language_config=config)
    folder = made("gguf-q4_k_m").with_name("narrow")
    build_gguf(changed, folder, scheme=find_scheme("gguf-q4_k_m"))
    kept = read_build(folder).parts[2].kept
    assert kept == ("blk.0.ffn_down.weight", "blk.1.ffn_down.weight")
    engine = LlamaCppEngine(folder, threads=1)
    pixels = np.zeros((3, SIZE_PX, SIZE_PX), np.float32)
    assert engine.answer(engine.encode(pixels), "Is it?", max_new_tokens=2).num_tokens == 2


def test_small_models_keep_what_does_not_bear_eight_bits(made: Made) -> None:
    kept = read_build(made("gguf-q8_0")).parts[2].kept
    assert {name.split(".")[2] for name in kept if name.startswith("blk.")} == {
        *("attn_q", "attn_k", "attn_v", "attn_output", "ffn_down")
    }
    assert "token_embd.weight" in kept


@pytest.mark.parametrize(
    ("name", "small", "wide"),
    [
        ("blk.0.attn_v.weight", "F16", "Q8_0"),
        ("blk.0.ffn_down.weight", "F16", "Q8_0"),
        ("blk.0.ffn_up.weight", "Q8_0", "Q8_0"),
        ("token_embd.weight", "F16", "Q8_0"),
    ],
)
def test_what_stays_in_sixteen_bits(name: str, small: str, wide: str) -> None:
    assert language_type(name, 64, "q8_0", CONFIG).name == small
    assert language_type(name, 2048, "q8_0", replace(CONFIG, hidden_size=2048)).name == wide


def test_a_table_that_is_only_looked_up_gets_eight_bits() -> None:
    config = replace(CONFIG, tied=False)
    assert language_type("token_embd.weight", 64, "q8_0", config).name == "Q8_0"
    assert language_type("output.weight", 64, "q8_0", config).name == "F16"


def test_the_same_build_twice_gives_the_same_bytes_and_answers(
    weights: ModelWeights, made: Made, pixels: Array
) -> None:
    first = made("gguf-q4_k_m")
    second = first.with_name("again")
    build_gguf(weights, second, scheme=find_scheme("gguf-q4_k_m"))
    for name in ("language.gguf", "vision.xml", "vision.bin", "tokenizer.json"):
        one, other = (hashlib.sha256((f / name).read_bytes()).digest() for f in (first, second))
        assert one == other, name
    answers = []
    for folder in (first, second):
        engine = LlamaCppEngine(folder, threads=1)
        image = engine.encode(pixels)
        asked = [engine.answer(image, q, max_new_tokens=8, keep_logits=True) for q in QUESTIONS]
        answers.append([(a.text, a.confidence, a.first_token_logits.tobytes()) for a in asked])
    assert answers[0] == answers[1]


def test_questions_answered_together_are_answered_as_alone(opened: Opened, pixels: Array) -> None:
    engine = opened("f32")
    image = engine.encode(pixels)
    questions = [f"{question} {number}" for number in range(10) for question in QUESTIONS]
    together = engine.answer_all(image, questions, max_new_tokens=6)
    for question, found in zip(questions, together, strict=True):
        alone = engine.answer(image, question, max_new_tokens=6)
        assert found.text == alone.text
        assert found.confidence == pytest.approx(alone.confidence, rel=1e-4)


def test_an_answer_that_ends_leaves_the_others_going(
    opened: Opened, pixels: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = opened("f32")
    image = engine.encode(pixels)
    texts = [engine.answer(image, question, max_new_tokens=6).text for question in QUESTIONS]
    # The random model never ends an answer: what the longest question's says third shall be the
    # end. It is the first in its round, so the others move up.
    (end_id,) = engine._prompt.tokenizer.encode(texts[2][2]).ids[:1]
    monkeypatch.setattr(engine, "_prompt", replace(engine._prompt, end_id=end_id))
    together = engine.answer_all(image, QUESTIONS, max_new_tokens=6)
    alone = [engine.answer(image, question, max_new_tokens=6) for question in QUESTIONS]
    assert [answer.text for answer in together] == [answer.text for answer in alone]
    assert len({answer.num_tokens for answer in together}) > 1


def test_no_more_are_answered_at_once_than_the_cache_has_room_for(
    opened: Opened, pixels: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = opened("gguf-f16")
    image = engine.encode(pixels)
    rows: list[int] = []
    plain = Sequences.read

    def counted(self: Sequences, texts: list[Text]) -> Array:
        rows.append(len(texts))
        return plain(self, texts)

    monkeypatch.setattr(Sequences, "read", counted)
    length = len(engine._prompt.question_ids(QUESTIONS[0]))
    room = image.state.num_tokens + 3 * (length + 2) + 1
    monkeypatch.setattr(engine, "_context_tokens", room)
    assert len(engine.answer_all(image, QUESTIONS[:1] * 7, max_new_tokens=2)) == 7
    assert rows == [3, 3, 3, 3, 1, 1]
    assert len(engine._sequences.save(1)) == len(engine._sequences.save(30))  # both empty


def test_a_question_pays_for_its_own_text_alone(
    opened: Opened, pixels: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = opened("gguf-f16")
    image = engine.encode(pixels)
    read: list[int] = []
    plain = Sequences.read

    def counted(self: Sequences, texts: list[Text]) -> Array:
        read.extend(len(text.ids) for text in texts)
        return plain(self, texts)

    monkeypatch.setattr(Sequences, "read", counted)
    monkeypatch.delattr(Sequences, "read_embeddings")
    engine.answer(image, "Is it large?", max_new_tokens=3)
    assert read == [len(engine._prompt.question_ids("Is it large?")), 1, 1]


def test_an_image_can_be_asked_about_after_another_one(opened: Opened, pixels: Array) -> None:
    engine = opened("gguf-f16")
    first = engine.encode(pixels)
    expected = engine.answer(first, QUESTIONS[0], keep_logits=True, max_new_tokens=8)
    second = engine.encode(-pixels)
    other = engine.answer(second, QUESTIONS[0], keep_logits=True, max_new_tokens=8)
    assert _distance(other.first_token_logits, expected.first_token_logits) > 0.01
    for image, before in ((first, expected), (second, other), (first, expected)):
        again = engine.answer(image, QUESTIONS[0], keep_logits=True, max_new_tokens=8)
        np.testing.assert_array_equal(again.first_token_logits, before.first_token_logits)
        assert (again.text, again.confidence) == (before.text, before.confidence)


def test_an_image_nobody_asks_about_is_not_saved(
    opened: Opened, pixels: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = opened("gguf-f16")
    image = engine.encode(pixels)
    monkeypatch.delattr(Sequences, "save")
    del image
    image = engine.encode(-pixels)
    assert engine.answer(image, QUESTIONS[0], max_new_tokens=2).num_tokens == 2


def test_what_does_not_fit_is_refused_before_anything_is_read(
    opened: Opened, pixels: Array
) -> None:
    engine = opened("gguf-f16")
    image = engine.encode(pixels)
    with pytest.raises(ConfigError, match="room for 1 to"):
        engine.answer(image, QUESTIONS[0], max_new_tokens=2048)


def test_the_stages_are_kept_where_asked_for(
    opened: Opened, reference: OpenVinoEngine, pixels: Array
) -> None:
    found = opened("f32").encode(pixels, keep_stages=True)
    expected = reference.encode(pixels, keep_stages=True)
    assert found.stages is not None
    assert expected.stages is not None
    np.testing.assert_array_equal(found.stages.image_tokens, expected.stages.image_tokens)
    np.testing.assert_array_equal(found.stages.vision_features, expected.stages.vision_features)


def test_llama_cpp_writes_nothing_and_is_freed(
    made: Made, pixels: Array, capfd: pytest.CaptureFixture[str]
) -> None:
    engine = LlamaCppEngine(made("gguf-f16"), threads=1)
    image = engine.encode(pixels)
    engine.answer(image, QUESTIONS[0], max_new_tokens=2)
    engine.close()
    assert capfd.readouterr() == ("", "")
    with pytest.raises(RuntimeError, match="closed"):
        engine.answer(image, QUESTIONS[0], max_new_tokens=2)


def test_threads_take_turns(opened: Opened, pixels: Array) -> None:
    engine = opened("gguf-f16")
    images = [engine.encode(pixels), engine.encode(-pixels)]

    def ask(place: int) -> tuple[str, float]:
        answer = engine.answer(images[place % 2], QUESTIONS[place % 4], max_new_tokens=4)
        return answer.text, answer.confidence

    alone = [ask(place) for place in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, list(range(4)) * 5)) == alone * 5


def test_a_file_llama_cpp_cannot_load_is_named_with_its_reason(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "language.gguf"
    path.write_bytes((made("gguf-f16") / "language.gguf").read_bytes()[:-1000])
    with pytest.raises(ModelError, match=r"cannot load '.*language\.gguf': .*(bounds|corrupt)"):
        Sequences(path, threads=1, num_tokens=64, cache_type=1)


def _adapted(weights: ModelWeights, folder: Path) -> ModelWeights:
    """The same model as a published file and an adapter: merged it is what `weights` is."""
    rng = np.random.default_rng(5)
    name = "layers.1.self_attn.q_proj"
    rows, columns = weights.language[f"{name}.weight"].shape
    pair = (
        rng.normal(0, 0.3, (4, columns)).astype(np.float32),
        rng.normal(0, 0.3, (rows, 4)).astype(np.float32),
    )
    trained = Trained(connector={}, adapter={name: pair}, rank=4, alpha=8.0)
    write_language(weights, folder / "base.gguf", precision="f32", context=512)
    return replace(
        weights,
        language=merge(dict(weights.language), trained),
        language_file=folder / "base.gguf",
        trained=trained,
    )


def test_the_published_file_with_its_adapter_is_the_merged_model(
    weights: ModelWeights, pixels: Array, tmp_path: Path
) -> None:
    adapted = _adapted(weights, tmp_path)
    exact = {"vision_encoder": "f32", "connector": "f32"}
    build_gguf(adapted, tmp_path / "lora", scheme=find_scheme("gguf-lora"), precisions=exact)
    build_openvino(adapted, tmp_path / "merged", scheme=find_scheme("openvino-f32"))
    engines = [
        LlamaCppEngine(tmp_path / "lora", threads=1),
        OpenVinoEngine(tmp_path / "merged", threads=1),
    ]
    found, expected = (
        engine.answer(engine.encode(pixels), QUESTIONS[0], keep_logits=True) for engine in engines
    )
    assert _distance(found.first_token_logits, expected.first_token_logits) < 2e-3
    assert found.text == expected.text
    (tmp_path / "lora" / "adapter.gguf").unlink()
    with pytest.raises(ModelError, match=r"lacks its file 'adapter\.gguf'"):
        LlamaCppEngine(tmp_path / "lora", threads=1)


def test_a_model_without_a_published_file_cannot_be_kept_so(
    weights: ModelWeights, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="no published GGUF file and adapter of its own"):
        build_gguf(weights, tmp_path / "lora", scheme=find_scheme("gguf-lora"))
