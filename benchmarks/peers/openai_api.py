"""Speaks as much of OpenAI's API as a comparison needs: which model is served, one streamed completion.

Every contender answers this API, so all get the same bytes and are judged by the same rules.
"""

import http.client
import json
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from benchmarks.answers import parse_object
from benchmarks.client import Reply, Target
from benchmarks.errors import BenchmarkError
from benchmarks.http_get import get

DEFAULT_BASE = "/v1"
_SHOWN_BYTES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A stream that brought what was asked for; times are seconds of the system's monotonic clock.

    `token_times_s` has an entry for each event that brought text: fewer than `tokens` where a server
    sends several at once. `prompt_tokens` is what the server counted.
    """

    sent_s: float
    token_times_s: list[float]
    tokens: int
    prompt_tokens: int


def split_url(url: str) -> tuple[str, str]:
    """Take `http://HOST:PORT[/BASE]` apart: the server, and the API's path there (`/v1` if none is said)."""
    parts = urlsplit(url)
    base = parts.path.rstrip("/") or DEFAULT_BASE
    return f"{parts.scheme}://{parts.netloc}", base


def is_healthy(target: Target) -> bool:
    """Whether GET /health answers 200."""
    try:
        return get(target, "/health")[0] == http.client.OK
    except (OSError, http.client.HTTPException):
        return False


def served_model(target: Target, base: str) -> str:
    """The first model that the server lists. Raises: BenchmarkError when it lists none."""
    path = f"{base}/models"
    try:
        status, body = get(target, path)
    except (OSError, http.client.HTTPException) as error:
        raise BenchmarkError(f"nobody answers at {target.host}:{target.port}: {error}") from error
    models = (parse_object(body) or {}).get("data")
    if status != http.client.OK or not isinstance(models, list) or not models:
        raise BenchmarkError(f"{path} lists no model: status {status}, {_shown(body)}")
    return str(models[0]["id"])


def completion_body(model: str, prompt: str, *, tokens: int) -> bytes:
    """The body of a greedy, streamed request for exactly `tokens` tokens, counted by the server."""
    return json.dumps(
        {
            "model": model,
            "prompt": prompt,
            "max_tokens": tokens,
            "temperature": 0,
            "ignore_eos": True,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    ).encode()


def read_answer(reply: Reply, *, tokens: int) -> Answer | str:
    """Judge a stream that had to bring exactly `tokens` tokens; a text says what is wrong with it."""
    if reply.failure is not None or reply.status != http.client.OK:
        return reply.failure or f"status {reply.status}: {_shown(reply.content)}"
    usage = (parse_object(reply.content) or {}).get("usage")
    if not isinstance(usage, dict):
        return f"the stream ended without usage: {_shown(reply.content)}"
    if usage.get("completion_tokens") != tokens:
        return f"{usage.get('completion_tokens')} tokens instead of {tokens}"
    times_s = _token_times(reply.event_times_s, tokens)
    if len(times_s) < min(2, tokens):
        return "all tokens came in one event: nothing can be said of the time between them"
    return Answer(
        sent_s=reply.sent_s,
        token_times_s=times_s,
        tokens=tokens,
        prompt_tokens=int(usage.get("prompt_tokens", 0)),
    )


def _token_times(event_times_s: Sequence[float], tokens: int) -> list[float]:
    # The last two events are the usage and [DONE]; one of the end's reason may come before them.
    return list(event_times_s[:-2][:tokens])


def _shown(content: bytes) -> str:
    return content[:_SHOWN_BYTES].decode("utf-8", "replace") or "nothing"
