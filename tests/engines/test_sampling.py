from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from tinymed.engines.decoding import Decoding, check_decoding
from tinymed.engines.sampling import Floats, Sampler, likeliest
from tinymed.errors import ConfigError

PROBABILITIES = np.array([0.1, 0.4, 0.05, 0.25, 0.2])
LOGITS: Floats = (np.log(PROBABILITIES) + 7).astype(np.float32)
NUM_DRAWS = 4000


def shares(decoding: Decoding) -> list[float]:
    """How often each token is drawn."""
    sampler = Sampler(decoding)
    counts = Counter(sampler.choose(LOGITS).token for _ in range(NUM_DRAWS))
    return [counts[token] / NUM_DRAWS for token in range(len(LOGITS))]


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    drawn = shares(Decoding(temperature=1.0, seed=1))
    assert drawn == pytest.approx(PROBABILITIES.tolist(), abs=0.025)


def test_temperature_divides_the_logits() -> None:
    squared = PROBABILITIES**2 / (PROBABILITIES**2).sum()
    assert shares(Decoding(temperature=0.5, seed=1)) == pytest.approx(squared.tolist(), abs=0.025)


@pytest.mark.parametrize(
    ("top_p", "kept"), [(0.3, [1]), (0.39, [1]), (0.41, [1, 3]), (0.8, [1, 3, 4]), (0.99, range(5))]
)
def test_top_p_keeps_the_likeliest_tokens_that_reach_it(top_p: float, kept: list[int]) -> None:
    drawn = shares(Decoding(temperature=1.0, top_p=top_p, seed=2))
    whole = sum(PROBABILITIES[list(kept)])
    expected = [PROBABILITIES[token] / whole if token in kept else 0 for token in range(5)]
    assert drawn == pytest.approx(expected, abs=0.025)


@pytest.mark.parametrize("decoding", [Decoding(), Decoding(temperature=1e-300, seed=5)])
def test_no_temperature_takes_the_likeliest(decoding: Decoding) -> None:
    sampler = Sampler(decoding)
    assert {sampler.choose(LOGITS).token for _ in range(20)} == {1}


def test_a_seed_draws_the_same_tokens_again() -> None:
    runs = [
        [sampler.choose(LOGITS).token for _ in range(30)]
        for sampler in (Sampler(Decoding(temperature=1.0, seed=seed)) for seed in (-3, -3, 3))
    ]
    assert runs[0] == runs[1] != runs[2]
    unseeded = [Sampler(Decoding(temperature=1.0)) for _ in range(2)]
    first, second = ([one.choose(LOGITS).token for _ in range(60)] for one in unseeded)
    assert first != second


def test_log_probabilities_are_told_before_any_temperature() -> None:
    sampler = Sampler(Decoding(temperature=2.0, seed=1, top_logprobs=3))
    choice = sampler.choose(LOGITS)
    assert choice.log_probability == pytest.approx(math.log(PROBABILITIES[choice.token]), abs=1e-6)
    assert [token for token, _ in choice.others] == [1, 3, 4]
    assert [math.exp(value) for _, value in choice.others] == pytest.approx([0.4, 0.25, 0.2])


def test_equally_likely_tokens_are_told_in_their_order() -> None:
    choice = Sampler(Decoding(top_logprobs=2)).choose(np.zeros(6, np.float32))
    assert [token for token, _ in choice.others] == [0, 1]
    assert choice.token == likeliest(np.zeros(6, np.float32)).token == 0


@pytest.mark.parametrize(
    ("decoding", "message"),
    [
        (Decoding(temperature=-0.1), "temperature is -0.1"),
        (Decoding(temperature=math.nan), "temperature is nan"),
        (Decoding(temperature=math.inf), "temperature is inf"),
        (Decoding(top_p=0.0), "top_p is 0.0"),
        (Decoding(top_p=1.01), "top_p is 1.01"),
        (Decoding(top_p=math.nan), "top_p is nan"),
        (Decoding(top_logprobs=21), "top_logprobs is 21"),
        (Decoding(top_logprobs=-1), "top_logprobs is -1"),
        (Decoding(stop=("a", "")), "A stop text is empty"),
    ],
)
def test_a_decoding_that_cannot_be_is_refused(decoding: Decoding, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_decoding(decoding)


def test_the_farthest_decodings_pass() -> None:
    check_decoding(Decoding(temperature=100, top_p=1, top_logprobs=20, stop=("a",)))
    check_decoding(Decoding(temperature=0, top_p=1e-9, top_logprobs=0))
