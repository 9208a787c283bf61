"""The official client of OpenAI against the real server."""

from __future__ import annotations

import math
from typing import Any

import openai
import pytest
from real_server import RealServer, data_uri

from tinymed.records import NOTICE

WHERE = "Where is the abnormality?"
ENLARGED = "Is the heart enlarged?"
ORGAN = "What organ is shown?"
"""nano is sure enough of its answer to this one for it to be given."""


@pytest.fixture(scope="module")
def client(server: RealServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)


def messages(question: str, data: bytes) -> list[Any]:
    image = {"type": "image_url", "image_url": {"url": data_uri(data)}}
    return [{"role": "user", "content": [{"type": "text", "text": question}, image]}]


def about(completion: Any) -> dict[str, Any]:
    extra = completion.model_extra
    assert extra is not None
    row: dict[str, Any] = extra["tinymed"]
    return row


def test_the_model_is_listed(client: openai.OpenAI) -> None:
    (model,) = client.models.list().data
    assert model.id == "nano"
    assert client.models.retrieve("nano").id == "nano"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4o")


def test_a_question_is_answered_with_its_notice(client: openai.OpenAI, small_chest: bytes) -> None:
    completion = client.chat.completions.create(
        model="nano", messages=messages(ORGAN, small_chest), logprobs=True, top_logprobs=3
    )
    (choice,) = completion.choices
    assert choice.finish_reason == "stop"
    assert choice.message.content
    assert about(completion)["notice"] == NOTICE
    assert completion.usage is not None
    assert completion.usage.completion_tokens >= 2
    assert completion.usage.prompt_tokens > 81  # the image's tokens are among them
    assert choice.logprobs is not None
    tokens = choice.logprobs.content
    assert tokens
    assert "".join(token.token for token in tokens) == choice.message.content
    for token in tokens:
        assert token.logprob == pytest.approx(token.top_logprobs[0].logprob)
        assert len(token.top_logprobs) == 3


def test_confidence_is_the_product_of_the_tokens(client: openai.OpenAI, small_chest: bytes) -> None:
    completion = client.chat.completions.create(
        model="nano", messages=messages(ORGAN, small_chest), logprobs=True
    )
    logprobs = completion.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    # The end token, which no text shows, has a probability of its own.
    shown = math.exp(sum(token.logprob for token in logprobs.content))
    assert about(completion)["confidence"] <= shown + 1e-6


def test_a_withheld_answer_tells_nothing_of_the_models_words(
    client: openai.OpenAI, small_chest: bytes
) -> None:
    completion = client.chat.completions.create(
        model="nano", messages=messages(WHERE, small_chest), logprobs=True
    )
    assert about(completion)["is_withheld"]
    assert completion.choices[0].message.content == "cannot tell"
    assert completion.choices[0].logprobs is None
    assert about(completion)["calibrated"] is None


@pytest.mark.parametrize("question", [ORGAN, WHERE])
def test_a_stream_says_the_same(client: openai.OpenAI, small_chest: bytes, question: str) -> None:
    whole = client.chat.completions.create(model="nano", messages=messages(question, small_chest))
    pieces, reasons, usage, last = [], [], None, None
    for chunk in client.chat.completions.create(
        model="nano",
        messages=messages(question, small_chest),
        stream=True,
        stream_options={"include_usage": True},
    ):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            pieces.append(choice.delta.content or "")
            reasons.append(choice.finish_reason)
        last = (chunk.model_extra or {}).get("tinymed", last)
    assert "".join(pieces) == whole.choices[0].message.content
    assert [reason for reason in reasons if reason] == ["stop"]
    assert usage == whole.usage
    assert last is not None
    assert last["notice"] == NOTICE


def test_raw_answers_heed_every_option(client: openai.OpenAI, small_chest: bytes) -> None:
    def raw(**options: Any) -> Any:
        return client.chat.completions.create(
            model="nano",
            messages=messages(WHERE, small_chest),
            extra_body={"safe": False},
            **options,
        )

    greedy = raw().choices[0]
    first_word = greedy.message.content.split()[0]
    cut = raw(max_tokens=1).choices[0]
    assert cut.finish_reason == "length"
    assert greedy.message.content.startswith(cut.message.content)
    stopped = raw(stop=first_word).choices[0]
    assert first_word not in stopped.message.content

    def drawn(seed: int) -> str:
        text: str = raw(temperature=1.5, seed=seed, max_tokens=6).choices[0].message.content
        return text

    texts = [drawn(seed) for seed in range(4)]
    assert [drawn(seed) for seed in range(2)] == texts[:2]
    assert len(set(texts)) > 1
    narrow = raw(temperature=1.5, top_p=1e-6, seed=1).choices[0].message.content
    assert narrow == greedy.message.content


def test_what_plays_no_part_is_named(client: openai.OpenAI, small_chest: bytes) -> None:
    completion = client.chat.completions.create(
        model="nano",
        messages=[
            {"role": "system", "content": "Always say normal."},
            *messages(ENLARGED, small_chest),
        ],
        temperature=0.9,
        user="somebody",
    )
    assert set(about(completion)["not_used"]) == {"1 system message", "temperature", "user"}


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"model": "gpt-4o"}, openai.NotFoundError),
        ({"temperature": 3}, openai.BadRequestError),
        ({"n": 2}, openai.BadRequestError),
        ({"max_tokens": 0}, openai.BadRequestError),
        ({"logit_bias": {"5": 10}}, openai.BadRequestError),
        ({"response_format": {"type": "json_object"}}, openai.BadRequestError),
        ({"messages": [{"role": "user", "content": "No image."}]}, openai.BadRequestError),
    ],
)
def test_what_cannot_be_done_is_refused(
    client: openai.OpenAI, small_chest: bytes, wrong: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error) as refused:
        client.chat.completions.create(
            **({"model": "nano", "messages": messages(ENLARGED, small_chest)} | wrong)
        )
    assert str(refused.value)


def test_an_image_that_is_none_is_refused_in_words(client: openai.OpenAI) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match="text file"):
        client.chat.completions.create(model="nano", messages=messages(ENLARGED, b"hello there"))


def test_urls_are_not_fetched(client: openai.OpenAI) -> None:
    image = {"type": "image_url", "image_url": {"url": "http://127.0.0.1:9/x.png"}}
    with pytest.raises(openai.BadRequestError, match="fetches no images"):
        client.chat.completions.create(
            model="nano",
            messages=[
                {"role": "user", "content": [{"type": "text", "text": ENLARGED}, image]}  # type: ignore[misc,list-item]
            ],
        )


def test_a_second_question_reads_the_image_no_more(
    server: RealServer, client: openai.OpenAI, small_chest: bytes
) -> None:
    data = small_chest + b"\0" * 6  # an image that no other test has sent
    client.chat.completions.create(model="nano", messages=messages(WHERE, data))
    before = len(server.rows("answered"))
    client.chat.completions.create(model="nano", messages=messages("What organ is it?", data))
    (second,) = server.rows("answered")[before:]
    assert second["body"]["timings"]["encode_ms"] == 0
