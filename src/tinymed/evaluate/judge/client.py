"""A judge behind an OpenAI-compatible address."""

from __future__ import annotations

import json
import time
import urllib.parse
from dataclasses import dataclass
from typing import Any

from tinymed import __version__
from tinymed.errors import ModelError
from tinymed.evaluate.judge.address import is_loopback
from tinymed.evaluate.judge.prompt import Messages
from tinymed.extras import require

_CONNECT_TIMEOUT_S = 10.0
_REFUSED_STATUS = frozenset({400, 413, 422})
"""The server will not take this one request, such as one longer than its context."""
_LONGEST_REASON = 300
_KEPT_HEADERS = frozenset(
    {"host", "accept", "accept-encoding", "connection", "content-length", "content-type"}
)
_RENAMED_LIMIT_HOST = "api.openai.com"
"""Its newer models take `max_completion_tokens` only; other servers know `max_tokens`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Who is asked, and how: everything but the messages that a reply depends on."""

    url: str
    """Checked by `check_url`; "/chat/completions" is appended."""
    model: str
    temperature: float = 0.0
    seed: int | None = None
    """Sent with each request if given; not every server heeds it."""
    max_tokens: int = 1024
    """Longest reply, reasoning included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back for one request."""

    text: str
    model: str | None
    """The model's name as the server gives it."""
    finish_reason: str | None
    """"stop", or "length" for a reply cut at `max_tokens`, and the like."""
    prompt_tokens: int | None
    completion_tokens: int | None
    latency_ms: float
    """From the first try to the reply, waits between tries included."""
    refused: str | None = None
    """Why the server would not take this request; then `text` is empty."""


def request_body(judge: Judge, messages: Messages) -> dict[str, Any]:
    """The JSON of one request.

    Example:
        >>> judge = Judge(url="http://127.0.0.1:8080/v1", model="m", max_tokens=64)
        >>> request_body(judge, [])
        {'model': 'm', 'messages': [], 'temperature': 0.0, 'max_tokens': 64}
    """
    host = urllib.parse.urlsplit(judge.url).hostname
    limit = "max_completion_tokens" if host == _RENAMED_LIMIT_HOST else "max_tokens"
    body = {
        "model": judge.model,
        "messages": messages,
        "temperature": judge.temperature,
        limit: judge.max_tokens,
    }
    if judge.seed is not None:
        body["seed"] = judge.seed
    return body


class JudgeClient:
    """Asks one judge; any number of threads may use it at once.

    Built on the `openai` package for its retries with growing pauses and Retry-After. Nothing
    that package reads from the environment reaches the server: not another address, key,
    organisation or header. It sends no facts about this machine, follows no redirect, and
    takes a proxy from the environment only for an address that is not loopback.
    """

    def __init__(
        self, judge: Judge, *, key: str | None, timeout_s: float = 600.0, max_retries: int = 4
    ) -> None:
        """Prepare to ask; contacts nobody yet.

        Raises:
            MissingExtraError: If the `openai` package is not installed.
        """
        self._judge = judge
        self._openai = require("openai", extra="judge", for_what="Judging answers")
        httpx = require("httpx2", extra="judge", for_what="Judging answers")

        def send_only_what_is_needed(request: Any) -> None:
            for name in [name for name in request.headers if name.lower() not in _KEPT_HEADERS]:
                del request.headers[name]
            request.headers["User-Agent"] = f"tinymed/{__version__}"
            if key is not None:
                request.headers["Authorization"] = f"Bearer {key}"

        def try_again_if_not_json(response: Any) -> None:
            if response.is_success and not _is_json(response.read()):
                raise httpx.DecodingError("the reply is not JSON", request=response.request)

        timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_TIMEOUT_S))
        self._client = self._openai.OpenAI(
            base_url=judge.url,
            # The header above carries the key: this package's own messages cannot show it.
            api_key="unused",
            admin_api_key="",
            organization="",
            project="",
            webhook_secret="",
            timeout=timeout,
            max_retries=max_retries,
            http_client=httpx.Client(
                trust_env=not is_loopback(judge.url),
                follow_redirects=False,
                timeout=timeout,
                event_hooks={
                    "request": [send_only_what_is_needed],
                    "response": [try_again_if_not_json],
                },
            ),
        )
        # The answer as it came: the package's own classes take any JSON for a completion.
        self._response_type = httpx.Response
        self._key = key
        self._timeout_s = timeout_s

    def ask(self, messages: Messages) -> Reply:
        """Send one request and wait for its reply.

        A request that the server will not take is a reply with `refused`; the others may fare
        better.

        Raises:
            ModelError: If the server cannot be reached, does not know the model or the key,
                keeps failing, or answers with something else than a chat completion.
        """
        started = time.perf_counter()
        try:
            response = self._client.post(
                "/chat/completions",
                body=request_body(self._judge, messages),
                cast_to=self._response_type,
            )
        except self._openai.APIStatusError as error:
            if error.status_code not in _REFUSED_STATUS:
                raise ModelError(self._status_sentence(error)) from None
            return Reply(
                text="",
                model=None,
                finish_reason=None,
                prompt_tokens=None,
                completion_tokens=None,
                latency_ms=_ms_since(started),
                refused=self._server_says(error) or f"status {error.status_code}",
            )
        except self._openai.APIConnectionError as error:
            raise ModelError(self._connection_sentence(error)) from None
        return self._reply(response.json(), latency_ms=_ms_since(started))

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()

    def _reply(self, content: Any, *, latency_ms: float) -> Reply:
        try:
            choice = content["choices"][0]
            text = _text_or_none(choice["message"].get("content")) or ""
            usage = content.get("usage") or {}
            return Reply(
                text=text,
                model=_text_or_none(content.get("model")),
                finish_reason=_text_or_none(choice.get("finish_reason")),
                prompt_tokens=_count_or_none(usage.get("prompt_tokens")),
                completion_tokens=_count_or_none(usage.get("completion_tokens")),
                latency_ms=latency_ms,
            )
        except (KeyError, IndexError, TypeError, AttributeError):
            found = self._hide_key(json.dumps(content)[:_LONGEST_REASON])
            raise ModelError(
                f"The judge at {self._judge.url} answered with no chat completion but {found}; "
                "check that --url is the address of an OpenAI-compatible server."
            ) from None

    def _status_sentence(self, error: Any) -> str:
        status, url, model = error.status_code, self._judge.url, self._judge.model
        if status in (401, 403):
            return (
                f"The judge at {url} refused the key (status {status}); "
                "check the environment variable that --api-key-env names."
            )
        says = self._server_says(error)
        told = f" ({says})" if says else ""
        if status == 404:  # noqa: PLR2004 - HTTP's own number
            return (
                f"The judge at {url} knows no model '{model}', or the address lacks its end, "
                f"mostly /v1 (status 404{told}); check --judge-model and --url."
            )
        if 300 <= status < 400:  # noqa: PLR2004 - HTTP's own numbers
            return (
                f"The judge at {url} sends requests on to another address (status {status}), "
                "which is not followed; give that address as --url."
            )
        return (
            f"The judge at {url} failed with status {status}{told}; what it answered is kept, "
            "start the same command again to go on."
        )

    def _connection_sentence(self, error: Exception) -> str:
        url = self._judge.url
        kept = "what it answered is kept, start the same command again to go on"
        if isinstance(error, self._openai.APITimeoutError):
            return (
                f"The judge at {url} gave no reply within {self._timeout_s:g} s; {kept}, "
                "with a longer --timeout if the model is slow."
            )
        reason = str(error.__cause__ or error).strip().rstrip(".")
        return f"The judge at {url} cannot be reached ({self._hide_key(reason)}); {kept}."

    def _server_says(self, error: Any) -> str:
        body = error.body
        inner = body.get("error", body) if isinstance(body, dict) else body
        message = inner.get("message") if isinstance(inner, dict) else inner
        said = " ".join(str(message or "").split())[:_LONGEST_REASON]
        return self._hide_key(said).rstrip(".")

    def _hide_key(self, text: str) -> str:
        return text.replace(self._key, "…") if self._key else text


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True


def _ms_since(started: float) -> float:
    return 1000 * (time.perf_counter() - started)


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _count_or_none(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
