"""Where a judge is, and which key it is sent."""

from __future__ import annotations

import pytest

from tinymed.errors import ConfigError
from tinymed.evaluate.judge.address import api_key, check_url, is_loopback


@pytest.mark.parametrize(
    "url",
    ["", "judge", "127.0.0.1:8080", "ftp://host/v1", "http://", "http:///v1", "http://[::1/v1",
     "http://host:port/v1", "file:///etc/passwd"],
)  # fmt: skip
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="no http or https address"):
        check_url(url)


@pytest.mark.parametrize(
    "url",
    ["http://me:s3cret@host/v1", "http://s3cret@host/v1", "https://host/v1?key=s3cret",
     "https://host/v1#s3cret"],
)  # fmt: skip
def test_a_secret_in_the_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError, match="--api-key-env") as caught:
        check_url(url)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "stays"),
    [
        ("http://127.0.0.1:8080/v1", True),
        ("http://127.3.2.1/v1", True),
        ("http://[::1]:8080/v1", True),
        ("http://LOCALHOST/v1", True),
        ("http://0.0.0.0:8080/v1", False),
        ("http://192.168.1.7/v1", False),
        ("http://localhost.example.org/v1", False),
        ("http://127.0.0.1.example.org/v1", False),
        ("https://api.openai.com/v1", False),
    ],
)
def test_only_loopback_stays_on_this_machine(url: str, *, stays: bool) -> None:
    assert is_loopback(url) is stays


def test_a_key_comes_from_the_variable_and_goes_to_loopback_only_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here, away = "http://127.0.0.1/v1", "https://judge.example.org/v1"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-usual")
    monkeypatch.setenv("OTHER", " sk-other\n")
    assert api_key(here, None) is None
    assert api_key(here, "OTHER") == "sk-other"
    assert api_key(away, None) == "sk-usual"
    assert api_key(away, "OTHER") == "sk-other"
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ConfigError, match="OPENAI_API_KEY holds no key for https://judge"):
        api_key(away, None)
    with pytest.raises(ConfigError, match="GONE holds no key"):
        api_key(here, "GONE")
