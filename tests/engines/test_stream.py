from __future__ import annotations

from tinymed.engines.stream import TextStream
from tinymed.models.prompt import Prompt


def test_half_a_character_waits_for_its_rest(prompt: Prompt) -> None:
    ids = prompt.tokenizer.encode("aé€b").ids  # one token a byte
    pieces: list[str] = []
    stream = TextStream(prompt.decode, pieces.append)
    for count in range(1, len(ids) + 1):
        stream.push(ids[:count])
    assert (len(ids), stream.finish(ids)) == (7, "aé€b")
    assert pieces == ["a", "é", "€", "b"]


def test_an_answer_cut_inside_a_character_is_still_sent_whole(prompt: Prompt) -> None:
    ids = prompt.tokenizer.encode("a€").ids[:-1]
    pieces: list[str] = []
    stream = TextStream(prompt.decode, pieces.append)
    for count in range(1, len(ids) + 1):
        stream.push(ids[:count])
    text = stream.finish(ids)
    assert "".join(pieces) == text == prompt.decode(ids)
    assert text.startswith("a\N{REPLACEMENT CHARACTER}")
