"""The language model's GGUF file: its types, its vocabulary, its chat template, its bytes."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pytest
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)

pytest.importorskip("xllamacpp", reason="needs the extra gguf")

from gguf import GGUFReader
from tokenizers.processors import TemplateProcessing

from tinymed.engines.llamacpp.chat_turns import chat_turns
from tinymed.engines.llamacpp.language_file import write_language
from tinymed.engines.llamacpp.library import LOG, llama
from tinymed.engines.llamacpp.mixes import language_type
from tinymed.engines.llamacpp.vocabulary import read_vocabulary
from tinymed.errors import ModelError
from tinymed.models.language_gguf import LanguageConfig, language_config, language_tensors
from tinymed.models.prompt import CHATML, Template, build_prompt
from tinymed.models.weights import ModelWeights

VICUNA = Template(
    begin="<s>",
    before_image="USER: ",
    before_question="\n",
    after_question=" ASSISTANT:",
    image="<image>",
    end="</s>",
)
WORDS = [
    "Is there a pleural effusion on the left?",
    "No, the costophrenic angles are sharp. It measures 12.5 cm.",
    "Ist der Herzschatten verbreitert?  Größe: 3,4 cm",
]


def test_our_own_reader_reads_back_what_was_written(weights: ModelWeights, tmp_path: Path) -> None:
    write_language(weights, tmp_path / "language.gguf", precision="f32", context=64)
    reader = GGUFReader(tmp_path / "language.gguf")
    config = language_config(reader)
    assert config == weights.language_config
    tensors = language_tensors(reader, config)
    assert tensors.keys() == weights.language.keys()
    for name, values in tensors.items():
        np.testing.assert_array_equal(values, weights.language[name])


def test_the_same_weights_give_the_same_bytes(weights: ModelWeights, tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_language(weights, tmp_path / name, precision="q4_k_m", context=64)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def _config(*, hidden: int, tied: bool = True) -> LanguageConfig:
    return LanguageConfig(
        num_layers=16,
        hidden_size=hidden,
        intermediate_size=1536,
        num_heads=4,
        num_kv_heads=4,
        head_dim=hidden // 4,
        rope_theta=1e4,
        rms_norm_eps=1e-5,
        vocab_size=1000,
        tied=tied,
    )


@pytest.mark.parametrize(
    ("name", "width", "hidden", "tied", "expected"),
    [
        # What llama-quantize says of a model of these widths.
        ("blk.5.attn_q.weight", 512, 512, True, "Q4_K"),
        ("blk.1.attn_v.weight", 512, 512, True, "Q6_K"),
        ("blk.2.attn_v.weight", 512, 512, True, "Q4_K"),
        ("blk.4.ffn_down.weight", 1536, 512, True, "Q6_K"),
        ("blk.15.ffn_down.weight", 1536, 512, True, "Q6_K"),
        ("token_embd.weight", 512, 512, True, "Q6_K"),
        ("token_embd.weight", 512, 512, False, "Q4_K"),
        ("output.weight", 512, 512, False, "Q6_K"),
        ("blk.5.attn_q.weight", 576, 576, True, "Q5_0"),
        ("blk.1.attn_v.weight", 576, 576, True, "Q8_0"),
        ("token_embd.weight", 576, 576, True, "Q8_0"),
        ("blk.5.attn_q.weight", 24, 24, True, "F16"),
        ("blk.5.attn_norm.weight", 512, 512, True, "F32"),
        ("blk.5.attn_q.bias", 512, 512, True, "F32"),
    ],
)
def test_the_mix_is_llama_cpps(
    name: str, width: int, hidden: int, *, tied: bool, expected: str
) -> None:
    config = _config(hidden=hidden, tied=tied)
    assert language_type(name, width, "q4_k_m", config).name == expected


def _trained(tokenizer: Tokenizer, *, special: list[str], alphabet: list[str]) -> Tokenizer:
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(WORDS * 3, trainer)
    return tokenizer


def _byte_level(cuts: Sequence[Any] = (), *, use_regex: bool = True) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    by_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*cuts, by_bytes]) if cuts else by_bytes
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>", "<image>"]
    return _trained(tokenizer, special=special, alphabet=pre_tokenizers.ByteLevel.alphabet())


def _sentence_piece() -> Tokenizer:
    """As Llama 2's: spaces are marks, bytes stand in for unknown characters."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
    )
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokenizer = _trained(tokenizer, special=special, alphabet=[])
    # The trainer makes special tokens of the bytes; Llama's are plain rows of the vocabulary.
    whole = json.loads(tokenizer.to_str())
    whole["added_tokens"] = whole["added_tokens"][:3]
    tokenizer = Tokenizer.from_str(json.dumps(whole))
    tokenizer.add_special_tokens([AddedToken("<image>", special=True, normalized=False)])
    tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    return tokenizer


LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TOKENIZERS: dict[str, Callable[[], Tokenizer]] = {
    "gpt-2": _byte_level,
    "smollm": lambda: _byte_level([pre_tokenizers.Digits(individual_digits=True)]),
    "llama-bpe": lambda: _byte_level([_split(LLAMA_3)], use_regex=False),
    "qwen2": lambda: _byte_level([_split(LLAMA_3.replace("{1,3}", ""))], use_regex=False),
    "default": _sentence_piece,
}


def _split(pattern: str) -> Any:
    return pre_tokenizers.Split(Regex(pattern), behavior="isolated")


def _with(weights: ModelWeights, tokenizer: Tokenizer) -> ModelWeights:
    rows = tokenizer.get_vocab_size() + 3
    table = np.zeros((rows, weights.language_config.hidden_size), np.float32)
    return replace(
        weights,
        tokenizer=tokenizer,
        template=VICUNA,
        language={**weights.language, "embed_tokens.weight": table},
        language_config=replace(weights.language_config, vocab_size=rows),
    )


def _stock_ids(path: Path, texts: Sequence[str], *, begin: bool) -> Iterator[list[int]]:
    """What llama.cpp reads in texts."""
    library = llama()
    params = library.llama_model_default_params()
    params.vocab_only = True
    model = library.llama_model_load_from_file(str(path).encode(), params)
    assert model, LOG.error
    vocabulary = library.llama_model_get_vocab(model)
    for text in texts:
        raw, room = text.encode(), (ctypes.c_int32 * 256)()
        count = library.llama_tokenize(vocabulary, raw, len(raw), room, 256, begin, True)
        yield list(room[:count])
    library.llama_model_free(model)


@pytest.mark.parametrize("pre", TOKENIZERS)
def test_llama_cpp_cuts_text_as_the_tokenizer_does(
    weights: ModelWeights, tmp_path: Path, pre: str
) -> None:
    tokenizer = TOKENIZERS[pre]()
    changed = _with(weights, tokenizer)
    vocabulary = read_vocabulary(tokenizer, VICUNA, changed.language_config.vocab_size)
    assert vocabulary.pre == pre
    assert vocabulary.adds_begin
    write_language(changed, tmp_path / "language.gguf", precision="f16", context=64)
    texts = [*WORDS, WORDS[0] + "</s>" + WORDS[1], "\n".join(WORDS), "肺 ☢"]
    expected = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    assert list(_stock_ids(tmp_path / "language.gguf", texts, begin=False)) == expected


def test_sentence_pieces_are_joined_in_their_order(weights: ModelWeights, tmp_path: Path) -> None:
    row = json.loads(_sentence_piece().to_str())
    vocab = row["model"]["vocab"]
    for token in ("x", "y", "z", "yz", "xy"):
        vocab.setdefault(token, len(vocab))
    # "yz" before "xy": the first two letters of "xyz" may not be joined first.
    row["model"]["merges"] = [["y", "z"], ["x", "y"]]
    tokenizer = Tokenizer.from_str(json.dumps(row))
    write_language(_with(weights, tokenizer), tmp_path / "l", precision="f16", context=64)
    expected = tokenizer.encode("xyz", add_special_tokens=False)
    assert expected.tokens[-2:] == ["x", "yz"]
    assert list(_stock_ids(tmp_path / "l", ["xyz"], begin=False)) == [expected.ids]


WRITTEN = replace(VICUNA, begin="", before_image="<s>USER: ")
"""As where a checkpoint's chat template writes the beginning token itself."""


@pytest.mark.parametrize("template", [VICUNA, WRITTEN], ids=["added", "written"])
@pytest.mark.parametrize("kind", [*TOKENIZERS, "metaspace"])
def test_the_servers_prompt_has_our_tokens(
    weights: ModelWeights, tmp_path: Path, kind: str, template: Template
) -> None:
    tokenizer = _metaspace() if kind == "metaspace" else TOKENIZERS[kind]()
    changed = replace(_with(weights, tokenizer), template=template)
    write_language(changed, tmp_path / "language.gguf", precision="f16", context=64)
    reader = GGUFReader(tmp_path / "language.gguf")
    source = reader.get_field("tokenizer.chat_template").contents()
    message = {"role": "user", "content": "<__media__>" + WORDS[0]}
    before, behind = jinja2.Template(source).render(messages=[message]).split("<__media__>")
    # llama.cpp takes off a beginning token that it will put there itself.
    if reader.get_field("tokenizer.ggml.add_bos_token").contents():
        before = before.removeprefix("<s>")
    prompt = build_prompt(tokenizer, template)
    path = tmp_path / "language.gguf"
    assert [*_stock_ids(path, [before], begin=True)] == [list(prompt.prefix_ids)]
    assert [*_stock_ids(path, [behind], begin=False)] == [prompt.question_ids(WORDS[0])]


def _metaspace() -> Tokenizer:
    """As newer Llama 2 tokenizers: a space before a text's first word, and nowhere else."""
    row = json.loads(_sentence_piece().to_str())
    row["normalizer"] = None
    row["pre_tokenizer"] = {
        "type": "Metaspace",
        "replacement": "\u2581",
        "prepend_scheme": "first",
        "split": False,
    }
    return Tokenizer.from_str(json.dumps(row))


def test_a_tokenizer_llama_cpp_does_not_know_is_refused() -> None:
    tokenizer = _byte_level([pre_tokenizers.Punctuation()])
    with pytest.raises(ModelError, match="cuts text into words in a way that"):
        read_vocabulary(tokenizer, VICUNA, 500)
    with pytest.raises(ModelError, match="it is WordLevel, not BPE"):
        read_vocabulary(Tokenizer(models.WordLevel({"a": 0}, "a")), VICUNA, 500)


def test_a_table_too_short_for_the_tokenizer_is_refused() -> None:
    tokenizer = _byte_level()
    with pytest.raises(ModelError, match=r"it has token \d+ and the language model 100 rows"):
        read_vocabulary(tokenizer, VICUNA, 100)


def _render(template: Template, messages: list[dict[str, str]], *, begin: str = "") -> str:
    return jinja2.Template(chat_turns(template, begin=begin)).render(messages=messages)


@pytest.mark.parametrize("template", [CHATML, VICUNA])
@pytest.mark.parametrize("marker", ["<__media__>", "<__media_uUEx7__>"])
@pytest.mark.parametrize(
    "content", ["{marker}What is it?", "What is it?{marker}", "{marker} What is it?\n"]
)
def test_a_turn_is_the_prompt_we_ask_with(template: Template, marker: str, content: str) -> None:
    text = _render(template, [{"role": "user", "content": content.format(marker=marker)}])
    words = template.in_words().replace("{image}", marker).replace("{question}", "What is it?")
    assert template.begin + text + "{answer}" + template.end == words


def test_later_turns_follow_the_first_and_the_text_begins_once() -> None:
    messages = [
        {"role": "user", "content": "<__media__>What is it?"},
        {"role": "assistant", "content": "A chest."},
        {"role": "user", "content": "Which side?"},
    ]
    expected = "USER: <__media__>\nWhat is it? ASSISTANT:A chest.</s>USER: Which side? ASSISTANT:"
    assert _render(VICUNA, messages, begin="<s>") == expected
    assert _render(WRITTEN, messages, begin="<s>") == "<s>" + expected
