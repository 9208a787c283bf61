"""What judging will cost, before the first call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinymed.errors import ConfigError
from tinymed.evaluate.judge.replies import Call

_CHARACTERS_A_TOKEN = 4
"""English text under the usual tokenizers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What a judge charges, in any currency."""

    per_million_in: float
    """A million prompt tokens."""
    per_million_out: float
    """A million completion tokens."""

    def of(self, *, prompt_tokens: int, completion_tokens: int) -> float:
        """The price of so many tokens.

        >>> prices = Prices(per_million_in=30, per_million_out=60)
        >>> prices.of(prompt_tokens=500_000, completion_tokens=100_000)
        21.0
        """
        paid = self.per_million_in * prompt_tokens + self.per_million_out * completion_tokens
        return paid / 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Calls still to be made and what they may cost."""

    num_calls: int
    """Without second requests, of which there can be as many again."""
    prompt_tokens: int
    """About: four characters a token."""
    max_completion_tokens: int
    """At most; replies are mostly shorter."""
    price: float | None
    """For `prompt_tokens` and `max_completion_tokens`; None without prices."""


def prices_of(per_million_in: float | None, per_million_out: float | None) -> Prices | None:
    """Both prices, or neither.

    Raises:
        ConfigError: If only one is given.
    """
    if per_million_in is None and per_million_out is None:
        return None
    if per_million_in is None or per_million_out is None:
        raise ConfigError("A price needs both --price-in and --price-out.")
    return Prices(per_million_in=per_million_in, per_million_out=per_million_out)


def estimate(calls: Sequence[Call], *, max_tokens: int, prices: Prices | None) -> Estimate:
    """Estimate what the calls will cost."""
    characters = sum(len(message["content"]) for call in calls for message in call.messages)
    prompt_tokens = round(characters / _CHARACTERS_A_TOKEN)
    completion_tokens = len(calls) * max_tokens
    price = (
        None
        if prices is None
        else prices.of(prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)
    )
    return Estimate(
        num_calls=len(calls),
        prompt_tokens=prompt_tokens,
        max_completion_tokens=completion_tokens,
        price=price,
    )


def estimate_text(found: Estimate, *, url: str) -> str:
    """An estimate as one or two sentences."""
    if found.num_calls == 0:
        return "No calls: every reply is in the run folder."
    text = (
        f"{found.num_calls} calls to {url} (more where a reply gives no scores): "
        f"about {found.prompt_tokens:,} prompt tokens by estimate, "
        f"at most {found.max_completion_tokens:,} completion tokens."
    )
    if found.price is not None:
        text += (
            f" At your prices about {found.price:,.2f} were every reply that long, "
            "and twice that if none gives scores at once."
        )
    return text
