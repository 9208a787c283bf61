from __future__ import annotations

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from tinymed.engines.token_texts import TokenTexts
from tinymed.models.prompt import Prompt

TEXT = "Fracture\n of the 4ᵗʰ rib – Thorax: 肺 é\t€ 😀"


def sentence_pieces() -> Tokenizer:
    """A few words, and a token for each byte of all others, as Llama's tokenizer has them."""
    words = ["▁the", "▁", "F", "r", "ib", "▁of"]
    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    vocabulary = {token: index for index, token in enumerate([*words, *fallback])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokenizer.add_special_tokens([AddedToken("</s>", special=True)])
    return tokenizer


@pytest.mark.parametrize("kind", ["byte-level", "sentence-pieces"])
def test_the_bytes_of_all_tokens_are_those_of_the_text(prompt: Prompt, kind: str) -> None:
    tokenizer = prompt.tokenizer if kind == "byte-level" else sentence_pieces()
    texts = TokenTexts(tokenizer)
    ids = tokenizer.encode(TEXT, add_special_tokens=False).ids
    read = b"".join(texts.bytes_of(token) for token in ids).decode()
    assert read == TEXT if kind == "byte-level" else f" {TEXT}"
    assert texts.decode(ids).strip() == TEXT


def test_a_control_token_and_half_a_character_show_no_text(prompt: Prompt) -> None:
    texts = TokenTexts(prompt.tokenizer)
    half, *_ = prompt.tokenizer.encode("€").ids
    told = [texts.chosen(token, -1.0, ((half, -2.0),)) for token in (prompt.end_id, half)]
    assert [token.text for token in told] == ["", ""]
    assert [token.token_bytes for token in told] == [b"", b"\xe2"]
    assert told[0].alternatives[0].token_bytes == b"\xe2"
    other = TokenTexts(sentence_pieces())
    assert other.bytes_of(sentence_pieces().token_to_id("</s>")) == b""
    assert other.chosen(sentence_pieces().token_to_id("▁of"), -1.0).text == " of"
