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


def streamed(prompt: Prompt, text: str, stop: tuple[str, ...]) -> tuple[list[str], str]:
    """The pieces of a text that comes a byte at a time, and the whole that is left of it."""
    ids = prompt.tokenizer.encode(text).ids
    pieces: list[str] = []
    stream = TextStream(prompt.decode, pieces.append, stop)
    for count in range(1, len(ids) + 1):
        if stream.push(ids[:count]):
            return pieces, stream.finish(ids[:count])
    return pieces, stream.finish(ids)


def test_a_stop_text_that_comes_in_parts_is_never_shown(prompt: Prompt) -> None:
    pieces, whole = streamed(prompt, "left lung\nQ: more", ("\nQ:",))
    assert "".join(pieces) == whole == "left lung"
    pieces, whole = streamed(prompt, "aé€€b", ("€€",))
    assert "".join(pieces) == whole == "aé"


def test_what_only_looked_like_a_stop_text_comes_after_all(prompt: Prompt) -> None:
    pieces, whole = streamed(prompt, "left\nlung\nQ", ("\nQ:", "g\nQx"))
    assert whole == "left\nlung\nQ"
    assert pieces[:6] == ["l", "e", "f", "t", "\nl", "u"]
    assert "".join(pieces) == whole


def test_the_first_of_several_stop_texts_counts(prompt: Prompt) -> None:
    for stop in (("lung", "ft"), ("ft", "lung"), ("ft l", "ft")):
        pieces, whole = streamed(prompt, "left lung", stop)
        assert "".join(pieces) == whole == "le"
    assert streamed(prompt, "left", ("left",)) == ([], "")
